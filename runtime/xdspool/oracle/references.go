package oracle

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/quic/v3" // so that it can be unmarshalled
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
)

// The types of what can be referred to.
var (
	endpointURL  = urlOf(&endpoint.ClusterLoadAssignment{})
	routeURL     = urlOf(&route.RouteConfiguration{})
	secretType   = urlOf(&tlsv3.Secret{})
	extensionURL = urlOf(&core.TypedExtensionConfig{})
)

func urlOf(m proto.Message) string {
	return "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName())
}

// references are names, by the type URL of what they name.
type references map[string]map[string]bool

func (r references) add(url, name string) {
	if name == "" {
		return
	}
	if r[url] == nil {
		r[url] = map[string]bool{}
	}
	r[url][name] = true
}

func (r references) types() []string { return slices.Sorted(maps.Keys(r)) }

// find adds what the message in a refers to, and all that is in it. A type that Envoy's API does not have, such as one of
// Istio's filters, is not looked into.
func (r references) find(a *anypb.Any) error {
	if a.GetTypeUrl() == "" {
		return nil // a filter without configuration, as istiod makes one of a WasmPlugin without pluginConfig
	}
	m, err := a.UnmarshalNew()
	if errors.Is(err, protoregistry.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", a.TypeUrl, err)
	}
	return r.message(m.ProtoReflect())
}

func (r references) message(m protoreflect.Message) error {
	switch x := m.Interface().(type) {
	case *anypb.Any:
		return r.find(x)
	case *cluster.Cluster:
		if x.GetType() == cluster.Cluster_EDS {
			name := x.GetEdsClusterConfig().GetServiceName()
			if name == "" {
				name = x.Name
			}
			r.add(endpointURL, name)
		}
	case *hcm.Rds:
		r.add(routeURL, x.RouteConfigName)
	case *tlsv3.SdsSecretConfig:
		if x.GetSdsConfig().GetAds() != nil {
			r.add(secretType, x.Name)
		}
	case *listener.Filter:
		r.discovered(x.Name, x.GetConfigDiscovery())
	case *listener.ListenerFilter:
		r.discovered(x.Name, x.GetConfigDiscovery())
	case *hcm.HttpFilter:
		r.discovered(x.Name, x.GetConfigDiscovery())
	}
	return r.fields(m)
}

// discovered adds a filter that has its configuration from elsewhere.
func (r references) discovered(name string, source *core.ExtensionConfigSource) {
	if source != nil {
		r.add(extensionURL, name)
	}
}

// fields goes through every message in m.
func (r references) fields(m protoreflect.Message) (err error) {
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
			err = r.message(v.Message())
		}
		return err == nil
	})
	return err
}
