package xdspool

import "github.com/plscript/plscript/runtime"

// typ is a resource type: its index in [runtime.XDSTypes].
type typ uint8

const (
	cds typ = iota
	eds
	lds
	rds
	sds
	ecds
	nds
	wds
	wads
	workloads
	numTypes = iota
)

// healthURL is that of the agent's health reports, which are requests without an answer (Istio pkg/model HealthInfoType).
const healthURL = "type.googleapis.com/istio.v1.HealthInformation"

func (t typ) url() string    { return runtime.XDSTypes[t].URL }
func (t typ) String() string { return runtime.XDSTypes[t].Name }

// typeOf finds the type of a type URL.
func typeOf(url []byte) (typ, bool) {
	for i := range runtime.XDSTypes {
		if string(url) == runtime.XDSTypes[i].URL {
			return typ(i), true
		}
	}
	return 0, false
}

// wildcard reports whether t is subscribed to as a whole. The others are asked for by name, as they are referred to
// (Istio pkg/xds/server.go IsWildcardTypeURL draws the same line).
func (t typ) wildcard() bool {
	switch t {
	case eds, rds, sds, ecds:
		return false
	}
	return true
}

// versioned reports whether a client says on reconnect which versions of t it holds. The agent, which keeps name tables,
// does not (Istio pkg/istio-agent/xds_proxy_delta.go).
func (t typ) versioned() bool { return t != nds }

// envoyOrder is the order in which Envoy and its agent (re)subscribe on a new stream; ztunnelOrder is ztunnel's.
var (
	envoyOrder   = []typ{cds, workloads, eds, lds, nds, rds, sds, ecds}
	ztunnelOrder = []typ{wds, wads}
)

func order(c runtime.ProxyClass) []typ {
	if c == runtime.ClassZtunnel {
		return ztunnelOrder
	}
	return envoyOrder
}

const numClasses = 5

// classIndex numbers the classes as [runtime.ProxyClasses] lists them; an unknown class counts as a plain client.
func classIndex(c runtime.ProxyClass) int {
	for i, k := range runtime.ProxyClasses {
		if k == c {
			return i
		}
	}
	return numClasses - 1
}
