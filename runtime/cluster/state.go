package cluster

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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
	zone  *string // nil if it is in none; slices refer to it, so it is replaced and never changed
	ip    string  // InternalIP
	cidr  netip.Prefix
	taken map[netip.Addr]*pod // pod addresses on the node
	// waiting are the pods whose planned address is still another's, by that address.
	waiting map[netip.Addr][]*pod
	pods    map[*pod]struct{}

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
	shown      map[string]shownSlice // the run's EndpointSlices as watched, by name

	held  []*service // those whose slices wait for the end of a load, see loads.go
	owed  int        // running pods that loads have made and that are not seen yet; negative during a load
	loads int        // how many there were that were waited for
}

type labelPair struct{ key, value string }

// shownSlice is what is in use of an EndpointSlice of the run.
type shownSlice struct {
	service string // the Service's name
	ready   int    // ready addresses
}

// pod is what the cluster knows of a Pod.
type pod struct {
	namespace, name string
	uid             types.UID
	labels          map[string]string
	endpoint
	ports []corev1.ContainerPort // those with a name

	taken   netip.Addr  // the address it holds on its node
	toStart *corev1.Pod // as it was seen last, while it is still to be started
	grace   int64       // seconds that its deletion left it when it was seen last; -1 for none

	born       bool // was ready when it was first seen and has not changed since: the mesh is being loaded
	population bool // belongs to the run's desired set
	told       bool // PodRunning was called
	over       bool // and PodGone
	writing    bool // the fake kubelet's status is under way
	stopped    bool // its containers have ended
	deleting   bool // the fake kubelet's last writes are under way
	killed     bool // its containers are stopped because its grace period is over
	failures   int  // of the fake kubelet's writes

	stopAt  time.Time  // when its containers have stopped; zero until its kubelet has seen that it is terminating
	startAt time.Time  // when its containers are ready; zero until its kubelet has seen it
	flaps   *rand.Rand // when it ceases to be ready; nil while nothing is planned

	services []*service // those that select it
}

// endpoint is what the slices of a pod's services depend on, but for its ports.
type endpoint struct {
	node        string
	hostname    string
	subdomain   string
	ip          string // status.podIP
	phase       phase
	ready       bool // the Ready condition
	terminating bool
}

// phase is how far a pod is.
type phase uint8

const (
	pending phase = iota // no kubelet has started it
	running
	done // Succeeded or Failed
	unknown
)

func phaseOf(p *corev1.Pod) phase {
	switch p.Status.Phase {
	case "", corev1.PodPending:
		return pending
	case corev1.PodRunning:
		return running
	case corev1.PodSucceeded, corev1.PodFailed:
		return done
	}
	return unknown
}

func (p *pod) key() string { return p.namespace + "/" + p.name }

// is reports whether that is the pod's name.
func (p *pod) is(namespace, name string) bool { return p.name == name && p.namespace == namespace }

// counts reports whether the pod is one of pods.ready.
func (p *pod) counts() bool { return p.population && p.ready && !p.terminating }

// service is what the cluster knows of a Service, and the EndpointSlices that it keeps for it.
type service struct {
	namespace, name string
	uid             types.UID
	serviceSpec

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

// serviceSpec is what the slices of a Service depend on, but for its pods.
type serviceSpec struct {
	serviceTraits
	labels   map[string]string
	selector map[string]string
	ports    []corev1.ServicePort
}

type serviceTraits struct {
	annotated       bool // the selector is that of [runtime.AnnotationSelector]
	own             bool // carries the run's label
	external        bool // ExternalName: has no endpoints
	headless        bool
	publishNotReady bool
}

func (s *serviceSpec) equal(o *serviceSpec) bool {
	return s.serviceTraits == o.serviceTraits && maps.Equal(s.labels, o.labels) && maps.Equal(s.selector, o.selector) &&
		equality.Semantic.DeepEqual(s.ports, o.ports)
}

// listed reports whether it has a place in the slices of its services, ready or not.
func (e *endpoint) listed() bool { return e.ip != "" && e.phase != done }

// addresses is how many ready addresses p should have in the slices.
func (s *service) addresses(p *pod) int {
	if p.listed() && (s.publishNotReady || p.ready && !p.terminating) {
		return 1
	}
	return 0
}

// has reports whether p is still the pod of its name.
func (st *state) has(p *pod) bool {
	ns := st.namespaces[p.namespace]
	return ns != nil && ns.pods[p.name] == p
}

// node finds the node of that name, or makes a place for it.
func (st *state) node(name string) *node {
	n := st.nodes[name]
	if n == nil {
		n = newNode(name)
		st.nodes[name] = n
	}
	return n
}

func newNode(name string) *node {
	return &node{name: name, taken: map[netip.Addr]*pod{}, waiting: map[netip.Addr][]*pod{}, pods: map[*pod]struct{}{}}
}

// namespace finds the namespace of that name, or makes a place for it.
func (st *state) namespace(name string) *namespace {
	ns := st.namespaces[name]
	if ns == nil {
		ns = &namespace{
			name: name, pods: map[string]*pod{}, services: map[string]*service{},
			bySelector: map[labelPair][]*service{}, shown: map[string]shownSlice{},
		}
		st.namespaces[name] = ns
	}
	return ns
}

// counted reports whether the endpoints of s are among those that the run desires.
func (ns *namespace) counted(s *service) bool {
	return (s.own || ns.own) && !ns.terminating && !s.external && !s.gone && len(s.selector) > 0
}
