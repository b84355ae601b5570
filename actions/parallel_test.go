package actions_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// strictWriter keeps objects as an api-server does: nothing can be made in a namespace that is not there, a Namespace takes
// along what is in it, and what is gone can be deleted once more. Writes of one object keep their order; those of others
// take turns as they like.
type strictWriter struct {
	mu       sync.Mutex
	rand     *rand.Rand
	last     map[string]chan struct{} // the end of the last write of each object
	objects  map[string]map[string]bool
	problems []string
}

func (w *strictWriter) Submit(_ context.Context, op runtime.Op) error {
	kind, ns, name := runtimetest.GroupKind(op.Object).Kind, op.Object.GetNamespace(), op.Object.GetName()
	key := kind + " " + ns + "/" + name
	w.mu.Lock()
	full := op.Priority == runtime.PriorityBulk && op.Verb == runtime.VerbCreate && w.rand.IntN(10) == 0
	w.mu.Unlock()
	if full {
		time.Sleep(2 * time.Millisecond) // as bulk writes do while the queue is full: others overtake
	}
	w.mu.Lock()
	before, done := w.last[key], make(chan struct{})
	w.last[key] = done
	delay := time.Duration(w.rand.IntN(2000)) * time.Microsecond
	w.mu.Unlock()
	go func() {
		if before != nil {
			<-before
		}
		time.Sleep(delay)
		w.carryOut(op.Verb, kind, ns, name)
		close(done)
		op.Done(runtime.Result{Fate: runtime.FateDone, Object: op.Object, Attempts: 1})
	}()
	return nil
}

func (w *strictWriter) carryOut(verb runtime.Verb, kind, ns, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := kind + " " + name
	switch {
	case kind == "Namespace" && verb == runtime.VerbCreate:
		w.objects[name] = map[string]bool{}
	case kind == "Namespace":
		delete(w.objects, name)
	case ns == "", kind == "Lease":
	case verb == runtime.VerbDelete:
		delete(w.objects[ns], key)
	case w.objects[ns] == nil:
		w.problems = append(w.problems, fmt.Sprintf("%s %s in namespace %s, which is not there", verb, key, ns))
	default:
		w.objects[ns][key] = true
	}
}

// TestStepsThatGetInEachOthersWay makes namespaces while other steps delete, replace and scale what is in them: what is left
// in the end is what is planned, and nothing was made in a namespace that had gone. The clock is a virtual one: steps meet
// however slow the machine is.
func TestStepsThatGetInEachOthersWay(t *testing.T) {
	t.Parallel()
	const text = `
name: "beside"
phases: [
	{name: "base", steps: [{action: "createNamespaces", count: 3, name: "base", apps: [{name: "web", pods: 2}]}]},
	{name: "make", after: ["base"], steps: [{action: "createNamespaces", count: 150, name: "mesh", apps: [
		{name: "web", replicas: 2, pods: 4, serviceAccount: "own"}, {name: "wp", type: "waypoint"}, {name: "out", type: "external"},
	]}]},
	{name: "churn", after: ["base"], steps: [for i in [1, 2, 3, 4, 5, 6] {
		action: "churnPods", rate: "2000/s", duration: "10ms", order: "oldFirst"
	}]},
	{name: "end", after: ["base"], steps: [for i in [2, 3, 5, 7, 11, 13, 17, 19, 23] for s in [
		{action: "delete", unit: "namespace", select: "ns.index % \(i) == 1"},
		{action: "delete", unit: "app", select: "ns.index % \(i) == 2 && app.index == 1"},
		{action: "scale", select: "app.index == 0", by: 1},
		{action: "sleep", for: "5ms"},
	] {s}]},
]`
	s, ds := lang.Load(lang.Input{FS: fstest.MapFS{"s.cue": {Data: []byte(text)}}, Path: "s.cue"}, actions.All())
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	g, ds := runtime.Compile(t.Context(), s, nil)
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	synctest.Test(t, func(t *testing.T) {
		w := &strictWriter{rand: rand.New(rand.NewPCG(1, 1)), last: map[string]chan struct{}{}, objects: map[string]map[string]bool{}}
		out := g.Run(t.Context(), runtime.Parts{
			RunID: "r", Clock: runtimetest.Clock{}, Writer: w, Proxies: &runtimetest.Proxies{}, Signal: &runtime.Signal{},
		})
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		for _, p := range w.problems {
			t.Error(p)
		}
		count := map[string]int64{}
		for _, in := range w.objects {
			for key := range in {
				var kind string
				_, _ = fmt.Sscan(key, &kind)
				count[kind]++
			}
		}
		want := out.Readings
		if count["Pod"] != want["pods.desired"] || count["Service"] != want["services.desired"] || int64(len(w.objects)) != want["namespaces.desired"] {
			t.Errorf("%d namespaces, %v are left; planned %v", len(w.objects), count, want)
		}
		if len(w.objects) > 100 || len(w.objects) < 10 {
			t.Errorf("%d namespaces are left of 153: the steps did not meet", len(w.objects))
		}
	})
}
