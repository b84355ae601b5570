package store

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter"
	"github.com/plscript/plscript/runtime/cluster"
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

func open(t *testing.T) (*sandbox.Sandbox, *rest.Config) {
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

func clientOf(t *testing.T, cfg *rest.Config) *kubernetes.Clientset {
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

// run carries out the phases of a scenario, without proxies, and demands that it passes. What it made stays.
func run(t *testing.T, cfg *rest.Config, id string, store *apiwriter.Store, phases string) apiwriter.Stats {
	t.Helper()
	file := fmt.Sprintf("package s\nname: %q\nphases: [%s]\n", "s", phases)
	s, ds := lang.Load(lang.Input{FS: fstest.MapFS{"s.cue": {Data: []byte(file)}}, Path: "s.cue"}, actions.All())
	if len(ds) > 0 {
		t.Fatalf("%v", ds)
	}
	g, ds := runtime.Compile(t.Context(), s)
	if len(ds) > 0 {
		t.Fatalf("%v", ds)
	}
	signal := &runtime.Signal{}
	w, err := apiwriter.New(apiwriter.Config{
		REST: cfg, RunID: id, Scenario: "s", Store: store, Journal: io.Discard, Clock: clock{}, Notify: signal,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.New(cluster.Config{REST: cfg, RunID: id, Writer: w, Clock: clock{}, Notify: signal})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	out := g.Run(t.Context(), runtime.Parts{
		RunID: id, Clock: clock{}, Writer: w, Proxies: noProxies{}, Changes: noChanges{}, Signal: signal,
		Meters: []runtime.Meter{w, c},
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if out.Exit != runtime.ExitPass {
		t.Fatalf("exit %d: %v %v", out.Exit, out.Err, out.Invalid)
	}
	return w.Stats()
}

// clean removes what the run made and demands that nothing is left of it, addresses of Services included.
func clean(t *testing.T, cfg *rest.Config, id string) {
	t.Helper()
	left, err := apiwriter.Clean(context.WithoutCancel(t.Context()), apiwriter.CleanConfig{REST: cfg, RunID: id, Finalize: true, Clock: clock{}})
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

// events counts what a watch of the cluster's pods has shown.
type events struct{ added, deleted map[string]int }

// watchPods counts the events of the run's pods until want holds, by a watch of its own from version on.
func watchPods(t *testing.T, client *kubernetes.Clientset, version, id string, want func(events) bool) events {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, err := client.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{
		ResourceVersion: version, LabelSelector: runtime.LabelRun + "=" + id,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	e := events{map[string]int{}, map[string]int{}}
	for !want(e) {
		ev, ok := <-w.ResultChan()
		if !ok {
			t.Fatalf("the watch ended after %d pods added and %d deleted", len(e.added), len(e.deleted))
		}
		pod, ok := ev.Object.(*corev1.Pod)
		if !ok {
			t.Fatalf("watch: %v", ev.Object)
		}
		switch key := pod.Namespace + "/" + pod.Name; ev.Type {
		case "ADDED":
			e.added[key]++
		case "DELETED":
			e.deleted[key]++
		}
	}
	return e
}

type clock struct{}

func (clock) Now() time.Time { return time.Now() }

func (c clock) Sleep(ctx context.Context, d time.Duration) error {
	due, stop := c.After(d)
	defer stop()
	select {
	case <-due:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (clock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

type noProxies struct{}

func (noProxies) Want(runtime.Proxy) {}
func (noProxies) Forget(string)      {}

type noChanges struct{}

func (noChanges) Track(runtime.Change) runtime.TrackedChange { return noChanges{} }
func (noChanges) Written()                                   {}
func (noChanges) Cancel()                                    {}
