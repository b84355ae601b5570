package dump

import (
	"strings"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	internallistener "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// bootstrap writes the file that Envoy is started with. It has of Istio's own bootstrap (Istio
// tools/packaging/common/envoy_bootstrap.json) what the proxy's resources build on: the node, whose metadata Istio's
// filters read, and internal listeners, which tunnels go through.
func (w *writer) bootstrap(clusters, listeners string) error {
	internal, err := anypb.New(&internallistener.InternalListener{})
	if err != nil {
		return err
	}
	b := &bootstrap.Bootstrap{
		Node: &core.Node{Id: w.cfg.Node.Id, Cluster: w.cfg.Node.Cluster, Locality: w.cfg.Node.Locality, Metadata: w.cfg.Node.Metadata},
		Admin: &bootstrap.Admin{Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: "127.0.0.1", PortSpecifier: &core.SocketAddress_PortValue{PortValue: w.cfg.AdminPort},
		}}}},
		DynamicResources:    &bootstrap.Bootstrap_DynamicResources{CdsConfig: fromFile(clusters), LdsConfig: fromFile(listeners)},
		BootstrapExtensions: []*core.TypedExtensionConfig{{Name: "envoy.bootstrap.internal_listener", TypedConfig: internal}},
	}
	_, err = w.write(strings.TrimSuffix(Bootstrap, yamlSuffix), b, false, false)
	return err
}

func fromFile(path string) *core.ConfigSource {
	return &core.ConfigSource{
		ConfigSourceSpecifier: &core.ConfigSource_PathConfigSource{PathConfigSource: &core.PathConfigSource{Path: path}},
		ResourceApiVersion:    core.ApiVersion_V3,
	}
}
