package gateway

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// hcmType is the network filter that speaks HTTP.
const hcmType = typePrefix + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

// table is a configuration, ready to route by. It is never changed.
type table struct {
	routes    []*routes           // of each plaintext HTTP listener, by the listener's name
	endpoints map[string][]string // addresses, host:port, by cluster
}

// newTable makes a table of resources, by type and name.
func newTable(held map[string]map[string]*anypb.Any) (*table, error) {
	t := &table{endpoints: map[string][]string{}}
	for _, name := range slices.Sorted(maps.Keys(held[listenerType])) {
		managers, err := connectionManagers(held[listenerType][name])
		if err != nil {
			return nil, err
		}
		for _, m := range managers {
			rc := m.GetRouteConfig()
			if rds := m.GetRds(); rds != nil {
				rc = &route.RouteConfiguration{}
				if err := unpack(held[routeType][rds.RouteConfigName], rc); err != nil {
					return nil, err
				}
			}
			compiled, err := compile(rc)
			if err != nil {
				return nil, fmt.Errorf("routes %s: %w", rc.GetName(), err)
			}
			t.routes = append(t.routes, compiled)
		}
	}
	for name, packed := range held[clusterType] {
		c := &cluster.Cluster{}
		if err := unpack(packed, c); err != nil {
			return nil, err
		}
		assignment := c.GetLoadAssignment()
		if c.GetType() == cluster.Cluster_EDS {
			assignment = &endpoint.ClusterLoadAssignment{}
			if packed := held[endpointType][serviceName(c)]; packed != nil {
				if err := unpack(packed, assignment); err != nil {
					return nil, err
				}
			}
		}
		t.endpoints[name] = addresses(assignment)
	}
	return t, nil
}

func unpack(packed *anypb.Any, into proto.Message) error {
	if err := packed.UnmarshalTo(into); err != nil {
		return fmt.Errorf("%T: %w", into, err)
	}
	return nil
}

// connectionManagers are those of a listener's filter chains that are served without TLS.
func connectionManagers(packed *anypb.Any) ([]*hcm.HttpConnectionManager, error) {
	l := &listener.Listener{}
	if err := unpack(packed, l); err != nil {
		return nil, err
	}
	var out []*hcm.HttpConnectionManager
	for _, chain := range append(l.GetFilterChains(), l.GetDefaultFilterChain()) {
		if chain.GetTransportSocket() != nil {
			continue
		}
		for _, f := range chain.GetFilters() {
			if f.GetTypedConfig().GetTypeUrl() != hcmType {
				continue
			}
			m := &hcm.HttpConnectionManager{}
			if err := unpack(f.GetTypedConfig(), m); err != nil {
				return nil, fmt.Errorf("listener %s: %w", l.Name, err)
			}
			out = append(out, m)
		}
	}
	return out, nil
}

// routeNames are the route configurations that listeners refer to.
func routeNames(listeners map[string]*anypb.Any) (map[string]bool, error) {
	out := map[string]bool{}
	for _, l := range listeners {
		managers, err := connectionManagers(l)
		if err != nil {
			return nil, err
		}
		for _, m := range managers {
			if rds := m.GetRds(); rds != nil {
				out[rds.RouteConfigName] = true
			}
		}
	}
	return out, nil
}

// endpointNames are the endpoints that clusters refer to.
func endpointNames(clusters map[string]*anypb.Any) (map[string]bool, error) {
	out := map[string]bool{}
	for _, packed := range clusters {
		c := &cluster.Cluster{}
		if err := unpack(packed, c); err != nil {
			return nil, err
		}
		if c.GetType() == cluster.Cluster_EDS {
			out[serviceName(c)] = true
		}
	}
	return out, nil
}

// serviceName is what a cluster's endpoints are asked for by.
func serviceName(c *cluster.Cluster) string {
	if n := c.GetEdsClusterConfig().GetServiceName(); n != "" {
		return n
	}
	return c.Name
}

// addresses are those of the endpoints that may be sent to.
func addresses(a *endpoint.ClusterLoadAssignment) []string {
	var out []string
	for _, locality := range a.GetEndpoints() {
		for _, e := range locality.GetLbEndpoints() {
			if h := e.GetHealthStatus(); h != core.HealthStatus_UNKNOWN && h != core.HealthStatus_HEALTHY {
				continue
			}
			if s := e.GetEndpoint().GetAddress().GetSocketAddress(); s != nil {
				out = append(out, net.JoinHostPort(s.Address, strconv.Itoa(int(s.GetPortValue()))))
			}
		}
	}
	return out
}
