package xdspool

import (
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/plscript/plscript/runtime"
)

// Fidelity says in what detail clients imitate their proxies. The zero value is a current Istio's default installation.
type Fidelity struct {
	// SotW has every proxy that can speak the state-of-the-world protocol, as with ISTIO_DELTA_XDS=false. Waypoints and
	// ztunnels cannot.
	SotW bool
	// NodeAlways sends the node with every request, not with the first of a stream only. Envoy's delta client does so
	// whatever its bootstrap says (Envoy source/extensions/config_subscription/grpc/delta_subscription_state.cc).
	NodeAlways bool
	// Extensions lists in the node the extensions that Istio's Envoy is built with, about 6 KB.
	Extensions bool
	// NoWorkloadDiscovery leaves out the subscription to all workloads that a waypoint has (Istio pkg/bootstrap/config.go
	// forces metadata_discovery for it), which is most of what a waypoint receives in a large mesh.
	NoWorkloadDiscovery bool
	// OnDemand has every ztunnel ask for addresses as it needs them, as with XDS_ON_DEMAND=true.
	OnDemand bool
	// Refuse is the probability, by short type name ("eds"), with which a response is NACKed and not applied.
	Refuse map[string]float64
	// Patience is how long a subscription may go without an answer before xds.unanswered counts it; 0 means 30 s. Secrets
	// have 15 s at most, Envoy's own limit, after which a proxy counts as synced without them.
	Patience time.Duration
}

// speak sets what c speaks and subscribes to besides the types of its class.
func (c *client) speak(cfg *Config) {
	meta := func(key string) bool {
		if v, ok := c.proxy.Metadata[key]; ok {
			return v == "true"
		}
		return cfg.Metadata[key] == "true"
	}
	switch c.proxy.Class {
	case runtime.ClassZtunnel:
		c.types[wds].onDemand = c.proxy.OnDemand || cfg.Fidelity.OnDemand
		return
	case runtime.ClassWaypoint:
		c.discovers = !cfg.Fidelity.NoWorkloadDiscovery
		return
	case runtime.ClassSidecar:
		c.capturesDNS = meta("DNS_CAPTURE") // Istio pkg/istio-agent/agent.go isDNSServerEnabled
	}
	c.state = cfg.Fidelity.SotW || c.proxy.SotW
	// The state-of-the-world protocol has no workload discovery (Istio pkg/bootstrap/config.go toTemplateParams): what istiod
	// sends would be asked for again and again.
	c.discovers = !c.state && (meta("METADATA_DISCOVERY") || meta("ENABLE_HBONE"))
}

// extensions is the list for the node, or nil.
func (f *Fidelity) extensions() []*core.Extension {
	if !f.Extensions {
		return nil
	}
	var out []*core.Extension
	for _, g := range envoyExtensions {
		for _, name := range g.names {
			out = append(out, &core.Extension{Category: g.category, Name: name})
		}
	}
	return out
}

// envoyExtensions are those of Istio's Envoy build, by the category that Envoy reports them under (Envoy
// source/extensions/extensions_build_config.bzl, istio/proxy source/extensions).
var envoyExtensions = []struct {
	category string
	names    []string
}{
	{"envoy.access_loggers", []string{
		"envoy.access_loggers.file", "envoy.access_loggers.fluentd", "envoy.access_loggers.http_grpc", "envoy.access_loggers.open_telemetry",
		"envoy.access_loggers.stderr", "envoy.access_loggers.stdout", "envoy.access_loggers.tcp_grpc", "envoy.access_loggers.wasm",
	}},
	{"envoy.bootstrap", []string{"envoy.bootstrap.internal_listener", "envoy.bootstrap.wasm", "istio.workload_discovery"}},
	{"envoy.clusters", []string{
		"envoy.cluster.eds", "envoy.cluster.logical_dns", "envoy.cluster.original_dst", "envoy.cluster.static", "envoy.cluster.strict_dns",
		"envoy.clusters.aggregate", "envoy.clusters.dynamic_forward_proxy", "envoy.clusters.dns", "envoy.clusters.redis",
	}},
	{"envoy.compression.compressor", []string{
		"envoy.compression.brotli.compressor", "envoy.compression.gzip.compressor", "envoy.compression.zstd.compressor",
	}},
	{"envoy.filters.http", []string{
		"envoy.filters.http.alpn", "envoy.filters.http.adaptive_concurrency", "envoy.filters.http.buffer", "envoy.filters.http.compressor",
		"envoy.filters.http.connect_authority", "envoy.filters.http.cors", "envoy.filters.http.csrf", "envoy.filters.http.decompressor",
		"envoy.filters.http.dynamic_forward_proxy", "envoy.filters.http.ext_authz", "envoy.filters.http.ext_proc", "envoy.filters.http.fault",
		"envoy.filters.http.grpc_http1_bridge", "envoy.filters.http.grpc_json_transcoder", "envoy.filters.http.grpc_stats",
		"envoy.filters.http.grpc_web", "envoy.filters.http.header_to_metadata", "envoy.filters.http.health_check",
		"envoy.filters.http.jwt_authn", "envoy.filters.http.local_ratelimit", "envoy.filters.http.lua", "envoy.filters.http.oauth2",
		"envoy.filters.http.on_demand", "envoy.filters.http.original_src", "envoy.filters.http.peer_metadata", "envoy.filters.http.ratelimit",
		"envoy.filters.http.rbac", "envoy.filters.http.router", "envoy.filters.http.set_filter_state", "envoy.filters.http.set_metadata",
		"envoy.filters.http.stateful_session", "envoy.filters.http.tap", "envoy.filters.http.wasm", "istio.stats", "istio_authn",
	}},
	{"envoy.filters.listener", []string{
		"envoy.filters.listener.http_inspector", "envoy.filters.listener.local_ratelimit", "envoy.filters.listener.original_dst",
		"envoy.filters.listener.original_src", "envoy.filters.listener.proxy_protocol", "envoy.filters.listener.set_internal_dst_address",
		"envoy.filters.listener.tls_inspector",
	}},
	{"envoy.filters.network", []string{
		"envoy.filters.network.connection_limit", "envoy.filters.network.direct_response", "envoy.filters.network.dubbo_proxy",
		"envoy.filters.network.echo", "envoy.filters.network.ext_authz", "envoy.filters.network.http_connection_manager",
		"envoy.filters.network.local_ratelimit", "envoy.filters.network.metadata_exchange", "envoy.filters.network.mongo_proxy",
		"envoy.filters.network.mysql_proxy", "envoy.filters.network.postgres_proxy", "envoy.filters.network.ratelimit",
		"envoy.filters.network.rbac", "envoy.filters.network.redis_proxy", "envoy.filters.network.set_filter_state",
		"envoy.filters.network.sni_cluster", "envoy.filters.network.sni_dynamic_forward_proxy", "envoy.filters.network.tcp_cluster_rewrite",
		"envoy.filters.network.tcp_proxy", "envoy.filters.network.thrift_proxy", "envoy.filters.network.wasm",
		"envoy.filters.network.zookeeper_proxy", "istio.metadata_exchange", "istio.stats",
	}},
	{"envoy.health_checkers", []string{"envoy.health_checkers.grpc", "envoy.health_checkers.http", "envoy.health_checkers.redis", "envoy.health_checkers.tcp"}},
	{"envoy.load_balancing_policies", []string{
		"envoy.load_balancing_policies.cluster_provided", "envoy.load_balancing_policies.least_request", "envoy.load_balancing_policies.maglev",
		"envoy.load_balancing_policies.random", "envoy.load_balancing_policies.ring_hash", "envoy.load_balancing_policies.round_robin",
		"envoy.load_balancing_policies.subset", "envoy.load_balancing_policies.override_host",
	}},
	{"envoy.tracers", []string{
		"envoy.tracers.datadog", "envoy.tracers.dynamic_ot", "envoy.tracers.opentelemetry", "envoy.tracers.skywalking", "envoy.tracers.zipkin",
	}},
	{"envoy.transport_sockets.downstream", []string{
		"envoy.transport_sockets.alts", "envoy.transport_sockets.internal_upstream", "envoy.transport_sockets.quic",
		"envoy.transport_sockets.raw_buffer", "envoy.transport_sockets.starttls", "envoy.transport_sockets.tap", "envoy.transport_sockets.tls",
	}},
	{"envoy.upstream_options", []string{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "envoy.upstreams.http.http_protocol_options"}},
	{"envoy.wasm.runtime", []string{"envoy.wasm.runtime.null", "envoy.wasm.runtime.v8"}},
}
