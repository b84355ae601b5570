package cluster

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

func phantomWorld(c *Config) { c.Phantoms, c.Controllers, c.Drainer = true, true, nil }

// submit writes as a step does, and waits until everything has followed.
func (w *world) submit(verb runtime.Verb, objs ...runtime.Object) {
	w.t.Helper()
	for _, o := range objs {
		var res *runtime.Result
		err := w.c.Writer().Submit(w.t.Context(), runtime.Op{Verb: verb, Object: o, Priority: runtime.PriorityBulk, Done: func(r runtime.Result) { res = &r }})
		w.settle()
		if err != nil || res == nil || res.Fate != runtime.FateDone {
			w.t.Fatalf("%s %s: %v, %+v", verb, o.GetName(), err, res)
		}
	}
}

func phantomPod(name, ip string) *corev1.Pod {
	p := testPod(name, ip)
	p.Status, p.Labels = corev1.PodStatus{}, map[string]string{"app": "a"}
	return p
}

func TestPhantomsAreEndpointsAndNothingElse(t *testing.T) {
	inWorldOf(t, phantomWorld, func(w *world) {
		node := testNode("n1")
		delete(node.Labels, runtime.LabelRun)
		svc := testSvc()
		w.create(testNamespace())
		w.submit(runtime.VerbCreate, node, svc, phantomPod("a", "10.1.0.5"), phantomPod("b", "10.1.0.6"))
		if len(svc.Spec.Selector) == 0 {
			t.Error("the object of the caller was changed")
		}
		live, _ := get(w, svc, "ns", "svc")
		if len(live.Spec.Selector) > 0 || live.Annotations[runtime.AnnotationSelector] != "app=a" {
			t.Errorf("selector %v, annotations %v", live.Spec.Selector, live.Annotations)
		}
		for _, op := range w.written {
			switch op.Object.(type) {
			case *corev1.Service, *discoveryv1.EndpointSlice:
			default:
				t.Errorf("the api-server got %s %T %s", op.Verb, op.Object, op.Object.GetName())
			}
		}
		list, err := w.client.DiscoveryV1().EndpointSlices("ns").List(w.t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 || len(list.Items[0].Endpoints) != 2 {
			t.Fatalf("slices %+v, %v", list, err)
		}
		s := list.Items[0]
		if s.Labels[discoveryv1.LabelManagedBy] != managedByUs {
			t.Errorf("labels %v", s.Labels)
		}
		for _, e := range s.Endpoints {
			if e.TargetRef != nil || e.NodeName != nil || value(e.Zone) != "z1" || !*e.Conditions.Ready {
				t.Errorf("endpoint %+v: want a zone, and nothing that does not exist", e)
			}
		}
		w.expectCounts(2, 2, 2)
		if d := cmp.Diff([]string{"running ns/a 10.1.0.5", "running ns/b 10.1.0.6"}, w.events); d != "" {
			t.Error(d)
		}
		w.submit(runtime.VerbDelete, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}})
		w.expectCounts(1, 1, 1)
		w.submit(runtime.VerbDelete, testNamespace())
		if !slices.Contains(w.events, "gone ns/a") || !slices.Contains(w.events, "gone ns/b") {
			t.Errorf("events %v: a namespace takes its pods along", w.events)
		}
		w.expectCounts(0, 0, 0)
	})
}

func TestPhantomsHaveOneFateEach(t *testing.T) {
	inWorldOf(t, phantomWorld, func(w *world) {
		fates := map[runtime.Fate]int{}
		submit := func(ctx context.Context, verb runtime.Verb, p *corev1.Pod) {
			_ = w.c.Writer().Submit(ctx, runtime.Op{Verb: verb, Object: p, Done: func(r runtime.Result) { fates[r.Fate]++ }})
			w.settle()
		}
		submit(w.t.Context(), runtime.VerbCreate, phantomPod("a", "10.1.0.5"))
		submit(w.t.Context(), runtime.VerbCreate, phantomPod("a", "10.1.0.5")) // is there already
		over, cancel := context.WithCancelCause(w.t.Context())
		cancel(errors.New("over"))
		submit(over, runtime.VerbCreate, phantomPod("b", "10.1.0.6"))
		submit(w.t.Context(), runtime.VerbDelete, phantomPod("none", ""))
		if d := cmp.Diff(map[runtime.Fate]int{runtime.FateDone: 2, runtime.FateFailed: 2}, fates); d != "" {
			t.Error(d)
		}
	})
}

func TestPhantomsAreRefusedAfterTheEnd(t *testing.T) {
	var fate runtime.Fate
	inWorldOf(t, phantomWorld, func(w *world) {
		ctx, cancel := context.WithCancel(w.t.Context())
		cancel()
		w.c.phantoms.run(ctx)
		_ = w.c.Writer().Submit(w.t.Context(), runtime.Op{Verb: runtime.VerbCreate, Object: phantomPod("x", "10.1.0.7")})
		w.settle()
		p := newPhantoms(w.c, w)
		_ = p.Submit(w.t.Context(), runtime.Op{Verb: runtime.VerbCreate, Object: phantomPod("y", "10.1.0.8"), Done: func(r runtime.Result) { fate = r.Fate }})
		p.run(ctx)
	})
	if fate != runtime.FateFailed {
		t.Errorf("fate %q of what came too late", fate)
	}
}

// TestControllersKeepTheirSlices: a cluster with controllers gets slices only for Services without a selector.
func TestControllersKeepTheirSlices(t *testing.T) {
	inWorldOf(t, func(c *Config) { c.Controllers, c.Drainer = true, nil }, func(w *world) {
		own := testSvc()
		own.Name, own.Spec.Selector = "own", nil
		own.Annotations = map[string]string{runtime.AnnotationSelector: "app=a"}
		foreign := testSvc()
		foreign.Name, foreign.Labels, foreign.Spec.Selector = "foreign", nil, nil
		foreign.Annotations = map[string]string{runtime.AnnotationSelector: "app=a"}
		w.create(testNode("n1"), testNamespace(), testSvc(), own, foreign, testPod("a", "10.1.0.5"))
		list, err := w.client.DiscoveryV1().EndpointSlices("ns").List(w.t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 || list.Items[0].Labels[discoveryv1.LabelServiceName] != "own" || list.Items[0].Endpoints[0].TargetRef == nil {
			t.Errorf("slices %+v, %v: want that of the Service without a selector", list.Items, err)
		}
		if _, ok := get(w, &corev1.ServiceAccount{}, "ns", "default"); ok {
			t.Error("a ServiceAccount that is the controllers' to make")
		}
		w.expectCounts(1, 2, 1) // the controllers' slice is still to come
	})
}

func TestAnAddressComesBackAfterItsPodIsGone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(testNode("n1"), testNamespace(), testPod("old", "10.1.0.5"))
		w.create(testPod("new", "10.1.0.5"))
		if got := w.pod("new").Status.Phase; got != corev1.PodPending {
			t.Errorf("a pod with the address of another one is %s", got)
		}
		early := testPod("early", "10.1.0.5")
		w.c.StartPod(early, testNode("n1"), time.Now())
		if early.Status.PodIP != "" {
			t.Error("a pod was stored with the address of another one")
		}
		w.delete(w.pod("old"))
		if d := cmp.Diff([]string{"running ns/old 10.1.0.5", "gone ns/old", "running ns/new 10.1.0.5"}, w.events); d != "" {
			t.Error(d)
		}
		free := testPod("free", "10.1.0.6")
		w.c.StartPod(free, testNode("n1"), time.Now())
		if free.Status.PodIP != "10.1.0.6" {
			t.Errorf("status %+v", free.Status)
		}
	})
}

func TestStartDelays(t *testing.T) {
	k := Kubelet{Seed: 1, StartP50: time.Second, StartP99: 5 * time.Second}
	inWorldOf(t, func(c *Config) { c.Kubelet = k }, func(w *world) {
		w.create(testNamespace(), testNode("n1"))
		began := time.Now()
		for _, name := range []string{"a", "b", "c", "d"} {
			w.create(testPod(name, ""))
		}
		born := testPod("e", "10.1.0.9")
		w.c.StartPod(born, testNode("n1"), time.Now())
		if born.Status.PodIP != "" {
			t.Error("a pod that takes time was stored as running")
		}
		seen := map[time.Duration]bool{}
		for _, name := range []string{"a", "b", "c", "d"} {
			due := k.startDelay(k.generator("start", "ns/"+name))
			time.Sleep(time.Until(began.Add(due - time.Millisecond)))
			w.settle()
			before := w.pod(name).Status.Phase
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if after := w.pod(name).Status.Phase; after != corev1.PodRunning || due > time.Millisecond && before == corev1.PodRunning && time.Since(began) < due {
				t.Errorf("%s is due after %v: %s before, %s after", name, due, before, after)
			}
			seen[due] = true
		}
		if len(seen) != 4 {
			t.Errorf("four pods take %v", seen)
		}
	})
}

// TestDelaysHaveThePercentilesAskedFor draws for many pods.
func TestDelaysHaveThePercentilesAskedFor(t *testing.T) {
	t.Parallel()
	k := Kubelet{Seed: 3, StartP50: 2 * time.Second, StartP99: 20 * time.Second}
	var all []time.Duration
	for i := range 20000 {
		all = append(all, k.startDelay(k.generator("start", "ns/pod-"+string(rune(i)))))
	}
	slices.Sort(all)
	near := func(got, want time.Duration) bool { return got > want*9/10 && got < want*11/10 }
	if p50, p99 := all[len(all)/2], all[len(all)*99/100]; !near(p50, k.StartP50) || !near(p99, k.StartP99) {
		t.Errorf("p50 %v, p99 %v", p50, p99)
	}
	same := Kubelet{StartP50: time.Second, StartP99: time.Second}
	if d := same.startDelay(same.generator("start", "x")); d != time.Second {
		t.Errorf("a constant delay is %v", d)
	}
}

func TestReadinessFlaps(t *testing.T) {
	for name, set := range map[string]func(*Config){"pods": func(*Config) {}, "phantoms": phantomWorld} {
		t.Run(name, func(t *testing.T) {
			inWorldOf(t, func(c *Config) {
				c.Kubelet = Kubelet{Seed: 1, FlapEvery: time.Minute, FlapDown: 5 * time.Second}
				set(c)
			}, func(w *world) {
				w.create(testNamespace())
				if w.c.phantoms != nil {
					w.submit(runtime.VerbCreate, testNode("n1"), testSvc(), phantomPod("a", "10.1.0.5"))
				} else {
					w.create(testNode("n1"), testSvc(), testPod("a", "10.1.0.5"))
				}
				var down, flaps int
				ready := true
				for range 1200 {
					time.Sleep(time.Second)
					w.settle()
					r := runtime.Readings{}
					w.c.Read(r)
					now := r["pods.ready"] == int64(1)
					if r["endpoints.ready"] != r["pods.ready"] {
						t.Fatalf("%v", r)
					}
					if ready && !now {
						flaps++
					}
					if ready = now; !now {
						down++
					}
				}
				if flaps < 8 || flaps > 32 {
					t.Errorf("%d flaps in twenty minutes, want about 18", flaps)
				}
				if down < 4*flaps || down > 6*flaps {
					t.Errorf("%d seconds down in %d flaps", down, flaps)
				}
				if d := cmp.Diff([]string{"running ns/a 10.1.0.5"}, w.events); d != "" {
					t.Error(d) // its proxy stays
				}
			})
		})
	}
}
