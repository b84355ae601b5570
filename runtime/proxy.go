package runtime

import (
	"strconv"
	"time"
)

// ProxyClass is the kind of XDS client a proxy is to istiod.
type ProxyClass string

// The proxy classes.
const (
	ClassSidecar  ProxyClass = "sidecar"
	ClassGateway  ProxyClass = "gateway" // node type "router"
	ClassWaypoint ProxyClass = "waypoint"
	ClassZtunnel  ProxyClass = "ztunnel"
	ClassClient   ProxyClass = "client" // a plain stream with no pod behind it
)

// ProxyClasses lists every class.
var ProxyClasses = []ProxyClass{ClassSidecar, ClassGateway, ClassWaypoint, ClassZtunnel, ClassClient}

// Proxy is the identity one XDS stream presents to istiod.
type Proxy struct {
	Class          ProxyClass
	Namespace      string
	Name           string // the exact pod name: istiod looks the pod up by it
	IP             string // the pod's IP; "" where the pod is not running yet, see PodRunning
	Node           string // the Node the pod is on
	ServiceAccount string
	App            string            // the workload's name: node cluster "app.ns", metadata WORKLOAD_NAME
	Labels         map[string]string // the pod's labels, shared and never changed
	Annotations    map[string]string // the pod's annotations, as the agent sends them; never changed
	Zone, Region   string            // locality
	Metadata       map[string]string // further node metadata, over the built-in
	Pod            bool              // waits for its pod: the stream opens when the pod is seen running and closes when it is gone
	Copy           int               // tells apart several streams of one identity
	SotW           bool              // speaks the state-of-the-world protocol; ztunnels and waypoints have delta only
	OnDemand       bool              // a ztunnel that asks for addresses as it needs them, not for all
	Probed         bool              // reports its health, as the agent of a VM with a readiness probe does
	CSR            bool              // asks for a workload certificate before it opens its stream, as its agent does
}

// Key names the proxy: "namespace/name", and for a further copy "namespace/name#1".
func (p Proxy) Key() string {
	key := p.Namespace + "/" + p.Name
	if p.Copy > 0 {
		key += "#" + strconv.Itoa(p.Copy)
	}
	return key
}

// Proxies is the mesh's population of XDS clients, as actions see it.
type Proxies interface {
	// Want adds p to the desired proxies. A proxy with a pod connects when the pod runs, any other at once.
	Want(p Proxy)
	// Forget takes the proxy out of the desired ones; its stream closes when its pod is gone, or at once without one.
	Forget(key string)
	// Disconnect breaks the proxy's stream, if it has one, as a lost connection does: it comes back as a real one would.
	Disconnect(key string)
}

// PodEvents is told what becomes of pods, so that their proxies live and die with them.
type PodEvents interface {
	PodRunning(key, ip string)
	PodGone(key string)
}

// ChangeKind is what a convergence measurement is about.
type ChangeKind string

// The change kinds.
const (
	ChangeEndpoint ChangeKind = "endpoint" // a pod IP enters or leaves the endpoints of its services
	ChangeRoute    ChangeKind = "route"    // a VirtualService, a route of the Gateway API, or a ReferenceGrant
	ChangeCluster  ChangeKind = "cluster"  // a DestinationRule, ServiceEntry, Service or Sidecar, or the end of a namespace
	ChangePolicy   ChangeKind = "policy"   // an AuthorizationPolicy, PeerAuthentication or RequestAuthentication
	ChangeListener ChangeKind = "listener" // a Gateway, Telemetry, EnvoyFilter or WasmPlugin
)

// ChangeKinds lists every kind.
var ChangeKinds = []ChangeKind{ChangeEndpoint, ChangeRoute, ChangeCluster, ChangePolicy, ChangeListener}

// Change is one thing written to the api-server whose arrival at proxies is measured. Adding and removing are two
// changes.
type Change struct {
	Kind      ChangeKind
	Hosts     []string      // the service hosts whose resources carry the marker: "app.ns.svc.cluster.local"
	Marker    string        // what to look for in the resources: a pod IP
	Workload  string        // the pod as ztunnel's Address names it, "ns/name"; "" if it has none
	Config    *ConfigChange // what to look for in place of hosts, marker and workload, unless the kind is endpoint
	Removed   bool          // the marker, or the object, has to go, not to come
	Scheduled time.Time
	// Converged, unless nil, is called once: when every proxy of the audience holds the change, with the time from Scheduled
	// to the last of them, or with false if there is nobody to wait for. It must not block.
	Converged func(took time.Duration, observed bool)
}

// Changes measures convergence.
type Changes interface {
	// Track starts the measurement of c. The audience is fixed now: the open proxies subscribed to one of its
	// resources, for a [ConfigChange] those that it says. The tracked change is told when the api-server has accepted the write, or that it never will.
	Track(c Change) TrackedChange
}

// TrackedChange follows one change from its write on.
type TrackedChange interface {
	Written()
	Cancel()
}
