package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// forgetSlices has the next look at the Service's slices lead to a write: it shows whether there was one.
func (w *world) forgetSlices() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	clear(w.c.state.namespace("ns").services["svc"].slices)
}

func (w *world) service() *corev1.Service {
	w.t.Helper()
	s, ok := get(w, &corev1.Service{}, "ns", "svc")
	if !ok {
		w.t.Fatal("no Service")
	}
	return s
}

// TestOnlyChangesThatMatterAreFollowed: nobody looks at the slices of a Service because istiod has written into its status,
// or because something of a pod has changed that is not in them; everything that is leads to a look.
func TestOnlyChangesThatMatterAreFollowed(t *testing.T) {
	service := func(change func(*corev1.Service)) func(*world) {
		return func(w *world) { s := w.service(); change(s); w.update(s) }
	}
	pod := func(change func(*corev1.Pod)) func(*world) {
		return func(w *world) { p := w.pod("a"); change(p); w.update(p) }
	}
	for name, c := range map[string]struct {
		do      func(*world)
		follows bool
	}{
		"status of the Service": {do: service(func(s *corev1.Service) {
			s.Status.Conditions = []metav1.Condition{{Type: "istio.io/WaypointBound", Status: metav1.ConditionTrue}}
		})},
		"annotation of the Service":    {do: service(func(s *corev1.Service) { s.Annotations = map[string]string{"a": "b"} })},
		"label of the Service":         {do: service(func(s *corev1.Service) { s.Labels["team"] = "b" }), follows: true},
		"port of the Service":          {do: service(func(s *corev1.Service) { s.Spec.Ports[0].Port = 81 }), follows: true},
		"target of the port":           {do: service(func(s *corev1.Service) { s.Spec.Ports[0].TargetPort.IntVal = 81 }), follows: true},
		"selector":                     {do: service(func(s *corev1.Service) { s.Spec.Selector["app"] = "b" }), follows: true},
		"headless":                     {do: service(func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }), follows: true},
		"addresses that are not ready": {do: service(func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }), follows: true},
		"nothing of the pod":           {do: pod(func(*corev1.Pod) {})},
		"annotation of the pod":        {do: pod(func(p *corev1.Pod) { p.Annotations["a"] = "b" })},
		"label of the pod":             {do: pod(func(p *corev1.Pod) { p.Labels["team"] = "b" })},
		"label that selects the pod":   {do: pod(func(p *corev1.Pod) { p.Labels["app"] = "b" }), follows: true},
		"address of the pod":           {do: pod(func(p *corev1.Pod) { p.Status.PodIP = "10.1.0.7" }), follows: true},
		"port of the pod": {do: pod(func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 80}}
		}), follows: true},
		"readiness of the pod": {do: pod(func(p *corev1.Pod) { p.Status.Conditions = nil }), follows: true},
		"end of the pod":       {do: pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), follows: true},
		"hostname of the pod":  {do: pod(func(p *corev1.Pod) { p.Spec.Hostname = "h" }), follows: true},
		"zone of the node": {do: func(w *world) {
			n, _ := get(w, &corev1.Node{}, "", "n1")
			n.Labels[corev1.LabelTopologyZone] = "z2"
			w.update(n)
		}, follows: true},
		"capacity of the node": {do: func(w *world) {
			n, _ := get(w, &corev1.Node{}, "", "n1")
			n.Status.Phase = corev1.NodeRunning
			w.update(n)
		}},
	} {
		inWorld(t, func(w *world) {
			w.create(testNode("n1"), testNamespace(), testSvc(), testPod("a", "10.1.0.1"))
			w.forgetSlices()
			w.written = nil
			c.do(w)
			if got := len(w.slicesWritten()) > 0; got != c.follows {
				t.Errorf("%s: slices are looked at: %v, want %v", name, got, c.follows)
			}
		})
	}
}

// slicesWritten are the EndpointSlices that were asked for since the start, or since written was cleared.
func (w *world) slicesWritten() (out []runtime.Op) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, op := range w.written {
		if _, ok := op.Object.(*discoveryv1.EndpointSlice); ok {
			out = append(out, op)
		}
	}
	return out
}

// TestSlicesOfAnEarlierService: one that has the name which a new slice gets is taken over, and put right.
func TestSlicesOfAnEarlierService(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(testNode("n1"), testNamespace(), testPod("a", "10.1.0.1"))
		svc := testSvc()
		left := blankSlice(&service{namespace: "ns", name: "svc", uid: "earlier"}, "r1")
		left.Name = sliceName(&service{namespace: "ns", name: "svc"}, 0)
		left.Endpoints = []discoveryv1.Endpoint{testEndpoint(7, true)}
		left.Endpoints[0].Conditions.Terminating = truth(false)
		w.create(left)
		w.create(svc)
		if d := cmp.Diff(map[string][]string{left.Name: {"10.1.0.1 ready"}}, w.slices()); d != "" {
			t.Error(d)
		}
		if got, _ := get(w, left, "ns", left.Name); got.OwnerReferences[0].UID != w.service().UID {
			t.Errorf("owner %+v", got.OwnerReferences)
		}
		w.expectCounts(1, 1, 1)
	})
}
