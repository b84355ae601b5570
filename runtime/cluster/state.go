package cluster

import (
	"math/rand/v2"
	"net/netip"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// state is what the watches have shown, with the counts that follow from it. It is guarded by Cluster.mu.
type state struct {
	nodes      map[string]*node
	namespaces map[string]*namespace

	podsReady        int
	podsTerminating  int // own ones that still run
	endpointsDesired int
	endpointsReady   int

	phantoms bool                 // the pods are not in the api-server
	awaited  map[string][]*waiter // those who wait for pods to be ready, by the pod's key
}

func newState() state {
	return state{nodes: map[string]*node{}, namespaces: map[string]*namespace{}, awaited: map[string][]*waiter{}}
}

// node is a Node, or the place of one that is not seen yet but has pods.
type node struct {
	name  string
	own   bool // its pods are run by the fake kubelet
	uid   types.UID
	zone  string
	ip    string // InternalIP
	cidr  netip.Prefix
	taken map[netip.Addr]*pod // pod addresses on the node
	// waiting are the pods whose planned address is still another's, by that address.
	waiting map[netip.Addr][]*pod
	pods    map[string]*pod // by key

	leased bool                  // its Lease is being renewed
	lease  *coordinationv1.Lease // as last answered; nil if unknown
	renews bool                  // a write of the Lease is under way
}

// namespace is a Namespace, or the place of one that is not seen yet but has contents.
type namespace struct {
	name        string
	uid         types.UID
	own         bool
	terminating bool
	pods        map[string]*pod // by name
	services    map[string]*service
	// bySelector finds the services that may select a pod: each is listed under one pair of its selector.
	bySelector map[labelPair][]*service
	ready      map[string]int // ready addresses of each EndpointSlice, by name

	held  []*service // those whose slices wait for the end of a load, see loads.go
	owed  int        // running pods that loads have made and that are not seen yet; negative during a load
	loads int        // how many there were that were waited for
}

type labelPair struct{ key, value string }

// pod is what the cluster knows of a Pod.
type pod struct {
	namespace, name string
	uid             types.UID
	node            string
	labels          map[string]string
	hostname        string
	subdomain       string
	ports           []corev1.ContainerPort // those with a name

	taken       netip.Addr // the address it holds on its node
	ip          string     // status.podIP
	done        bool       // Succeeded or Failed
	ready       bool       // the Ready condition
	terminating bool

	born       bool // was ready when it was first seen and has not changed since: the mesh is being loaded
	population bool // belongs to the run's desired set
	told       bool // PodRunning was called
	over       bool // and PodGone
	writing    bool // the fake kubelet's status is under way
	stopped    bool // its containers have ended
	deleting   bool // the fake kubelet's last writes are under way
	failures   int  // of the fake kubelet's writes

	stopAt  time.Time  // when its containers have stopped; zero until its kubelet has seen that it is terminating
	killed  bool       // because its grace period is over
	startAt time.Time  // when its containers are ready; zero until its kubelet has seen it
	flaps   *rand.Rand // when it ceases to be ready; nil while nothing is planned

	services map[*service]struct{} // those that select it
}

func (p *pod) key() string { return p.namespace + "/" + p.name }

// counts reports whether the pod is one of pods.ready.
func (p *pod) counts() bool { return p.population && p.ready && !p.terminating }

// service is what the cluster knows of a Service, and the EndpointSlices that it keeps for it.
type service struct {
	namespace, name string
	uid             types.UID
	labels          map[string]string
	selector        map[string]string
	annotated       bool // the selector is that of [runtime.AnnotationSelector]
	own             bool // carries the run's label
	external        bool // ExternalName: has no endpoints
	headless        bool
	publishNotReady bool
	ports           []corev1.ServicePort

	selected bool // it is one whose endpoints are counted, and members is filled
	members  map[*pod]struct{}
	desired  int // ready addresses that its slices should hold

	slices   map[string]*slice // as last answered or watched, by name
	queued   bool              // waits to be planned
	changed  bool              // something changed since it was planned
	held     bool              // waits for the end of a load
	measured bool              // and it may be one of the changes whose convergence is measured
	inflight int               // slice writes under way
	attempt  int               // failed writes, which change the names of new slices
	gone     bool              // the Service was deleted
}

// listed reports whether the pod has a place in the slices of its services, ready or not.
func (p *pod) listed() bool { return p.ip != "" && !p.done }

// addresses is how many ready addresses p should have in the slices.
func (s *service) addresses(p *pod) int {
	if p.listed() && (s.publishNotReady || p.ready && !p.terminating) {
		return 1
	}
	return 0
}

func (st *state) node(name string) *node {
	n := st.nodes[name]
	if n == nil {
		n = newNode(name)
		st.nodes[name] = n
	}
	return n
}

func newNode(name string) *node {
	return &node{name: name, taken: map[netip.Addr]*pod{}, waiting: map[netip.Addr][]*pod{}, pods: map[string]*pod{}}
}

func (st *state) namespace(name string) *namespace {
	ns := st.namespaces[name]
	if ns == nil {
		ns = &namespace{
			name: name, pods: map[string]*pod{}, services: map[string]*service{},
			bySelector: map[labelPair][]*service{}, ready: map[string]int{},
		}
		st.namespaces[name] = ns
	}
	return ns
}

// counted reports whether the endpoints of s are among those that the run desires.
func (ns *namespace) counted(s *service) bool {
	return (s.own || ns.own) && !ns.terminating && !s.external && !s.gone && len(s.selector) > 0
}
