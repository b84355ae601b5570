package capture

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// Options say what a capture is made to fit.
type Options struct {
	// Cluster is what the target has of a cluster. In a sandbox, pods and Services keep their addresses. On a real cluster
	// the writer keeps Nodes and Pods from the api-server and takes the selectors from Services.
	Cluster ir.ClusterMode
	// Address gives a pod an address on a real cluster, where the captured one may be somebody's.
	Address func() (string, error)
	// ConfigOnly leaves out Nodes, Pods and proxies.
	ConfigOnly bool
}

// Replay is what a capture comes to on a target.
type Replay struct {
	Nodes  []Node  // those that the pods are on
	Writes []Write // in order
	// Unready are the statuses of pods that were not ready, to be written once these have started.
	Unready []Write
	// Proxies are the XDS clients of the pods, which they wait for.
	Proxies    []runtime.Proxy
	Population runtime.Population
	Left       []Left
	Changed    []Change
}

// Node is a Node to be made for pods.
type Node struct {
	Name   string
	IP     string // "" if it is not known
	Labels map[string]string
}

// Write is an object to be created, or its status. It must not be changed, but may be copied.
type Write struct {
	Group, Kind string
	Object      runtime.Object
	// Status says that it is the object's status that is written, after the object.
	Status bool
	// Barrier holds back what follows until this and all before have been written.
	Barrier bool
	// Settle says that the api-server takes a moment to see the consequences.
	Settle bool
}

// Fit makes the capture fit a target. The capture stays as it is. An error means that there are not enough addresses.
func (c *Capture) Fit(opt Options) (*Replay, error) {
	f := &fitting{Options: opt, out: &Replay{Left: slices.Clone(c.Left)}, namespaces: map[string]bool{}}
	f.index(c)
	f.ranges(c)
	for _, i := range c.items {
		f.item(i)
	}
	if f.err != nil {
		return nil, f.err
	}
	f.missingNamespaces()
	f.podChanges()
	slices.SortStableFunc(f.writes, func(a, b placed) int { return cmp.Or(cmp.Compare(a.stage, b.stage), a.address.Compare(b.address)) })
	for n, w := range f.writes {
		w.Barrier = w.Barrier || n+1 == len(f.writes) || f.writes[n+1].stage != w.stage
		f.out.Writes = append(f.out.Writes, w.Write)
	}
	return f.out, nil
}

// fitting is the work of [Capture.Fit].
type fitting struct {
	Options
	out    *Replay
	writes []placed

	pods       map[string]*corev1.Pod // that are reproduced, by "namespace/name"
	nodes      map[string]*corev1.Node
	sliced     map[string]bool // Services with an EndpointSlice, by "namespace/name"
	selecting  map[string]bool // Services with a selector
	injected   map[string]bool // namespaces whose pods are injected
	namespaces map[string]bool // that are written
	placed     map[string]bool // nodes that are made
	marked     int             // pods that are kept from another injection
	err        error
}

// placed is a write with its place among the others.
type placed struct {
	Write
	stage   stage
	address netip.Addr // that istiod had given a ServiceEntry; the zero value comes before all others
}

// real reports whether the target is somebody's cluster.
func (f *fitting) real() bool { return f.Cluster == ir.ClusterReal }

// own reports whether the target is nothing but an api-server, where addresses may be anything.
func (f *fitting) own() bool { return f.Cluster == ir.ClusterSandbox }

func (f *fitting) index(c *Capture) {
	f.pods, f.nodes = map[string]*corev1.Pod{}, map[string]*corev1.Node{}
	f.sliced, f.selecting, f.injected, f.placed = map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, i := range c.items {
		key := i.object.GetNamespace() + "/" + i.object.GetName()
		switch o := i.object.(type) {
		case *corev1.Pod:
			if !f.ConfigOnly {
				f.pods[key] = o
			}
		case *corev1.Node:
			f.nodes[o.Name] = o
		case *corev1.Service:
			f.selecting[key] = len(o.Spec.Selector) > 0
		case *discoveryv1.EndpointSlice:
			f.sliced[o.Namespace+"/"+o.Labels[discoveryv1.LabelServiceName]] = true
		case *corev1.Namespace:
			f.injected[o.Name] = o.Labels["istio-injection"] == "enabled" || o.Labels["istio.io/rev"] != ""
		}
	}
}

// item fits one object.
func (f *fitting) item(i item) {
	if why := f.misplaced(i); why != "" {
		f.leave(i, why)
		return
	}
	switch o := i.object.(type) {
	case *corev1.Namespace:
		f.namespace(i, o)
	case *corev1.Node: // made for the pods
	case *corev1.ServiceAccount:
		out := o.DeepCopy()
		out.Annotations = nil
		f.write(i, out)
	case *corev1.Service:
		f.service(i, o)
	case *oldEndpoints:
		f.endpoints(i, o)
	case *discoveryv1.EndpointSlice:
		f.slice(i, o)
	case *corev1.Pod:
		f.pod(i, o)
	case *unstructured.Unstructured:
		if i.kind.name == "ServiceEntry" {
			f.serviceEntry(i, o)
			return
		}
		f.write(i, o)
	default:
		f.write(i, i.object)
	}
}

// System namespaces are there before anything is reproduced.
const rootNamespace = "istio-system"

// isInstalled reports whether a name is of what Istio's charts install besides gateways.
func isInstalled(name string) bool {
	return slices.ContainsFunc([]string{"istiod", "istio-reader", "istio-cni", "ztunnel"}, func(p string) bool {
		return name == p || strings.HasPrefix(name, p+"-")
	})
}

func isKube(ns string) bool { return strings.HasPrefix(ns, "kube-") }

func isSystem(ns string) bool {
	return isKube(ns) || ns == rootNamespace || ns == corev1.NamespaceDefault
}

// misplaced says why an object belongs to the cluster that it was captured in, "" if it does not.
func (f *fitting) misplaced(i item) string {
	ns, name := i.object.GetNamespace(), i.object.GetName()
	switch {
	case i.kind.name == "Namespace" && isSystem(name), i.kind.name == "Service" && ns == "default" && name == "kubernetes",
		strings.HasPrefix(i.kind.name, "Endpoint") && ns == "default" && strings.HasPrefix(name, "kubernetes"):
		return "is what every cluster has of its own"
	case i.kind.name == "ServiceAccount" && name == "default":
		return "is what every namespace has of its own"
	case ns == rootNamespace && (i.kind.name == "Service" || i.kind.name == "ServiceAccount" || strings.HasPrefix(i.kind.name, "Endpoint")) && isInstalled(name):
		return "is of Istio's own installation"
	case i.kind.name == "ConfigMap" && ns == rootNamespace:
		return "configures the istiod of that cluster"
	case i.kind.name == "GatewayClass" && strings.HasPrefix(controllerOf(i.object), "istio.io/"):
		return "is made by istiod for itself"
	case f.real() && isKube(ns):
		return "is of a system namespace, and this is somebody's cluster"
	case f.real() && ns == rootNamespace && i.kind.stage != stageConfig && i.kind.name != "Pod":
		return "is of Istio's own namespace, and this is somebody's cluster"
	case f.ConfigOnly && (i.kind.name == "Pod" || i.kind.name == "Node"):
		return "is left out by configOnly"
	}
	return ""
}

func controllerOf(o runtime.Object) string {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return ""
	}
	name, _, _ := unstructured.NestedString(u.Object, "spec", "controllerName")
	return name
}

func (f *fitting) leave(i item, why string) {
	f.out.Left = append(f.out.Left, Left{Ref: i.ref(), Reason: why})
}

func (f *fitting) changed(r Ref, format string, args ...any) {
	f.out.Changed = append(f.out.Changed, Change{r, fmt.Sprintf(format, args...)})
}

// write takes an object as it is, but what plscript did not make itself goes to the api-server untyped, which judges it:
// typed objects may be written past it.
func (f *fitting) write(i item, o runtime.Object) {
	if _, ok := o.(*unstructured.Unstructured); !ok {
		content, err := k8sruntime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			f.leave(i, "cannot be encoded: "+err.Error())
			return
		}
		u := &unstructured.Unstructured{Object: content}
		u.SetGroupVersionKind(i.kind.gvk())
		o = u
	}
	f.place(i.kind, o)
}

func (f *fitting) place(k *kind, o runtime.Object) {
	f.writes = append(f.writes, placed{Write: Write{Group: k.group, Kind: k.name, Object: o}, stage: k.stage})
}

// serviceEntry fits a ServiceEntry. To those without an address istiod gives the next that is free (Istio
// pilot/pkg/controllers/ipallocate, prefixUse.allocateNext), and leaves those alone whose status has one. So they are
// written in the order of the addresses that they had, each followed by its status: what istiod gives out meanwhile is
// below all that are still to come.
func (f *fitting) serviceEntry(i item, o *unstructured.Unstructured) {
	out := o.DeepCopy()
	delete(out.Object, "status")
	f.write(i, out)
	given, _, _ := unstructured.NestedSlice(o.Object, "status", "addresses")
	for _, g := range given {
		entry, _ := g.(map[string]any)
		text, _ := entry["value"].(string)
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is4() {
			continue
		}
		w := &f.writes[len(f.writes)-1]
		w.address, w.Barrier = a, true
		f.writes = append(f.writes, placed{Write: Write{Group: i.kind.group, Kind: i.kind.name, Object: o, Status: true, Barrier: true}, stage: w.stage, address: a})
		return
	}
}

func (f *fitting) namespace(i item, o *corev1.Namespace) {
	out := o.DeepCopy()
	out.Annotations = istioOnly(out.Annotations)
	for key := range o.Labels {
		if strings.HasPrefix(key, "pod-security.kubernetes.io/") {
			delete(out.Labels, key)
			f.changed(i.ref(), "without the label %s, as its pods do not say what they may", key)
		}
	}
	f.namespaces[o.Name] = true
	f.out.Population.Namespaces++
	f.write(i, out)
}

func istioOnly(annotations map[string]string) map[string]string {
	out := maps.Clone(annotations)
	maps.DeleteFunc(out, func(k, _ string) bool { return !istioAnnotation(k) })
	return out
}

// missingNamespaces makes those that the file lacks.
func (f *fitting) missingNamespaces() {
	k, _ := lookup("v1", "Namespace")
	for _, w := range slices.Clone(f.writes) {
		ns := w.Object.GetNamespace()
		if ns == "" || isSystem(ns) || f.namespaces[ns] {
			continue
		}
		f.namespaces[ns] = true
		f.out.Population.Namespaces++
		made := &corev1.Namespace{}
		made.Name = ns
		f.changed(Ref{Kind: "Namespace", Name: ns}, "made, as the file lacks it")
		f.write(item{k, made}, made)
	}
}
