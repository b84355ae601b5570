package xdspool

import (
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/plscript/plscript/runtime"
)

// Node returns what p would send with the first request of a stream, for a client that is in no pool.
func (c Config) Node(p runtime.Proxy) (*core.Node, error) {
	c.setDefaults()
	return c.node(p)
}

// setDefaults fills in what says who the proxies are.
func (c *Config) setDefaults() {
	if c.ClusterID == "" {
		c.ClusterID = "Kubernetes"
	}
	if c.MeshDomain == "" {
		c.MeshDomain = "cluster.local"
	}
}
