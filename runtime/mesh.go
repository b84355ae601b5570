package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/plscript/plscript/lang/ir"
)

// Mesh is the planned state of the run: what the scenario has asked for so far. Steps change it as they are planned or
// run and draw their victims from it, never from what the cluster shows, so that the same file and seed give the same
// operations. It is safe for concurrent use.
type Mesh struct {
	// Certify says that proxies ask for a certificate unless their app says otherwise.
	Certify bool
	// Cluster is what the target has of a cluster.
	Cluster ir.ClusterMode
	// GracePeriod is how long pods are given to end, in whole seconds; 0 where they end at once.
	GracePeriod time.Duration

	seed int64
	// autoNodes: the scenario makes no nodes itself, so that plain ones are added when a pod finds no room.
	autoNodes bool

	mu         sync.Mutex
	nodes      []*Node
	nodeNames  map[string]bool
	namespaces []*Namespace
	byName     map[string]*Namespace
	cursor     int // the node the last pod went to
	room       int // pods that the nodes still take
	pods       int64
	services   int64
	found      Population
	machines   uint32                    // addresses given to machines outside of the cluster
	applied    map[ObjectKey]*Config     // objects written from templates
	configs    []*Config                 // the same, in order
	clients    []Client                  // streams that have no pod behind them
	clientKeys map[string]bool           // the same, by key
	known      map[*Node]map[string]bool // addresses that the nodes' ztunnels have asked for
}

// NewMesh returns an empty mesh. autoNodes adds plain nodes as pods need them.
func NewMesh(seed int64, autoNodes bool) *Mesh {
	return &Mesh{seed: seed, autoNodes: autoNodes, byName: map[string]*Namespace{}, nodeNames: map[string]bool{}, applied: map[ObjectKey]*Config{}}
}

// ErrNodeExists is returned for a node that the scenario has made already.
var ErrNodeExists = errors.New("the scenario makes this node twice")

// AddNode plans a node. It fails when the address space for pods is used up, and with [ErrNodeExists].
func (m *Mesh) AddNode(n Node) (*Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addNode(n)
}

func (m *Mesh) addNode(n Node) (*Node, error) {
	if len(m.nodes) >= MaxNodes {
		return nil, fmt.Errorf("too many nodes: pod addresses last for %d", MaxNodes)
	}
	if m.nodeNames[n.Name] {
		return nil, fmt.Errorf("node %q: %w: give one of the steps another `name`", n.Name, ErrNodeExists)
	}
	m.nodeNames[n.Name] = true
	n.Index, n.GracePeriod = len(m.nodes), m.GracePeriod
	m.nodes = append(m.nodes, &n)
	m.room += n.maxPods()
	return &n, nil
}

// ErrNamespaceExists is returned for a namespace that the scenario has made already.
var ErrNamespaceExists = errors.New("the scenario makes this namespace twice")

// AddNamespace plans a namespace.
func (m *Mesh) AddNamespace(name string, index int) (*Namespace, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byName[name] != nil {
		return nil, fmt.Errorf("namespace %q: %w: give one of the steps another `name`", name, ErrNamespaceExists)
	}
	ns := &Namespace{Name: name, Index: index}
	m.byName[name] = ns
	m.namespaces = append(m.namespaces, ns)
	return ns, nil
}

// AddApp plans an app, with its Service if it is in the cluster, in its namespace. It returns nil if the namespace is
// planned to go by now.
func (m *Mesh) AddApp(a App) *App {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byName[a.Namespace.Name] != a.Namespace {
		return nil
	}
	a.Namespace.apps = append(a.Namespace.apps, &a)
	if a.Type.InCluster() {
		m.services++
	}
	return &a
}

// AddPod plans a pod of app; it is nil if the app is planned to go by now. added is a node that had to be added for it, nil
// if there was room.
func (m *Mesh) AddPod(app *App) (pod *Pod, added *Node, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if app.gone {
		return nil, nil, nil
	}
	pod = &Pod{App: app, ordinal: int32(app.next), seed: m.seed}
	added, err = m.place(pod)
	if err != nil {
		return nil, nil, err
	}
	app.next++
	app.pods = append(app.pods, pod)
	m.pods++
	return pod, added, nil
}

// AddMachine plans a machine outside of the cluster and returns its address, which is never given again.
func (m *Mesh) AddMachine() (ip string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.machines++; m.machines > maxMachines {
		return "", fmt.Errorf("too many machines: their addresses last for %d", maxMachines)
	}
	return dotted(machineNet + m.machines), nil
}

// Replace plans that the pod at the place goes and a new one takes it. Both are nil if the place is empty by now.
func (m *Mesh) Replace(at Place) (gone, pod *Pod, added *Node, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at.i >= len(at.app.pods) {
		return nil, nil, nil, nil
	}
	gone = at.app.pods[at.i]
	pod = &Pod{App: at.app, ordinal: gone.ordinal, gen: gone.gen + 1, seed: m.seed}
	// The newcomer is placed while the other still holds its address, as its proxy does.
	if added, err = m.place(pod); err != nil {
		return nil, nil, nil, err
	}
	m.release(gone)
	at.app.pods[at.i] = pod
	return gone, pod, added, nil
}

// place finds the next node with room: round robin over the scenario's own nodes, one after the other full where
// nodes are added as needed.
func (m *Mesh) place(pod *Pod) (added *Node, err error) {
	room := m.room > 0
	first := m.cursor + 1
	if m.autoNodes {
		first = m.cursor
	}
	for i := 0; room && i < len(m.nodes); i++ {
		n := m.nodes[(first+i)%len(m.nodes)]
		if slot, ok := n.take(); ok {
			m.cursor = n.Index
			m.room--
			pod.node, pod.slot = n, slot
			return nil, nil
		}
	}
	if !m.autoNodes && len(m.nodes) == 0 {
		return nil, fmt.Errorf("no node for pod %d of %s/%s: in a scenario with createNodes that step comes before the pods", pod.ordinal, pod.App.Namespace.Name, pod.App.Name)
	}
	if !m.autoNodes {
		capacity := 0
		for _, n := range m.nodes {
			capacity += n.maxPods()
		}
		return nil, fmt.Errorf("no room for pod %d of %s/%s: %d nodes take %d pods in all; raise the count of createNodes",
			pod.ordinal, pod.App.Namespace.Name, pod.App.Name, len(m.nodes), capacity)
	}
	n, err := m.addNode(Node{Name: fmt.Sprintf("node-%d", len(m.nodes)), Zone: "zone-a", Region: "region-a"})
	if err != nil {
		return nil, err
	}
	m.cursor = n.Index
	m.room--
	pod.node = n
	pod.slot, _ = n.take()
	return n, nil
}

// release gives the pod's address back.
func (m *Mesh) release(p *Pod) {
	p.node.release(p.slot)
	m.room++
}

// RemoveNewest plans that the last pod of the app goes, and returns it; nil if the app has none.
func (m *Mesh) RemoveNewest(app *App) *Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(app.pods)
	if n == 0 {
		return nil
	}
	pod := app.pods[n-1]
	app.pods = app.pods[:n-1]
	m.release(pod)
	m.pods--
	return pod
}

// RemovePod plans that the pod goes.
func (m *Mesh) RemovePod(pod *Pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(pod.App.pods, pod); i >= 0 {
		pod.App.pods = slices.Delete(pod.App.pods, i, i+1)
		m.release(pod)
		m.pods--
	}
}

// RemoveApp plans that the app goes, and returns its pods.
func (m *Mesh) RemoveApp(app *App) []*Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.Index(app.Namespace.apps, app)
	if i < 0 {
		return nil
	}
	app.Namespace.apps = slices.Delete(app.Namespace.apps, i, i+1)
	return m.emptyApp(app)
}

// emptyApp takes the app's Service and pods out of the plan.
func (m *Mesh) emptyApp(app *App) []*Pod {
	gone := app.pods
	for _, p := range gone {
		m.release(p)
	}
	m.pods -= int64(len(gone))
	if app.Type.InCluster() {
		m.services--
	}
	app.pods, app.gone = nil, true
	return gone
}

// RemoveNamespace plans that the namespace goes with all that is in it, and returns its pods.
func (m *Mesh) RemoveNamespace(name string) []*Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	ns := m.byName[name]
	if ns == nil {
		return nil
	}
	delete(m.byName, name)
	m.namespaces = slices.DeleteFunc(m.namespaces, func(n *Namespace) bool { return n == ns })
	var gone []*Pod
	for _, a := range ns.apps {
		gone = append(gone, m.emptyApp(a)...)
	}
	ns.apps = nil
	m.unapplyNamespace(name)
	return gone
}

// HasNamespace reports whether ns is planned, and not to go by now.
func (m *Mesh) HasNamespace(ns *Namespace) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byName[ns.Name] == ns
}

// Namespaces returns the planned namespaces, in the order they were planned.
func (m *Mesh) Namespaces() []*Namespace {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]*Namespace(nil), m.namespaces...)
}

// Nodes returns the planned nodes, in the order they were planned.
func (m *Mesh) Nodes() []*Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]*Node(nil), m.nodes...)
}

// Apps returns the planned apps of ns.
func (m *Mesh) Apps(ns *Namespace) []*App {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]*App(nil), ns.apps...)
}

// Pods returns the planned pods of app.
func (m *Mesh) Pods(app *App) []*Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]*Pod(nil), app.pods...)
}

// Place is where a pod of an app stands. Its pod changes as it is replaced, its place does not.
type Place struct {
	app *App
	i   int
}

// App is the app that the place belongs to.
func (p Place) App() *App { return p.app }

// Places returns the places of the planned pods that sel selects.
func (m *Mesh) Places(ctx context.Context, sel *Selector) ([]Place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Place
	if sel == nil {
		out = make([]Place, 0, m.pods)
	}
	for _, ns := range m.namespaces {
		for _, a := range ns.apps {
			for i, p := range a.pods {
				ok, err := sel.Matches(ctx, Scene{Pod: p})
				if err != nil {
					return nil, err
				}
				if ok {
					out = append(out, Place{a, i})
				}
			}
		}
	}
	return out, nil
}

// Population is the size of a mesh.
type Population struct {
	Namespaces int64 `json:"namespaces"`
	Services   int64 `json:"services"`
	Pods       int64 `json:"pods"`
	Nodes      int64 `json:"nodes"`
}

// AddFound plans what no step of the scenario can select, for it was made elsewhere: the namespaces, Services and pods of
// a captured cluster. Its nodes are planned as any others.
func (m *Mesh) AddFound(p Population) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.found.Namespaces += p.Namespaces
	m.found.Services += p.Services
	m.found.Pods += p.Pods
}

// Population returns the planned sizes.
func (m *Mesh) Population() Population {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.found
	return Population{
		Namespaces: f.Namespaces + int64(len(m.namespaces)), Services: f.Services + m.services, Pods: f.Pods + m.pods,
		Nodes: int64(len(m.nodes)),
	}
}

// Read implements [Meter].
func (m *Mesh) Read(r Readings) {
	p := m.Population()
	r["namespaces.desired"] = p.Namespaces
	r["services.desired"] = p.Services
	r["pods.desired"] = p.Pods
	r["nodes.desired"] = p.Nodes
}
