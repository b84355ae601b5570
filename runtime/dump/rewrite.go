package dump

import (
	"cmp"
	"errors"
	"fmt"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
)

// standIn is what is written for a resource that istiod has not sent. A proxy without endpoints or routes answers "no
// healthy upstream" or 404; without a secret or an extension, Envoy reports an update without the resource and goes on
// (Envoy source/common/secret/sds_api.cc onConfigUpdateFailed).
func standIn(url, name string) ([]rewritten, error) {
	var m proto.Message
	switch url {
	case endpointType:
		m = &endpoint.ClusterLoadAssignment{ClusterName: name}
	case routeType:
		m = &route.RouteConfiguration{Name: name}
	default:
		return nil, nil
	}
	a, err := anypb.New(m)
	return []rewritten{{Any: a}}, err
}

// rewritten is a resource that refers to files.
type rewritten struct {
	*anypb.Any
	private bool // holds a private key
	unknown bool // holds a type that is not known here
}

func (w *writer) rewrite(ref Reference, a *anypb.Any) (rewritten, error) {
	r := rewriter{file: w.one}
	out := proto.CloneOf(a)
	if err := r.any(out); err != nil {
		return rewritten{}, fmt.Errorf("%s: %w", ref, err)
	}
	for _, d := range r.dynamic {
		w.summary.Dynamic = append(w.summary.Dynamic, fmt.Sprintf("%s: %s", ref, d))
	}
	return rewritten{out, r.private, r.unknown}, nil
}

// rewriter points the references of a message to files.
type rewriter struct {
	// file returns the path of the file that holds a resource.
	file             func(url, name string) (string, error)
	private, unknown bool     // what was met
	dynamic          []string // the fields with references that no file answers
	changed          bool
}

// any rewrites what is packed in a. Types that are not known, such as those of extensions, are left as they are.
func (r *rewriter) any(a *anypb.Any) error {
	m, err := a.UnmarshalNew()
	if errors.Is(err, protoregistry.NotFound) {
		r.unknown = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", a.TypeUrl, err)
	}
	before := r.changed
	r.changed = false
	if err := r.message(m.ProtoReflect()); err != nil {
		return err
	}
	if r.changed {
		if a.Value, err = proto.Marshal(m); err != nil {
			return fmt.Errorf("%s: %w", a.TypeUrl, err)
		}
	}
	r.changed = r.changed || before
	return nil
}

func (r *rewriter) message(m protoreflect.Message) error {
	switch x := m.Interface().(type) {
	case *anypb.Any:
		return r.any(x)
	case *cluster.Cluster:
		if err := r.cluster(x); err != nil {
			return err
		}
	case *hcm.Rds:
		if err := r.source(x.ConfigSource, routeType, x.RouteConfigName); err != nil {
			return err
		}
	case *tlsv3.SdsSecretConfig:
		if err := r.source(x.SdsConfig, secretType, x.Name); err != nil {
			return err
		}
	case *tlsv3.TlsCertificate:
		r.private = r.private || inline(x.PrivateKey)
	}
	return r.fields(m)
}

// cluster rewrites where endpoints come from. Nobody takes load reports any more.
func (r *rewriter) cluster(x *cluster.Cluster) error {
	if x.LrsServer != nil {
		x.LrsServer, r.changed = nil, true
	}
	if x.GetType() != cluster.Cluster_EDS {
		return nil
	}
	return r.source(x.GetEdsClusterConfig().GetEdsConfig(), endpointType, cmp.Or(x.GetEdsClusterConfig().GetServiceName(), x.Name))
}

// source rewrites one that asks a server.
func (r *rewriter) source(s *core.ConfigSource, url, name string) error {
	if !remote(s) || name == "" {
		return nil
	}
	path, err := r.file(url, name)
	if err != nil {
		return err
	}
	s.ConfigSourceSpecifier = &core.ConfigSource_PathConfigSource{PathConfigSource: &core.PathConfigSource{Path: path}}
	s.ResourceApiVersion = core.ApiVersion_V3
	s.Authorities, s.InitialFetchTimeout = nil, nil
	r.changed = true
	return nil
}

// remote reports whether a source asks a server.
func remote(s *core.ConfigSource) bool {
	switch s.GetConfigSourceSpecifier().(type) {
	case *core.ConfigSource_Ads, *core.ConfigSource_Self, *core.ConfigSource_ApiConfigSource:
		return true
	}
	return false
}

func inline(d *core.DataSource) bool {
	return len(d.GetInlineBytes()) > 0 || d.GetInlineString() != ""
}

// fields goes through every message in m.
func (r *rewriter) fields(m protoreflect.Message) (err error) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() == nil {
				return true
			}
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				err = r.message(v.Message())
				return err == nil
			})
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				if err = r.message(v.List().Get(i).Message()); err != nil {
					return false
				}
			}
		default:
			switch x := v.Message().Interface().(type) {
			case *core.ExtensionConfigSource:
				err = r.extension(m, x)
			case *core.ConfigSource:
				// Those that a file answers have been rewritten by what holds them.
				if remote(x) {
					r.dynamic = append(r.dynamic, string(m.Descriptor().Name())+"."+string(fd.Name()))
				}
			}
			if err == nil {
				err = r.message(v.Message())
			}
		}
		return err == nil
	})
	return err
}

// extension rewrites where an extension's configuration comes from. The extension's name is beside it, whatever kind of
// filter it is: of a listener, of the network or of HTTP.
func (r *rewriter) extension(of protoreflect.Message, x *core.ExtensionConfigSource) error {
	name := of.Descriptor().Fields().ByName("name")
	if name == nil || name.Kind() != protoreflect.StringKind {
		return nil
	}
	return r.source(x.ConfigSource, extensionType, of.Get(name).String())
}

func compareReferences(a, b Reference) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
}
