package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// The resource types.
const (
	typePrefix   = "type.googleapis.com/"
	clusterType  = typePrefix + "envoy.config.cluster.v3.Cluster"
	endpointType = typePrefix + "envoy.config.endpoint.v3.ClusterLoadAssignment"
	listenerType = typePrefix + "envoy.config.listener.v3.Listener"
	routeType    = typePrefix + "envoy.config.route.v3.RouteConfiguration"
)

// node is the identity that a node ID says. The name and namespace stand in its third part (Istio pkg/model
// ParseServiceNodeWithMetadata); istiod knows the labels of the pod by them.
func node(id string) (*core.Node, error) {
	parts := strings.Split(id, "~")
	if len(parts) != 4 {
		return nil, fmt.Errorf("gateway: node ID %q: want type~ip~pod.namespace~domain", id)
	}
	name, namespace, ok := strings.Cut(parts[2], ".")
	if !ok {
		return nil, fmt.Errorf("gateway: node ID %q: want pod.namespace in its third part", id)
	}
	meta, err := structpb.NewStruct(map[string]any{
		"NAME": name, "NAMESPACE": namespace, "INSTANCE_IPS": parts[1], "CLUSTER_ID": "Kubernetes", "SERVICE_ACCOUNT": "default",
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: node ID %q: %w", id, err)
	}
	return &core.Node{Id: id, Metadata: meta, UserAgentName: "plscript-gateway"}, nil
}

// client is one stream and what has come on it.
type client struct {
	stream   discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	held     map[string]map[string]*anypb.Any // by type and name
	answered map[string]bool                  // types
	asked    map[string]map[string]bool       // names by type, for types that are asked for by name
}

// stream connects to istiod and takes over what it sends, until the stream ends. It reports whether istiod answered.
func (g *Gateway) stream(ctx context.Context) (answered bool, err error) {
	conn, err := grpc.NewClient("passthrough:///"+g.cfg.Istiod, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return false, err
	}
	defer conn.Close()
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx, grpc.MaxCallRecvMsgSize(math.MaxInt32))
	if err != nil {
		return false, err
	}
	c := &client{
		stream: stream, held: map[string]map[string]*anypb.Any{}, answered: map[string]bool{},
		asked: map[string]map[string]bool{endpointType: {}, routeType: {}},
	}
	self, err := node(g.cfg.Node)
	if err != nil {
		return false, err
	}
	if err := stream.Send(&discovery.DeltaDiscoveryRequest{Node: self, TypeUrl: clusterType}); err != nil {
		return false, err
	}
	if err := stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: listenerType}); err != nil {
		return false, err
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return answered, err
		}
		answered = true
		if err := c.take(resp); err != nil {
			return answered, err
		}
		if err := g.serve(c); err != nil {
			g.cfg.Log.Error("configuration refused", "type", resp.TypeUrl, "error", err)
		}
	}
}

// take takes over a response, ACKs it, and asks for what it refers to.
func (c *client) take(resp *discovery.DeltaDiscoveryResponse) error {
	t := resp.TypeUrl
	if c.held[t] == nil {
		c.held[t] = map[string]*anypb.Any{}
	}
	for _, r := range resp.Resources {
		c.held[t][r.Name] = r.Resource
	}
	for _, name := range resp.RemovedResources {
		delete(c.held[t], name)
	}
	c.answered[t] = true
	if err := c.stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: t, ResponseNonce: resp.Nonce}); err != nil {
		return err
	}
	switch t {
	case clusterType:
		names, err := endpointNames(c.held[clusterType])
		return errors.Join(err, c.ask(endpointType, names))
	case listenerType:
		names, err := routeNames(c.held[listenerType])
		return errors.Join(err, c.ask(routeType, names))
	}
	return nil
}

// ask makes names the ones that are subscribed to.
func (c *client) ask(t string, names map[string]bool) error {
	req := &discovery.DeltaDiscoveryRequest{TypeUrl: t}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if !c.asked[t][n] {
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, n)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(c.asked[t])) {
		if !names[n] {
			req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, n)
			delete(c.held[t], n)
		}
	}
	c.asked[t] = names
	if len(req.ResourceNamesSubscribe)+len(req.ResourceNamesUnsubscribe) == 0 {
		return nil
	}
	return c.stream.Send(req)
}

// complete reports whether all is there that requests are routed by. Endpoints may follow.
func (c *client) complete() bool {
	if !c.answered[listenerType] || !c.answered[clusterType] {
		return false
	}
	for name := range c.asked[routeType] {
		if c.held[routeType][name] == nil {
			return false
		}
	}
	return true
}

// serve makes what c holds the configuration that requests are served by.
func (g *Gateway) serve(c *client) error {
	if !c.complete() {
		return nil
	}
	t, err := newTable(c.held)
	if err != nil {
		return err
	}
	g.table.Store(t)
	return nil
}
