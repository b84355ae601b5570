package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

func TestPodsOnTheRunsNodesRun(t *testing.T) {
	inWorld(t, func(w *world) {
		always := corev1.ContainerRestartPolicyAlways
		p := testPod("p", "10.1.0.5")
		p.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: "i"}, {Name: "istio-proxy", Image: "x", RestartPolicy: &always}}
		p.Status.QOSClass = corev1.PodQOSBestEffort
		w.create(testNamespace(), p) // before its node
		if got := w.pod("p").Status.Phase; got != corev1.PodPending {
			t.Errorf("phase %s without a node", got)
		}
		w.create(testNode("n1"))
		st := w.pod("p").Status
		if st.Phase != corev1.PodRunning || st.PodIP != "10.1.0.5" || st.PodIPs[0].IP != "10.1.0.5" || st.HostIP != "172.16.0.1" || st.StartTime == nil || st.QOSClass != corev1.PodQOSBestEffort {
			t.Errorf("status %+v", st)
		}
		var conds []string
		for _, c := range st.Conditions {
			conds = append(conds, fmt.Sprint(c.Type, c.Status))
		}
		if d := cmp.Diff([]string{"PodReadyToStartContainersTrue", "InitializedTrue", "ReadyTrue", "ContainersReadyTrue", "PodScheduledTrue"}, conds); d != "" {
			t.Error(d)
		}
		if len(st.ContainerStatuses) != 1 || !st.ContainerStatuses[0].Ready || st.ContainerStatuses[0].State.Running == nil || st.ContainerStatuses[0].Image != "img" {
			t.Errorf("containers %+v", st.ContainerStatuses)
		}
		if in := st.InitContainerStatuses; len(in) != 2 || in[0].State.Terminated == nil || in[1].State.Running == nil || !in[1].Ready {
			t.Errorf("init containers %+v", in)
		}
		if d := cmp.Diff([]string{"running ns/p 10.1.0.5"}, w.events); d != "" {
			t.Error(d)
		}
		w.expectCounts(1, 0, 0)
	})
}

func TestOnlyTheRunsNodes(t *testing.T) {
	inWorld(t, func(w *world) {
		foreign := testNode("n1")
		foreign.Labels[runtime.LabelRun] = "r0"
		w.create(testNamespace(), foreign, testPod("p", "10.1.0.5"))
		if got := w.pod("p").Status.Phase; got != corev1.PodPending {
			t.Errorf("a pod on another run's node is %s", got)
		}
		w.delete(w.pod("p"))
		if len(w.events) > 0 {
			t.Error(w.events)
		}
	})
}

func TestStrangersPodsGetAddressesFromTheTop(t *testing.T) {
	inWorld(t, func(w *world) {
		stranger := func(name string) *corev1.Pod {
			p := testPod(name, "")
			p.Labels = nil
			return p
		}
		w.create(testNode("n1"), testNamespace(), testPod("planned", "10.1.1.254"), stranger("s1"), stranger("s2"))
		if a, b := w.pod("s1").Status.PodIP, w.pod("s2").Status.PodIP; a != "10.1.1.253" || b != "10.1.1.252" {
			t.Errorf("addresses %s, %s", a, b)
		}
		w.delete(w.pod("s1"))
		w.create(stranger("s3"))
		if got := w.pod("s3").Status.PodIP; got != "10.1.1.253" {
			t.Errorf("address %s, want the one that became free", got)
		}
		agent := testPod("ztunnel", "10.1.0.9")
		agent.Labels[runtime.LabelRole] = runtime.RoleNodeAgent
		w.create(agent)
		w.expectCounts(1, 0, 0) // neither strangers nor node agents
	})
}

func TestTerminatingPodsEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(testNode("n1"), testNamespace(), testPod("p", "10.1.0.5"))
		p := w.pod("p")
		now := metav1.Now()
		p.DeletionTimestamp = &now
		w.update(p)
		if _, ok := get(w, &corev1.Pod{}, "ns", "p"); ok {
			t.Error("the pod is still there")
		}
		if d := cmp.Diff([]string{"running ns/p 10.1.0.5", "gone ns/p"}, w.events); d != "" {
			t.Error(d)
		}
		w.expectCounts(0, 0, 0)
	})
}

func TestReplacedBetweenTwoLists(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(testNode("n1"), testNamespace(), testPod("p", "10.1.0.5"))
		// A relist that missed the delete shows another pod under the same name.
		old, next := w.pod("p"), testPod("p", "10.1.0.6")
		w.stamp(next)
		next.Status = old.Status
		next.Status.PodIP = "10.1.0.6"
		m := newMirror(func(p *corev1.Pod) { w.c.podSeen(t.Context(), p) }, func(id identity) { w.c.podGone(t.Context(), id) })
		for _, list := range [][]any{{old}, {next}, {}} {
			if err := m.Replace(list, ""); err != nil {
				t.Fatal(err)
			}
		}
		w.settle()
		if d := cmp.Diff([]string{"running ns/p 10.1.0.5", "gone ns/p", "running ns/p 10.1.0.6", "gone ns/p"}, w.events); d != "" {
			t.Error(d)
		}
	})
}

func TestSlicesFollowThePods(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(testNode("n1"), testNamespace(), testSvc())
		got := w.slices()
		if len(got) != 1 {
			t.Fatalf("a Service without pods has slices %v, want one empty one", got)
		}
		var name string
		for name = range got {
		}
		expect := func(what string, want ...string) {
			t.Helper()
			if d := cmp.Diff(map[string][]string{name: want}, w.slices()); d != "" {
				t.Errorf("%s: %s", what, d)
			}
		}
		w.create(testPod("a", "10.1.0.1"))
		w.create(testPod("b", "10.1.0.2"))
		expect("created", "10.1.0.1 ready", "10.1.0.2 ready")
		w.expectCounts(2, 2, 2)

		b := w.pod("b")
		b.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
		w.update(b)
		expect("not ready", "10.1.0.1 ready", "10.1.0.2 unready")
		w.expectCounts(1, 1, 1)

		a := w.pod("a")
		a.Labels["app"] = "other"
		w.update(a)
		expect("label changed", "10.1.0.2 unready")
		a.Labels["app"] = "a"
		w.update(a)
		expect("label changed back", "10.1.0.2 unready", "10.1.0.1 ready")

		w.delete(b)
		expect("deleted", "10.1.0.1 ready")
		w.expectCounts(1, 1, 1)

		w.writes()
		a = w.pod("a")
		a.Annotations = map[string]string{"unrelated": "yes"}
		w.update(a)
		if got := w.writes(); len(got) > 0 {
			t.Errorf("an unrelated change of a pod caused %v", got)
		}
	})
}

func TestSelectorsAskForAllLabels(t *testing.T) {
	inWorld(t, func(w *world) {
		svc := testSvc()
		svc.Spec.Selector = map[string]string{"app": "a", "tier": "x"}
		both := testPod("both", "10.1.0.2")
		both.Labels["tier"] = "x"
		w.create(testNode("n1"), testNamespace(), svc, testPod("one", "10.1.0.1"), both)
		for _, eps := range w.slices() {
			if d := cmp.Diff([]string{"10.1.0.2 ready"}, eps); d != "" {
				t.Error(d)
			}
		}
		w.expectCounts(2, 1, 1)
		svc.Spec.Selector = map[string]string{"app": "a"}
		live, _ := get(w, svc, "ns", "svc")
		live.Spec.Selector = svc.Spec.Selector
		w.update(live)
		w.expectCounts(2, 2, 2)
	})
}

func TestSlicesAreKeptRight(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(testNode("n1"), testNamespace(), testPod("a", "10.1.0.1"), testSvc())
		var s *slice
		for name := range w.slices() {
			s, _ = get(w, &slice{}, "ns", name)
		}
		want := map[string][]string{s.Name: {"10.1.0.1 ready"}}
		w.delete(s)
		if d := cmp.Diff(want, w.slices()); d != "" {
			t.Error("deleted by somebody:", d)
		}
		s, _ = get(w, &slice{}, "ns", s.Name)
		s.Endpoints = nil
		w.update(s)
		if d := cmp.Diff(want, w.slices()); d != "" {
			t.Error("emptied by somebody:", d)
		}
		w.expectCounts(1, 1, 1)
		w.delete(testSvc())
		if got := w.slices(); len(got) != 0 {
			t.Errorf("the Service is gone, its slices are not: %v", got)
		}
		w.expectCounts(1, 0, 0)
	})
}

func TestForeignServicesAreLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		svc := testSvc()
		svc.Labels = nil
		ns := testNamespace()
		ns.Labels = nil
		w.create(testNode("n1"), svc, testPod("a", "10.1.0.1"), ns)
		if got := w.slices(); len(got) != 0 {
			t.Errorf("slices %v", got)
		}
		ns.Labels = map[string]string{runtime.LabelRun: "r1"} // seen after its contents
		w.update(ns)
		if got := w.slices(); len(got) != 1 {
			t.Errorf("slices %v", got)
		}
		w.expectCounts(1, 1, 1)
	})
}

func TestChangesMergeBehindAWriteInFlight(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(testNode("n1"), testNamespace(), testSvc(), testPod("a", "10.1.0.1"))
		w.writes()
		a := w.pod("a")
		flip := func(ready corev1.ConditionStatus) {
			a.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
			w.update(a)
		}
		w.hold(true)
		for range 5 {
			flip(corev1.ConditionFalse)
			flip(corev1.ConditionTrue)
		}
		flip(corev1.ConditionFalse)
		w.hold(false)
		w.settle()
		if got := w.writes(); len(got) != 1 {
			t.Errorf("11 changes behind one write that said the same: %v", got)
		}
		w.hold(true)
		flip(corev1.ConditionTrue)
		for i := range 9 {
			w.create(testPod(fmt.Sprint("more", i), "")) // their statuses wait too
		}
		w.hold(false)
		w.settle()
		n := 0
		for _, l := range w.writes() {
			if strings.HasPrefix(l, "update EndpointSlice") {
				n++
			}
		}
		if n > 10 {
			t.Errorf("%d slice writes", n)
		}
		for _, eps := range w.slices() {
			if len(eps) != 10 {
				t.Errorf("%d endpoints, want 10", len(eps))
			}
		}
	})
}

func TestFailedWritesAreTriedAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		failures := map[runtime.Verb]int{}
		w.fail = func(op runtime.Op) error {
			if failures[op.Verb]++; failures[op.Verb] <= 2 && op.Verb != runtime.VerbDelete {
				return errors.New("the server has had enough")
			}
			return nil
		}
		w.create(testNode("n1"), testNamespace(), testSvc(), testPod("a", "10.1.0.1"))
		time.Sleep(2*maxRetryDelay + renewEvery)
		w.settle()
		if got := w.slices(); len(got) != 1 {
			t.Errorf("slices %v", got)
		}
		w.expectCounts(1, 1, 1)
	})
}

func TestNamespacesOfTheRun(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(testNamespace())
		account, ok := get(w, &corev1.ServiceAccount{}, "ns", "default")
		if !ok || account.Labels[runtime.LabelRun] != "r1" {
			t.Error("no default ServiceAccount")
		}
		tries := 0
		w.drain = func(string) error {
			if tries++; tries < 3 {
				return errors.New("something waits for a finalizer")
			}
			return nil
		}
		ns, _ := get(w, &corev1.Namespace{}, "", "ns")
		now := metav1.Now()
		ns.DeletionTimestamp = &now
		w.update(ns)
		if _, ok := get(w, ns, "", "ns"); !ok {
			t.Error("the namespace went before it was empty")
		}
		time.Sleep(5 * time.Second)
		w.settle()
		if _, ok := get(w, ns, "", "ns"); ok || len(w.drained) != 3 {
			t.Errorf("namespace there: %v, drained %d times", ok, len(w.drained))
		}
		foreign := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "foreign", DeletionTimestamp: &now}}
		w.create(foreign)
		if _, ok := get(w, &corev1.ServiceAccount{}, "foreign", "default"); ok || len(w.drained) != 3 {
			t.Error("somebody else's namespace was touched")
		}
	})
}

func TestExistingAccountIsNoCollision(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "default"}}, testNamespace())
		if got := w.writes(); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
}

func TestLeases(t *testing.T) {
	inWorld(t, func(w *world) {
		for i := range 20 {
			w.create(testNode(fmt.Sprint("n", i)))
		}
		made := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: "n7"}}
		w.create(made)
		firsts := map[string]bool{}
		time.Sleep(renewEvery)
		w.settle()
		for i := range 20 {
			l, ok := get(w, &coordinationv1.Lease{}, corev1.NamespaceNodeLease, fmt.Sprint("n", i))
			if !ok || *l.Spec.LeaseDurationSeconds != 40 || *l.Spec.HolderIdentity != l.Name || time.Since(l.Spec.RenewTime.Time) > renewEvery {
				t.Fatalf("lease of n%d: %+v", i, l)
			}
			firsts[l.Spec.RenewTime.String()] = true
		}
		if len(firsts) < 10 {
			t.Errorf("20 nodes renew at only %d moments", len(firsts))
		}
		for _, l := range w.writes() {
			if l == "create Lease n7" {
				t.Error("a lease that is there was made again")
			}
		}
		time.Sleep(30 * time.Second)
		w.settle()
		renewals := 0
		for _, l := range w.writes() {
			if strings.HasPrefix(l, "update Lease") {
				renewals++
			}
		}
		if renewals != 60 {
			t.Errorf("%d renewals of 20 leases in 30 s, want 60", renewals)
		}
		w.delete(testNode("n3"))
		if _, ok := get(w, made, corev1.NamespaceNodeLease, "n3"); ok {
			t.Error("the node is gone, its lease is not")
		}
	})
}
