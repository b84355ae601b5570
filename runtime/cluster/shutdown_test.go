package cluster

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// stopsAfter has pods take d to stop.
func stopsAfter(d time.Duration) func(*Config) {
	return func(c *Config) { c.Kubelet = Kubelet{Seed: 1, StopP50: d, StopP99: d} }
}

// terminate deletes a pod as the api-server does, with so many seconds to stop.
func (w *world) terminate(name string, grace int64) {
	w.t.Helper()
	p := w.pod(name)
	at := metav1.NewTime(time.Now().Add(time.Duration(grace) * time.Second))
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, &grace
	w.update(p)
}

// after lets time pass, and everything happen that is due by then.
func (w *world) after(d time.Duration) {
	time.Sleep(d)
	w.settle()
}

// allSlices are the endpoints of all slices in namespace ns.
func (w *world) allSlices() (out []string) {
	for _, endpoints := range w.slices() {
		out = append(out, endpoints...)
	}
	return out
}

// TestTerminatingPodsTakeTheirTime follows a pod from its delete: an endpoint that is not ready but serves, a proxy that
// stays, a terminal status, and an address that the next pod gets only then.
func TestTerminatingPodsTakeTheirTime(t *testing.T) {
	inWorldOf(t, stopsAfter(5*time.Second), func(w *world) {
		w.create(testNode("n1"), testNamespace(), testSvc(), testPod("old", "10.1.0.5"), testPod("other", "10.1.0.6"))
		w.terminate("old", 30)
		w.create(testPod("new", "10.1.0.5"))
		w.writes()
		w.after(5*time.Second - time.Millisecond)
		if d := cmp.Diff([]string{"10.1.0.5 terminating", "10.1.0.6 ready"}, w.allSlices()); d != "" {
			t.Error(d)
		}
		list, err := w.client.DiscoveryV1().EndpointSlices("ns").List(t.Context(), metav1.ListOptions{})
		if err != nil || *list.Items[0].Endpoints[0].Conditions.Ready || !*list.Items[0].Endpoints[0].Conditions.Serving {
			t.Errorf("conditions %+v, %v: want one that serves and is not ready", list.Items[0].Endpoints[0].Conditions, err)
		}
		if got := w.pod("new").Status.Phase; got != corev1.PodPending {
			t.Errorf("a pod with the address of one that still runs is %s", got)
		}
		if got := podWrites(w.writes(), "old"); len(got) > 0 {
			t.Errorf("writes before it has stopped: %q", got)
		}
		w.expectCounts(1, 1, 1)
		w.expectTerminating(1)

		w.after(2 * time.Millisecond)
		if d := cmp.Diff([]string{"running ns/old 10.1.0.5", "running ns/other 10.1.0.6", "gone ns/old", "running ns/new 10.1.0.5"}, w.events); d != "" {
			t.Error(d)
		}
		if _, ok := get(w, &corev1.Pod{}, "ns", "old"); ok {
			t.Error("the pod is still there")
		}
		if d := cmp.Diff([]string{"status Pod old", "delete Pod old"}, podWrites(w.writes(), "old")); d != "" {
			t.Error(d)
		}
		w.expectCounts(2, 2, 2)
		w.expectTerminating(0)
	})
}

func (w *world) expectTerminating(want int64) {
	w.t.Helper()
	r := runtime.Readings{}
	if w.c.Read(r); r["pods.terminating"] != want {
		w.t.Errorf("%v pods terminating, want %d", r["pods.terminating"], want)
	}
}

// podWrites are the writes of one pod.
func podWrites(all []string, name string) (out []string) {
	for _, x := range all {
		if strings.HasSuffix(x, " "+name) {
			out = append(out, x)
		}
	}
	return out
}

// lastStatus is what the kubelet wrote last about a pod that has stopped, or nil.
func (w *world) lastStatus() (last *corev1.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, op := range w.written {
		if p, ok := op.Object.(*corev1.Pod); ok && op.Verb == runtime.VerbStatus && p.DeletionTimestamp != nil {
			last = p
		}
	}
	return last
}

// TestTheGracePeriodEnds: what still runs then is killed, also when the grace period is cut short; with none, the
// api-server removes the pod and the kubelet writes nothing.
func TestTheGracePeriodEnds(t *testing.T) {
	inWorldOf(t, stopsAfter(time.Minute), func(w *world) {
		always := corev1.ContainerRestartPolicyAlways
		p := testPod("p", "10.1.0.5")
		p.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: "i"}, {Name: "istio-proxy", Image: "x", RestartPolicy: &always}}
		w.create(testNode("n1"), testNamespace(), p)
		w.terminate("p", 30)
		w.after(10 * time.Second)
		w.terminate("p", 2)
		w.after(time.Second)
		if w.lastStatus() != nil {
			t.Fatal("it was stopped before its time")
		}
		w.after(time.Second + time.Millisecond)
		last := w.lastStatus()
		if _, ok := get(w, &corev1.Pod{}, "ns", "p"); ok || last == nil {
			t.Fatal("it outlived its grace period")
		}
		st := last.Status
		if st.Phase != corev1.PodFailed || ready(last) || st.PodIP != "10.1.0.5" {
			t.Errorf("status %+v", st)
		}
		for _, ct := range append(st.ContainerStatuses, st.InitContainerStatuses[1]) {
			if end := ct.State.Terminated; end == nil || end.ExitCode != 137 || ct.Ready {
				t.Errorf("container %+v", ct)
			}
		}
		if end := st.InitContainerStatuses[0].State.Terminated; end == nil || end.ExitCode != 0 {
			t.Errorf("an init container that had done its work: %+v", st.InitContainerStatuses[0])
		}
		w.create(testPod("q", "10.1.0.6"))
		w.writes()
		w.terminate("q", 0)
		w.delete(w.pod("q"))
		w.after(2 * time.Minute)
		if got := podWrites(w.writes(), "q"); len(got) > 0 {
			t.Errorf("writes about a pod that the api-server removes: %q", got)
		}
	})
}

// TestStoppedStatus: of the conditions only those about readiness follow the end of the containers.
func TestStoppedStatus(t *testing.T) {
	t.Parallel()
	for killed, want := range map[bool]corev1.PodCondition{
		false: {Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "PodCompleted"},
		true:  {Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "PodFailed"},
	} {
		gate := corev1.PodCondition{Type: "example.com/gate", Status: corev1.ConditionFalse, Reason: "Mine", Message: "closed"}
		scheduled := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}
		p := &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue}, gate, scheduled,
		}}}
		now := metav1.Now()
		stopped(p, killed, now)
		want.LastTransitionTime = now
		if d := cmp.Diff([]corev1.PodCondition{want, gate, scheduled}, p.Status.Conditions); d != "" {
			t.Error(d)
		}
	}
}

// TestPodsThatDoNotRunEndAtOnce: nothing in them takes time to stop.
func TestPodsThatDoNotRunEndAtOnce(t *testing.T) {
	inWorldOf(t, func(c *Config) {
		c.Kubelet = Kubelet{StartP50: time.Hour, StartP99: time.Hour, StopP50: time.Minute, StopP99: time.Minute}
	}, func(w *world) {
		w.create(testNode("n1"), testNamespace(), testPod("p", "10.1.0.5"))
		w.terminate("p", 30)
		if _, ok := get(w, &corev1.Pod{}, "ns", "p"); ok {
			t.Error("a pod that never ran is still there")
		}
	})
}

// TestStoppingIsTriedAgain: writes that fail hold nothing up for good, and the proxy is told of the end once.
func TestStoppingIsTriedAgain(t *testing.T) {
	for _, verb := range []runtime.Verb{runtime.VerbStatus, runtime.VerbDelete} {
		inWorldOf(t, stopsAfter(time.Second), func(w *world) {
			w.create(testNode("n1"), testNamespace(), testPod("p", "10.1.0.5"))
			failures := 2
			w.fail = func(op runtime.Op) error {
				if op.Verb == verb && failures > 0 {
					failures--
					return errors.New("no")
				}
				return nil
			}
			w.terminate("p", 30)
			w.after(20 * time.Second)
			if _, ok := get(w, &corev1.Pod{}, "ns", "p"); ok {
				t.Errorf("%s failed, and the pod stays", verb)
			}
			if d := cmp.Diff([]string{"running ns/p 10.1.0.5", "gone ns/p"}, w.events); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestANamespaceWaitsForItsPods: it is drained again until they have stopped.
func TestANamespaceWaitsForItsPods(t *testing.T) {
	inWorldOf(t, stopsAfter(5*time.Second), func(w *world) {
		w.create(testNode("n1"), testNamespace(), testPod("p", "10.1.0.5"))
		w.drain = func(string) error {
			if _, ok := get(w, &corev1.Pod{}, "ns", "p"); ok {
				return errors.New("objects are left")
			}
			return nil
		}
		ns, _ := get(w, testNamespace(), "", "ns")
		now := metav1.Now()
		ns.DeletionTimestamp = &now
		w.update(ns)
		w.terminate("p", 30)
		w.after(4 * time.Second)
		if _, ok := get(w, testNamespace(), "", "ns"); !ok {
			t.Error("the namespace went before its pod")
		}
		w.after(3 * time.Second)
		if _, ok := get(w, testNamespace(), "", "ns"); ok {
			t.Errorf("the namespace is still there, drained %d times", len(w.drained))
		}
		if len(w.drained) > 8 {
			t.Errorf("drained %d times in 7 s", len(w.drained))
		}
	})
}

// TestPhantomsTakeTheirTimeToo: pods that exist only in the plan stop like others.
func TestPhantomsTakeTheirTimeToo(t *testing.T) {
	inWorldOf(t, func(c *Config) {
		phantomWorld(c)
		stopsAfter(5 * time.Second)(c)
	}, func(w *world) {
		grace := int64(30)
		p := phantomPod("a", "10.1.0.5")
		p.Spec.TerminationGracePeriodSeconds = &grace
		w.create(testNamespace())
		w.submit(runtime.VerbCreate, testNode("n1"), testSvc(), p)
		w.submit(runtime.VerbDelete, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}})
		if d := cmp.Diff([]string{"10.1.0.5 terminating"}, w.allSlices()); d != "" {
			t.Error(d)
		}
		w.expectTerminating(1)
		w.after(5*time.Second + time.Millisecond)
		if got := w.allSlices(); len(got) > 0 {
			t.Errorf("endpoints %q", got)
		}
		if d := cmp.Diff([]string{"running ns/a 10.1.0.5", "gone ns/a"}, w.events); d != "" {
			t.Error(d)
		}
	})
}
