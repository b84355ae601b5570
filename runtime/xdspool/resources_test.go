package xdspool

import (
	"net"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

func pack(name string, m proto.Message) *discovery.Resource {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return &discovery.Resource{Name: name, Resource: a}
}

func edsCluster(name string) *discovery.Resource {
	return pack(name, &cluster.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:     &cluster.Cluster_EdsClusterConfig{ServiceName: name},
	})
}

func staticCluster(name string) *discovery.Resource {
	return pack(name, &cluster.Cluster{Name: name, ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_STATIC}})
}

func socket(host string) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: host, PortSpecifier: &core.SocketAddress_PortValue{PortValue: 8080},
	}}}
}

func lbEndpointAt(a *core.Address) *endpoint.LbEndpoint {
	return &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: a}}}
}

func assignment(name string, ips ...string) *discovery.Resource {
	locality := &endpoint.LocalityLbEndpoints{}
	for _, a := range ips {
		locality.LbEndpoints = append(locality.LbEndpoints, lbEndpointAt(socket(a)))
	}
	return pack(name, &endpoint.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpoint.LocalityLbEndpoints{locality}})
}

func httpListener(name string, routes ...string) *discovery.Resource {
	l := &listener.Listener{Name: name}
	for _, r := range routes {
		m, err := anypb.New(&hcm.HttpConnectionManager{
			RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{RouteConfigName: r}},
		})
		if err != nil {
			panic(err)
		}
		l.FilterChains = append(l.FilterChains, &listener.FilterChain{Filters: []*listener.Filter{{
			Name: "http", ConfigType: &listener.Filter_TypedConfig{TypedConfig: m},
		}}})
	}
	return pack(name, l)
}

func routes(name string) *discovery.Resource {
	return pack(name, &route.RouteConfiguration{Name: name})
}

// workload is an Address resource of a pod.
func workload(uid, version, addr string, unhealthy bool) *discovery.Resource {
	var w []byte
	if addr != "" {
		w = protowire.AppendTag(w, workloadAddresses, protowire.BytesType)
		w = protowire.AppendBytes(w, net.ParseIP(addr).To4())
	}
	if unhealthy {
		w = protowire.AppendTag(w, workloadStatus, protowire.VarintType)
		w = protowire.AppendVarint(w, statusUnhealthy)
	}
	value := protowire.AppendBytes(protowire.AppendTag(nil, addressWorkload, protowire.BytesType), w)
	return &discovery.Resource{Name: uid, Version: version, Resource: &anypb.Any{TypeUrl: wds.url(), Value: value}}
}
