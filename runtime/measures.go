package runtime

import (
	"fmt"
	"slices"
)

// MeasureType is the CEL type of a measure.
type MeasureType string

// The measure types, named as in CEL.
const (
	Int      MeasureType = "int"
	Double   MeasureType = "double"
	Duration MeasureType = "duration"
)

// Measure declares one value that conditions can read.
type Measure struct {
	Path string // dotted: "xds.sidecar.synced"
	Type MeasureType
	Doc  string // one line, with the unit
}

// Measures lists every declared measure. It is the one source for the CEL environment, its documentation and the test
// that meters set nothing undeclared.
func Measures() []Measure {
	ms := slices.Concat(meshMeasures(), loadMeasures(), changeMeasures(), stageMeasures(), xdsMeasures("xds", "proxies of all classes"))
	for _, c := range ProxyClasses {
		ms = append(ms, xdsMeasures("xds."+string(c), string(c)+" proxies")...)
	}
	for _, t := range XDSTypes {
		ms = append(ms, typeMeasures(t)...)
	}
	return ms
}

// meshMeasures are about what the scenario asked for and the api-server shows.
func meshMeasures() []Measure {
	return []Measure{
		{"namespaces.desired", Int, "Namespaces the scenario has asked for so far."},
		{"namespaces.created", Int, "Namespaces written by this run and not deleted since."},
		{"services.desired", Int, "Services the scenario has asked for so far."},
		{"services.created", Int, "Services written by this run and not deleted since."},
		{"nodes.desired", Int, "Nodes the scenario has asked for so far."},
		{"nodes.created", Int, "Nodes written by this run and not deleted since."},
		{"pods.desired", Int, "Pods the scenario has asked for at this moment; a replacement does not change it. Node agents (ztunnel) are not counted."},
		{"pods.created", Int, "Pods of the desired set that have been written and not deleted since."},
		{"pods.ready", Int, "Pods of the desired set that the api-server shows Ready and not terminating."},
		{"pods.terminating", Int, "Pods of this run that were deleted and whose containers have not ended yet; see `kubelet.shutdown`."},
		{"endpoints.desired", Int, "Addresses that EndpointSlices should hold: one for each ready pod and Service that selects it."},
		{"endpoints.ready", Int, "Ready addresses in the EndpointSlices that the api-server shows."},
	}
}

// loadMeasures are about the load: the writer, the streams together, istiod and plscript itself.
func loadMeasures() []Measure {
	return []Measure{
		{"xds.demand.pending", Int, "Addresses that ztunnels have asked for on demand and have no answer to yet."},
		{"xds.demand.unknown", Int, "Of the addresses that ztunnels asked for, those that istiod knows nothing of."},
		{"xds.istiods", Int, "Istiods that a stream is open to."},
		{"xds.mostPerIstiod", Int, "Streams open to the istiod that has the most of them."},
		{"xds.leastPerIstiod", Int, "Streams open to the istiod that has the fewest of them, of those that could have some."},
		{"writer.inflight", Int, "Writes sent and not answered."},
		{"writer.pending", Int, "Writes queued and not sent."},
		{"writer.done", Int, "Writes answered with success."},
		{"writer.errors", Int, "Writes that failed for good."},
		{"writer.superseded", Int, "Writes merged into a later one of the same object."},
		{"writer.dropped", Int, "Writes refused because too many were waiting to be sent."},
		{"writer.retries", Int, "Requests sent again."},
		{"writer.throttled", Int, "Requests the api-server answered with 429."},
		{"writer.p99", Duration, "99th percentile of a successful request's latency."},
		{"pushes.responses", Int, "Discovery responses received."},
		{"pushes.resources", Int, "Resources received."},
		{"pushes.bytes", Int, "Bytes of resources received."},
		{"pushes.wasted", Int, "Resources received whose content the proxy held already."},
		{"pushes.unchanged", Int, "Responses received in which nothing changed."},
		{"oracle.checked", Int, "Proxies compared with a fresh client so far; with `oracle: true`, one of each class at the end of each phase."},
		{"oracle.differences", Int, "Resources found so far that a proxy did not hold as a fresh client got them: lost, stale, or never removed."},
		{"istiod.cpu", Double, "CPU seconds istiod has used since the run began."},
		{"istiod.rss", Int, "Resident memory of istiod, in bytes."},
		{"loadgen.cpu", Double, "CPU seconds plscript has used since the run began."},
		{"loadgen.rss", Int, "Resident memory of plscript, in bytes."},
		{"loadgen.dropped", Int, "Arrivals of rate steps that were dropped because `maxPending` of them were under way."},
		{"loadgen.lateness", Duration, "99th percentile of how late arrivals of rate steps started."},
	}
}

func changeMeasures() []Measure {
	ms := []Measure{
		{"changes.count", Int, "Tracked changes written, of all kinds."},
		{"changes.pending", Int, "Tracked changes that some proxy of their audience does not hold yet."},
	}
	for _, kind := range ChangeKinds {
		p := "changes." + string(kind)
		ms = append(ms,
			Measure{p + ".count", Int, fmt.Sprintf("Tracked %s changes written.", kind)},
			Measure{p + ".pending", Int, "Of these, not held yet by some proxy of the audience."},
			Measure{p + ".unobserved", Int, "Of these, no proxy showed, because none was concerned, or none got another configuration because of it, or it could not be told from others on their way."},
			Measure{p + ".pairs", Int, "Pairs of such a change and a proxy that came to hold it."},
			Measure{p + ".p50", Duration, "Median time from the scheduled write to a proxy's ACK, over all pairs of change and proxy; a pending pair counts with its age."},
			Measure{p + ".p90", Duration, "90th percentile of the same."},
			Measure{p + ".p99", Duration, "99th percentile of the same."},
			Measure{p + ".max", Duration, "The slowest pair of change and proxy."},
			Measure{p + ".firstP50", Duration, "Median time to the first proxy that held a change."},
			Measure{p + ".lastP99", Duration, "99th percentile of the time to the last proxy that held a change."})
	}
	return ms
}

func typeMeasures(t XDSType) []Measure {
	p := "xds." + t.Short
	return []Measure{
		{p + ".responses", Int, "Responses of type " + t.Name + " received."},
		{p + ".resources", Int, "Resources of type " + t.Name + " received."},
		{p + ".removed", Int, "Removals of type " + t.Name + " received."},
		{p + ".bytes", Int, "Bytes of resources of type " + t.Name + " received."},
		{p + ".nacks", Int, "Responses of type " + t.Name + " that were refused."},
		{p + ".firstP50", Duration, "Median time from a stream's first request of type " + t.Name + " to the first response."},
		{p + ".firstP99", Duration, "99th percentile of the same."},
		{p + ".syncP50", Duration, "Median time from a stream's first request of type " + t.Name + " until all that was asked for had been answered and ACKed."},
		{p + ".syncP99", Duration, "99th percentile of the same."},
		{p + ".ackP99", Duration, "99th percentile of the time plscript took from a response of type " + t.Name + " to its ACK."},
	}
}

func xdsMeasures(p, of string) []Measure {
	return []Measure{
		{p + ".desired", Int, "Streams wanted, of " + of + "."},
		{p + ".open", Int, "Streams open now, of " + of + "."},
		{p + ".synced", Int, "Streams on which every subscribed type has been answered and its last nonce ACKed, of " + of + "."},
		{p + ".rejected", Int, "Connection attempts that istiod's admission refused (ResourceExhausted), of " + of + "."},
		{p + ".nacks", Int, "Responses refused, of " + of + "."},
		{p + ".disconnects", Int, "Streams that ended without plscript closing them, of " + of + "."},
		{p + ".reconnects", Int, "Streams opened again by a proxy whose earlier one had ended, whoever ended it, of " + of + "."},
		{p + ".unanswered", Int, "Subscriptions that istiod never answered, of " + of + "."},
	}
}

// XDSType is a resource type of the discovery protocol.
type XDSType struct {
	Short string // in measure paths: "eds"
	Name  string // as Istio's debug pages call it: "EDS"
	URL   string
}

// XDSTypes lists the resource types that proxies subscribe to.
var XDSTypes = []XDSType{
	{"cds", "CDS", "type.googleapis.com/envoy.config.cluster.v3.Cluster"},
	{"eds", "EDS", "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"},
	{"lds", "LDS", "type.googleapis.com/envoy.config.listener.v3.Listener"},
	{"rds", "RDS", "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"},
	{"sds", "SDS", "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"},
	{"ecds", "ECDS", "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"},
	{"nds", "NDS", "type.googleapis.com/istio.networking.nds.v1.NameTable"},
	{"wds", "WDS", "type.googleapis.com/istio.workload.Address"},
	{"wads", "WADS", "type.googleapis.com/istio.security.Authorization"},
	// What Envoy's workload discovery subscribes to; Istio calls it WDS too, as if it were Address.
	{"workload", "WORKLOAD", "type.googleapis.com/istio.workload.Workload"},
}
