package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter"
	"github.com/plscript/plscript/runtime/cluster"
	"github.com/plscript/plscript/runtime/injector"
	"github.com/plscript/plscript/runtime/runtimetest"
	"github.com/plscript/plscript/sandbox"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if stop != nil {
		stop()
	}
	os.Exit(code)
}

var stop func()

// shared is a private sandbox for all tests here, which run one at a time and leave it empty.
var shared = sync.OnceValues(func() (*sandbox.Sandbox, error) {
	box, err := sandbox.Start(context.Background(), sandbox.Config{})
	if err == nil {
		stop = func() { _ = box.Stop(context.Background()) }
	}
	return box, err
})

func open(t testing.TB) (*sandbox.Sandbox, *rest.Config) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real sandbox")
	}
	box, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := box.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	return box, cfg
}

func clientOf(t testing.TB, cfg *rest.Config) *kubernetes.Clientset {
	t.Helper()
	c := rest.CopyConfig(cfg)
	c.QPS = -1
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// storeOf is the sandbox's store as a run uses it, always or for bulk loads only.
func storeOf(box *sandbox.Sandbox, always bool) *apiwriter.Store {
	return &apiwriter.Store{Endpoint: box.EtcdEndpoint(), Always: always, Kubelet: cluster.StartPod}
}

// job is a scenario to run, without proxies.
type job struct {
	id     string
	phases string // in CUE
	final  string // the same without those that wait, if what they leave is to be compared with the plan
	store  *apiwriter.Store
	rest   *rest.Config
	writes *rest.Config // where the writer's requests go; rest unless set
}

// result is what became of a job, once nothing was under way.
type result struct {
	*runtime.Outcome
	stats     apiwriter.Stats
	submitted int64
}

// compiled is the graph of a scenario with these phases.
func compiled(t testing.TB, phases string) *runtime.Graph {
	t.Helper()
	file := fmt.Sprintf("package s\nname: %q\nmaxLateness: \"1m\"\nphases: [%s]\n", "s", phases)
	s, ds := lang.Load(lang.Input{FS: fstest.MapFS{"s.cue": {Data: []byte(file)}}, Path: "s.cue"}, actions.All())
	if len(ds) > 0 {
		t.Fatalf("%v", ds)
	}
	g, ds := runtime.Compile(t.Context(), s, nil)
	if len(ds) > 0 {
		t.Fatalf("%v", ds)
	}
	return g
}

// run carries out a job. What it made stays.
func run(t testing.TB, j job) result {
	t.Helper()
	g := compiled(t, j.phases)
	if j.writes == nil {
		j.writes = j.rest
	}
	signal := &runtime.Signal{}
	w, err := apiwriter.New(apiwriter.Config{
		REST: j.writes, RunID: j.id, Scenario: "s", Store: j.store, Journal: io.Discard, Clock: runtimetest.Clock{}, Notify: signal,
	})
	if err != nil {
		t.Fatal(err)
	}
	counted := &countingWriter{Writer: w}
	c, err := cluster.New(cluster.Config{REST: j.rest, RunID: j.id, Writer: counted, Loads: w, Clock: runtimetest.Clock{}, Notify: signal})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	out := g.Run(t.Context(), runtime.Parts{
		RunID: j.id, Clock: runtimetest.Clock{}, Writer: counted, Proxies: noProxies{}, Changes: noChanges{}, Signal: signal,
		Meters: []runtime.Meter{w, c}, Services: runtime.Services{Injector: injector.New(injector.Config{Client: clientOf(t, j.rest)})},
	})
	if j.final != "" {
		awaitFinal(t, j)
	}
	cancel()
	if err := errors.Join(<-done, w.Close()); err != nil {
		t.Error(err)
	}
	if out.Exit != runtime.ExitPass {
		t.Errorf("exit %d: %v %v", out.Exit, out.Err, out.Invalid)
	}
	return result{out, w.Stats(), counted.n.Load()}
}

// countingWriter counts what is submitted.
type countingWriter struct {
	*apiwriter.Writer
	n atomic.Int64
}

func (w *countingWriter) Submit(ctx context.Context, op runtime.Op) error {
	w.n.Add(1)
	return w.Writer.Submit(ctx, op)
}

// clean removes what the run made and demands that nothing is left of it, addresses of Services included.
func clean(t testing.TB, cfg *rest.Config, id string) {
	t.Helper()
	box, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	left, err := apiwriter.Clean(context.WithoutCancel(t.Context()), apiwriter.CleanConfig{
		REST: cfg, RunID: id, Finalize: true, Store: box.EtcdEndpoint(), Clock: runtimetest.Clock{},
	})
	if err != nil || len(left) > 0 {
		t.Fatalf("clean: %v %v", left, err)
	}
	client := clientOf(t, cfg)
	addresses, err := client.NetworkingV1().IPAddresses().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses.Items {
		if ref := a.Spec.ParentRef; ref.Namespace != metav1.NamespaceDefault && ref.Namespace != "istio-system" {
			t.Errorf("address %s is still held by Service %s/%s", a.Name, ref.Namespace, ref.Name)
		}
	}
}

// ledger is what an observer of the cluster's pods has seen of a run's, by key.
type ledger struct {
	mu             sync.Mutex
	added, deleted map[string]int
}

// observe watches the pods of a run beside everything else, in the way of any controller.
func observe(t *testing.T, cfg *rest.Config, id string) *ledger {
	t.Helper()
	l := &ledger{added: map[string]int{}, deleted: map[string]int{}}
	f := informers.NewSharedInformerFactoryWithOptions(clientOf(t, cfg), 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = runtime.LabelRun + "=" + id
	}))
	count := func(m map[string]int, obj any) {
		if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = last.Obj
		}
		if pod, ok := obj.(*corev1.Pod); ok {
			l.mu.Lock()
			defer l.mu.Unlock()
			m[pod.Namespace+"/"+pod.Name]++
		}
	}
	_, err := f.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { count(l.added, obj) },
		DeleteFunc: func(obj any) { count(l.deleted, obj) },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Start(t.Context().Done())
	f.WaitForCacheSync(t.Context().Done())
	return l
}

// sums are how many pods have come and gone, and how many of them more than once.
func (l *ledger) sums() (added, deleted int64, twice int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range []map[string]int{l.added, l.deleted} {
		for _, n := range m {
			if n > 1 {
				twice++
			}
		}
	}
	return int64(len(l.added)), int64(len(l.deleted)), twice
}

type noProxies struct{}

func (noProxies) Want(runtime.Proxy) {}
func (noProxies) Forget(string)      {}
func (noProxies) Disconnect(string)  {}

type noChanges struct{}

func (noChanges) Track(runtime.Change) runtime.TrackedChange { return noChanges{} }
func (noChanges) Written()                                   {}
func (noChanges) Cancel()                                    {}
