// Package dumptest reads a dump back as strictly as Envoy would: every file by its type, with the validation rules of
// Envoy's API, and every reference to its end.
package dumptest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	_ "github.com/plscript/plscript/runtime/dump" // for the types that a dump may hold as text
)

// Loaded is a dump as Envoy would hold it.
type Loaded struct {
	Bootstrap *bootstrap.Bootstrap
	Resources []proto.Message
	// Empty are the files that hold no resource, which Envoy does without.
	Empty []string
	// Files are those that were read, relative to the root.
	Files map[string]bool

	fsys     fs.FS
	root     string
	problems []error
}

// Load reads a dump in fsys whose files call its folder root. The error joins all that is wrong with it.
func Load(fsys fs.FS, root string) (*Loaded, error) {
	l := &Loaded{Bootstrap: &bootstrap.Bootstrap{}, Files: map[string]bool{}, fsys: fsys, root: root}
	if err := l.parse("config.yaml", l.Bootstrap); err != nil {
		return l, err
	}
	l.message("config.yaml", l.Bootstrap.ProtoReflect(), false)
	for _, s := range []*core.ConfigSource{l.Bootstrap.GetDynamicResources().GetCdsConfig(), l.Bootstrap.GetDynamicResources().GetLdsConfig()} {
		l.response(s.GetPathConfigSource().GetPath(), nil, "")
	}
	return l, errors.Join(l.problems...)
}

func (l *Loaded) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Errorf(format, args...))
}

// parse reads a file by its suffix, and refuses what the type does not have.
func (l *Loaded) parse(file string, m proto.Message) error {
	l.Files[file] = true
	text, err := fs.ReadFile(l.fsys, file)
	if err != nil {
		return err
	}
	switch path.Ext(file) {
	case ".pb":
		err = proto.Unmarshal(text, m)
	case ".yaml":
		var asJSON []byte
		if asJSON, err = yaml.YAMLToJSONStrict(text); err == nil {
			err = protojson.Unmarshal(asJSON, m)
		}
	default:
		err = errors.New("a suffix that Envoy does not know")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// response reads a file of resources; with one wanted, it has to be that one and no other.
func (l *Loaded) response(at string, want proto.Message, name string) {
	file, ok := strings.CutPrefix(at, l.root+"/")
	if !ok || !fs.ValidPath(file) {
		l.problem("%q is outside of %s", at, l.root)
		return
	}
	if l.Files[file] {
		return
	}
	r := &discovery.DiscoveryResponse{}
	if err := l.parse(file, r); err != nil {
		l.problem("%w", err)
		return
	}
	if want != nil && len(r.Resources) > 1 {
		l.problem("%s: %d resources, of which Envoy takes one", file, len(r.Resources))
	}
	if len(r.Resources) == 0 {
		l.Empty = append(l.Empty, file)
	}
	for _, a := range r.Resources {
		m, err := a.UnmarshalNew()
		if err != nil {
			l.problem("%s: %w", file, err)
			continue
		}
		if want != nil && (m.ProtoReflect().Descriptor() != want.ProtoReflect().Descriptor() || nameOf(m) != name) {
			l.problem("%s: holds %s %q, want %T %q", file, a.TypeUrl, nameOf(m), want, name)
		}
		l.Resources = append(l.Resources, m)
		l.message(file, m.ProtoReflect(), path.Ext(file) == ".pb")
	}
}

func nameOf(m proto.Message) string {
	switch x := m.(type) {
	case *endpoint.ClusterLoadAssignment:
		return x.ClusterName
	case interface{ GetName() string }:
		return x.GetName()
	}
	return ""
}

// message checks m and all that is in it. Only a binary file may hold types that are not known.
func (l *Loaded) message(file string, m protoreflect.Message, binary bool) {
	if v, ok := m.Interface().(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			l.problem("%s: %w", file, err)
		}
	}
	switch x := m.Interface().(type) {
	case *anypb.Any:
		in, err := x.UnmarshalNew()
		switch {
		case err == nil:
			l.message(file, in.ProtoReflect(), binary)
		case !binary || !errors.Is(err, protoregistry.NotFound):
			l.problem("%s: %w", file, err)
		}
		return
	case *cluster.Cluster:
		if x.GetType() == cluster.Cluster_EDS {
			name := x.GetEdsClusterConfig().GetServiceName()
			if name == "" {
				name = x.Name
			}
			l.source(file, x.GetEdsClusterConfig().GetEdsConfig(), &endpoint.ClusterLoadAssignment{}, name)
		}
	case *hcm.Rds:
		l.source(file, x.ConfigSource, &route.RouteConfiguration{}, x.RouteConfigName)
	case *tlsv3.SdsSecretConfig:
		l.source(file, x.SdsConfig, &tlsv3.Secret{}, x.Name)
	case *core.ConfigSource:
		if x.GetPathConfigSource() == nil {
			l.problem("%s: a dynamic source is left: %v", file, x)
		}
	}
	l.fields(file, m, binary)
}

func (l *Loaded) fields(file string, m protoreflect.Message, binary bool) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					l.message(file, v.Message(), binary)
					return true
				})
			}
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				l.message(file, v.List().Get(i).Message(), binary)
			}
		default:
			if x, ok := v.Message().Interface().(*core.ExtensionConfigSource); ok {
				l.source(file, x.ConfigSource, &core.TypedExtensionConfig{}, nameOf(m.Interface()))
			}
			l.message(file, v.Message(), binary)
		}
		return true
	})
}

func (l *Loaded) source(file string, s *core.ConfigSource, want proto.Message, name string) {
	if s == nil {
		return // the secret is in the file itself
	}
	p := s.GetPathConfigSource().GetPath()
	if p == "" {
		l.problem("%s: %T %q does not come from a file", file, want, name)
		return
	}
	l.response(p, want, name)
}
