package runtime

import (
	"strconv"
	"time"
)

// PodsPerNode is how many pods a node takes, kubelet's own maximum for a large node.
const PodsPerNode = 255

// AppType says what kind of workload an app is to the mesh.
type AppType string

// The app types.
const (
	AppPlain    AppType = "plain"    // pods and a Service, no proxy
	AppSidecar  AppType = "sidecar"  // a sidecar proxy in each pod
	AppAmbient  AppType = "ambient"  // no proxy of its own: the node's ztunnel serves it
	AppWaypoint AppType = "waypoint" // pods that are waypoint proxies
	AppGateway  AppType = "gateway"  // pods that are ingress gateway proxies
	AppExternal AppType = "external" // a host outside of the mesh: a ServiceEntry, no Service and no pods
	AppVM       AppType = "vm"       // machines outside of the cluster: a ServiceEntry, a WorkloadGroup and WorkloadEntries
)

// ProxyClass returns the class of the proxy in each pod of the app, and false if there is none.
func (t AppType) ProxyClass() (ProxyClass, bool) {
	switch t {
	case AppSidecar:
		return ClassSidecar, true
	case AppWaypoint:
		return ClassWaypoint, true
	case AppGateway:
		return ClassGateway, true
	}
	return "", false
}

// Injectable reports whether istiod's webhook gives the app's pods their proxy.
func (t AppType) Injectable() bool { return t == AppSidecar || t == AppGateway }

// InCluster reports whether the app is a Service with pods, and not something outside that a ServiceEntry names.
func (t AppType) InCluster() bool { return t != AppExternal && t != AppVM }

// Node is a planned Node.
type Node struct {
	Name         string
	Index        int
	Zone, Region string
	Ztunnel      bool
	MaxPods      int           // how many pods it takes, at most [PodsPerNode]; 0 is that
	GracePeriod  time.Duration // how long its pods are given to end, in whole seconds; the mesh says so, see [Mesh]

	slots podSlots
}

// Namespace is a planned Namespace.
type Namespace struct {
	Name  string
	Index int // place among those of its step
	// Injecting says that its labels have the api-server inject the pods in it.
	Injecting bool

	apps []*App
}

// App is one copy of an app: a Service and the pods behind it.
type App struct {
	Namespace *Namespace
	Name      string
	Index     int // place among its copies
	Type      AppType
	// Account is the ServiceAccount of its pods.
	Account string
	// Labels are those of its pods and are never changed once set.
	Labels map[string]string
	// Metadata is further XDS node metadata of its proxies, shared and never changed.
	Metadata map[string]string
	// Injection is how its pods get their sidecar, and CSR whether their proxies ask for a certificate of their own.
	Injection Injection
	CSR       bool
	// Headless: its Service has no address of its own, its name stands for those of the pods.
	Headless bool
	// NoSelector: its Service has no selector, so that its EndpointSlices are plscript's and not a controller's.
	NoSelector bool
	// Machines is how many WorkloadEntries an app of type vm has.
	Machines int

	next int // ordinal of the next pod
	pods []*Pod
	gone bool // it is planned to go, and gets no more pods
}

// Host is the fully qualified name of the app's Service, or the host of its ServiceEntry.
func (a *App) Host() string {
	domain := "svc.cluster.local"
	if !a.Type.InCluster() {
		domain = string(a.Type) + ".example.com"
	}
	return a.Name + "." + a.Namespace.Name + "." + domain
}

// Pod is a planned Pod. It is small, and its name and IP are computed, so that a plan can hold a million of them.
type Pod struct {
	App     *App
	node    *Node
	ordinal int32
	gen     int32 // how often this place has been refilled
	slot    int16
	seed    int64
}

// Node is where the pod is placed.
func (p *Pod) Node() *Node { return p.node }

// Name is "<app>-<ordinal>-<suffix>": the suffix depends on the seed and changes when the pod is replaced.
func (p *Pod) Name() string {
	return p.App.Name + "-" + strconv.Itoa(int(p.ordinal)) + "-" + p.suffix()
}

// IP is the pod's address within its node's range.
func (p *Pod) IP() string { return p.node.podIP(p.slot) }

// Key is "namespace/name".
func (p *Pod) Key() string { return p.App.Namespace.Name + "/" + p.Name() }

// suffixAlphabet is what Kubernetes draws generated names from: no vowels, so no words.
const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789"

// suffix is five letters of an FNV-1a hash, written out because a plan names a million pods.
func (p *Pod) suffix() string {
	v := uint64(14695981039346656037)
	mix := func(b byte) { v = (v ^ uint64(b)) * 1099511628211 }
	for _, s := range []string{p.App.Namespace.Name, "/", p.App.Name} {
		for i := range len(s) {
			mix(s[i])
		}
	}
	for _, n := range []uint64{uint64(p.seed), uint64(p.ordinal), uint64(p.gen)} {
		for range 8 {
			mix(byte(n))
			n >>= 8
		}
	}
	var b [5]byte
	for i := range b {
		b[i] = suffixAlphabet[v%uint64(len(suffixAlphabet))]
		v /= uint64(len(suffixAlphabet))
	}
	return string(b[:])
}
