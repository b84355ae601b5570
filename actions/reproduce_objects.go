package actions

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/capture"
)

// objects are the nodes and then the other objects, in order.
func (a *reproduce) objects(m *runtime.Mesh, r *capture.Replay, now time.Time) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		for _, n := range r.Nodes {
			made, err := capturedNode(m, n, now)
			if err != nil {
				yield(runtime.Intent{}, err)
				return
			}
			for _, in := range made {
				if !yield(in, nil) {
					return
				}
			}
		}
		m.AddFound(r.Population)
		writes(r.Writes)(yield)
	}
}

func writes(all []capture.Write) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		for _, w := range all {
			if !yield(capturedIntent(w), nil) || w.Settle && !yield(runtime.Intent{Pause: settle}, nil) {
				return
			}
		}
	}
}

// proxies are the streams, each after the delay.
func (a *reproduce) proxies(m *runtime.Mesh, all []runtime.Proxy) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		for i, p := range all {
			if i > 0 && a.Delay > 0 && !yield(runtime.Intent{Pause: a.Delay.Std()}, nil) {
				return
			}
			want := runtime.Intent{
				Kind: string(p.Class), Namespace: p.Namespace, Name: p.Name, Class: p.Class, CSR: m.Certify,
				Want: func() runtime.Proxy { p.CSR = m.Certify; return p },
			}
			if !yield(want, nil) {
				return
			}
		}
	}
}

// settle is how long the api-server's allocators may take to see a new range of Service addresses.
const settle = 500 * time.Millisecond

func capturedIntent(w capture.Write) runtime.Intent {
	verb := runtime.VerbCreate
	if w.Status {
		verb = runtime.VerbStatus
	}
	return runtime.Intent{
		Verb: verb, Group: w.Group, Kind: w.Kind, Namespace: w.Object.GetNamespace(), Name: w.Object.GetName(), Barrier: w.Barrier,
		// The writer labels what it is given.
		Build: func() runtime.Object { return w.Object.DeepCopyObject().(runtime.Object) },
	}
}

// capturedNode plans a Node of the captured cluster: with its name, its labels and its address.
func capturedNode(m *runtime.Mesh, from capture.Node, now time.Time) ([]runtime.Intent, error) {
	n, err := m.AddNode(runtime.Node{Name: from.Name, Zone: from.Labels[corev1.LabelTopologyZone], Region: from.Labels[corev1.LabelTopologyRegion]})
	if err != nil {
		return nil, err
	}
	spec := plainNode
	spec.Labels = from.Labels
	out := nodeIntents(n, spec, now)
	build := out[0].Build
	out[0].Build = func() runtime.Object {
		o := build()
		node, ok := o.(*corev1.Node)
		if !ok {
			return o
		}
		for key, v := range node.Labels {
			if v == "" && from.Labels[key] == "" {
				delete(node.Labels, key) // it was in no zone
			}
		}
		for i := range node.Status.Addresses {
			if a := &node.Status.Addresses[i]; a.Type == corev1.NodeInternalIP && from.IP != "" {
				a.Address = from.IP
			}
		}
		return node
	}
	return out, nil
}
