package xdspool

import (
	"fmt"
	"maps"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/plscript/plscript/runtime"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// clientIP stands in for the address of a client with no pod: istiod refuses a node without one. It is in TEST-NET-1,
// where no pod is.
const clientIP = "192.0.2.1"

// nodeType is a class as istiod calls it (Istio pkg/model NodeType). A plain client gets what a sidecar without a pod
// would.
func nodeType(c runtime.ProxyClass) string {
	switch c {
	case runtime.ClassGateway:
		return "router"
	case runtime.ClassWaypoint:
		return "waypoint"
	case runtime.ClassZtunnel:
		return "ztunnel"
	}
	return "sidecar"
}

// nodeID is type~ip~pod.namespace~namespace.svc.domain. istiod finds the pod by its third part (Istio
// pilot/pkg/serviceregistry/kube/controller podKeyByProxy), so it is the exact pod name.
func (c *Config) nodeID(p runtime.Proxy) string {
	return fmt.Sprintf("%s~%s~%s.%s~%s.svc.%s", nodeType(p.Class), p.IP, p.Name, p.Namespace, p.Namespace, c.MeshDomain)
}

// node is what p sends with the first request of a stream.
func (c *Config) node(p runtime.Proxy) (*core.Node, error) {
	meta, err := structpb.NewStruct(c.metadata(p))
	if err != nil {
		return nil, fmt.Errorf("node metadata of %s: %w", p.Key(), err)
	}
	n := &core.Node{
		Id:            c.nodeID(p),
		Cluster:       p.App + "." + p.Namespace, // Istio pkg/bootstrap: SERVICE_CLUSTER_NAME app.namespace
		Metadata:      meta,
		UserAgentName: "envoy",
		Extensions:    c.Fidelity.extensions(),
	}
	if p.Class == runtime.ClassZtunnel {
		n.Cluster, n.UserAgentName, n.Extensions = "", "", nil
	}
	if p.Region != "" || p.Zone != "" {
		n.Locality = &core.Locality{Region: p.Region, Zone: p.Zone}
	}
	return n, nil
}

// encodedNode is node as it goes on the wire.
func (c *Config) encodedNode(p runtime.Proxy) ([]byte, error) {
	n, err := c.node(p)
	if err != nil {
		return nil, err
	}
	b, err := proto.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("node of %s: %w", p.Key(), err)
	}
	return b, nil
}

// metadata is the node metadata (Istio pkg/model NodeMetadata and BootstrapNodeMetadata); its booleans are strings.
// The user's additions come first and cannot change who the proxy is.
func (c *Config) metadata(p runtime.Proxy) map[string]any {
	m := make(map[string]any, len(c.Metadata)+len(p.Metadata)+20)
	maps.Copy(m, c.Metadata)
	for k, v := range p.Metadata {
		m[k] = v
	}
	if p.Class != runtime.ClassZtunnel {
		c.envoyMetadata(m, p)
	}
	m["NAME"] = p.Name
	m["NAMESPACE"] = p.Namespace
	m["CLUSTER_ID"] = c.ClusterID
	m["INSTANCE_IPS"] = p.IP
	m["SERVICE_ACCOUNT"] = p.ServiceAccount
	setUnlessEmpty(m, "NODE_NAME", p.Node)
	setUnlessEmpty(m, "ISTIO_VERSION", c.IstioVersion)
	return m
}

// envoyMetadata adds what the agent writes into Envoy's bootstrap (Istio pkg/bootstrap GetNodeMetaData) for a pod of
// the default injection template, where the user has not set it otherwise.
func (c *Config) envoyMetadata(m map[string]any, p runtime.Proxy) {
	labels := make(map[string]any, len(p.Labels))
	for k, v := range p.Labels {
		labels[k] = v
	}
	defaults := map[string]any{
		"MESH_ID":               c.MeshDomain,
		"INTERCEPTION_MODE":     "REDIRECT",
		"ENVOY_STATUS_PORT":     15021,
		"ENVOY_PROMETHEUS_PORT": 15090,
		"METADATA_DISCOVERY":    fmt.Sprint(p.Class == runtime.ClassWaypoint || m["ENABLE_HBONE"] == "true"),
		"PILOT_SAN":             []any{"istiod.istio-system.svc"},
		"PROXY_CONFIG": map[string]any{
			"configPath":               "./etc/istio/proxy",
			"binaryPath":               "/usr/local/bin/envoy",
			"serviceCluster":           "istio-proxy",
			"discoveryAddress":         "istiod.istio-system.svc:15012",
			"drainDuration":            "45s",
			"terminationDrainDuration": "5s",
			"proxyAdminPort":           15000,
			"statusPort":               15020,
			"statNameLength":           189,
			"concurrency":              2,
			"controlPlaneAuthPolicy":   "MUTUAL_TLS",
		},
	}
	if p.Class == runtime.ClassGateway || p.Class == runtime.ClassWaypoint {
		delete(defaults, "INTERCEPTION_MODE") // nothing is redirected to a gateway
	}
	if p.App != "" { // where the injected pod does not name its owner
		defaults["WORKLOAD_NAME"] = p.App
		defaults["OWNER"] = fmt.Sprintf("kubernetes://apis/apps/v1/namespaces/%s/deployments/%s", p.Namespace, p.App)
	}
	for k, v := range defaults {
		if _, set := m[k]; !set {
			m[k] = v
		}
	}
	m["LABELS"] = labels
	if len(p.Annotations) > 0 {
		annotations := make(map[string]any, len(p.Annotations))
		for k, v := range p.Annotations {
			annotations[k] = v
		}
		m["ANNOTATIONS"] = annotations
	}
}

func setUnlessEmpty(m map[string]any, key, value string) {
	if value != "" {
		m[key] = value
	}
}
