package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter"
	"github.com/plscript/plscript/sandbox"
)

// churn loads a mesh, replaces pods at a rate, and then scales up and down: the first and the last can go past the
// api-server.
const (
	churn = churnMesh + `
	{name: "loaded", steps: [{action: "wait", until: "pods.ready == pods.desired && endpoints.ready == pods.desired"}]},` + churnSteps + `
	{name: "settle", steps: [{action: "wait", until: "pods.ready == pods.desired && endpoints.ready == pods.desired && writer.pending == 0"}]}`
	churnMesh = `
	{name: "mesh", steps: [{action: "createNamespaces", count: 3, name: "account", apps: [{name: "app", replicas: 2, pods: 20}]}]},`
	churnSteps = `
	{name: "churn", steps: [{action: "churnPods", rate: "40/s", duration: "5s"}]},
	{name: "scale", steps: [{action: "scale", by: 3}, {action: "scale", by: -1}]},`
)

// How many pods churn leaves, and how many it makes and ends.
const (
	churnLeaves = 3 * 2 * (20 + 3 - 1)
	churnMakes  = 3*2*(20+3) + 40*5
	churnEnds   = churnMakes - churnLeaves
)

// check demands that the account of r adds up, and says what the api-server says and an observer, if there is one.
func check(t *testing.T, cfg *rest.Config, id string, r result, seen *ledger) {
	t.Helper()
	sum := r.stats.Total
	if ended := sum.Done + sum.Superseded + sum.Failed + sum.Dropped; ended != r.submitted {
		t.Errorf("%d writes were submitted, %d ended: %+v", r.submitted, ended, sum)
	}
	if a := r.Arrivals; a.Started+a.Dropped != a.Planned || a.Planned != 200 {
		t.Errorf("arrivals: %+v", a)
	}
	done := map[runtime.Verb]int64{}
	for _, row := range r.stats.Rows {
		if row.Kind == "Pod" {
			done[row.Verb] = row.Done
			if row.Failed+row.Dropped > 0 {
				t.Errorf("%s: %+v", row.Verb, row)
			}
		}
	}
	if done[runtime.VerbCreate] != churnMakes || done[runtime.VerbDelete] != churnEnds {
		t.Errorf("%d pods created and %d deleted by the account; the scenario makes %d and ends %d",
			done[runtime.VerbCreate], done[runtime.VerbDelete], churnMakes, churnEnds)
	}
	if seen != nil {
		awaitSums(t, seen)
	}
	pods, err := clientOf(t, cfg).CoreV1().Pods("").List(t.Context(), metav1.ListOptions{LabelSelector: runtime.LabelRun + "=" + id})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(pods.Items); n != churnLeaves {
		t.Errorf("%d pods are left, want %d", n, churnLeaves)
	}
}

// awaitSums waits for the observer to have seen what the account says, which it does a moment later and tells nobody.
func awaitSums(t *testing.T, seen *ledger) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		added, deleted, twice := seen.sums()
		if added == churnMakes && deleted == churnEnds && twice == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("an observer saw %d pods come, %d go, %d of them twice; want %d and %d", added, deleted, twice, churnMakes, churnEnds)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestAccountAgreesWithAnObserver(t *testing.T) {
	box, cfg := open(t)
	for name, store := range map[string]*apiwriter.Store{
		"api": nil, "store for loads": storeOf(box, false), "store": storeOf(box, true),
	} {
		t.Run(name, func(t *testing.T) {
			const id = "account"
			defer clean(t, cfg, id)
			seen := observe(t, cfg, id)
			check(t, cfg, id, run(t, job{id: id, phases: churn, final: churnMesh + churnSteps, store: store, rest: cfg}), seen)
		})
	}
}

// TestProcessThatStandsStill: while the api-server or etcd is stopped, arrivals go on being scheduled, and nothing is
// lost or doubled.
func TestProcessThatStandsStill(t *testing.T) {
	box, cfg := open(t)
	for name, pid := range map[string]int{"kube-apiserver": box.PIDs().APIServer, "etcd": box.PIDs().Etcd} {
		t.Run(name, func(t *testing.T) {
			const id = "still"
			defer clean(t, cfg, id)
			seen := observe(t, cfg, id)
			stopped := make(chan error, 1)
			go func() {
				err := errors.Join(awaitChurn(seen), syscall.Kill(pid, syscall.SIGSTOP))
				time.Sleep(10 * time.Second) // for so long nobody answers
				stopped <- errors.Join(err, syscall.Kill(pid, syscall.SIGCONT))
			}()
			r := run(t, job{id: id, phases: churn, final: churnMesh + churnSteps, store: storeOf(box, false), rest: cfg})
			if err := <-stopped; err != nil {
				t.Fatal(err)
			}
			check(t, cfg, id, r, seen)
		})
	}
}

// awaitLoad waits until the mesh is being written.
func awaitLoad(seen *ledger) error {
	return awaitSeen(func() bool { added, _, _ := seen.sums(); return added > 20 })
}

// awaitChurn waits until pods are being replaced.
func awaitChurn(seen *ledger) error {
	return awaitSeen(func() bool { _, deleted, _ := seen.sums(); return deleted > 20 })
}

// awaitSeen polls, as an observer counts and tells nobody.
func awaitSeen(enough func() bool) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if enough() {
			return nil
		}
	}
	return errors.New("an observer saw too little within a minute")
}

// TestAPIServerIsKilled kills it in the middle of the load and again in the middle of the churn, and starts it again each
// time. An observer may miss what happens while it comes back, so that only the account and the final state are compared.
func TestAPIServerIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real sandbox")
	}
	box, err := sandbox.Start(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := box.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	cfg, err := box.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	const id = "killed"
	seen := observe(t, cfg, id)
	var again [2]*exec.Cmd
	restarted := make(chan error, 1)
	go func() {
		err := awaitLoad(seen)
		if err == nil {
			again[0], err = restart(t.Context(), box.PIDs().APIServer)
		}
		if err == nil {
			err = awaitChurn(seen)
		}
		if err == nil {
			again[1], err = restartOwn(t.Context(), again[0])
		}
		restarted <- err
	}()
	r := run(t, job{id: id, phases: churn, final: churnMesh + churnSteps, store: storeOf(box, false), rest: cfg})
	if err := <-restarted; err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = again[1].Process.Kill()
		_ = again[1].Wait()
	}()
	check(t, cfg, id, r, nil)
}

// restartOwn is restart for a process that this one has started.
func restartOwn(ctx context.Context, old *exec.Cmd) (*exec.Cmd, error) {
	if err := old.Process.Kill(); err != nil {
		return nil, err
	}
	_ = old.Wait() // it was killed
	cmd := exec.CommandContext(ctx, old.Args[0], old.Args[1:]...)
	return cmd, cmd.Start()
}

// restart kills a process and starts another with the same command line, which dies with ctx.
func restart(ctx context.Context, pid int) (*exec.Cmd, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return nil, err
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	for syscall.Kill(pid, 0) == nil { // its port is free when it is gone, which is no event here
		time.Sleep(5 * time.Millisecond)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	return cmd, cmd.Start()
}

// TestThrottledWrites has every fifth write answered with 429: each is made in the end, once, and counted.
func TestThrottledWrites(t *testing.T) {
	box, cfg := open(t)
	const id = "throttled"
	defer clean(t, cfg, id)
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: transport}
	var writes, refused atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && writes.Add(1)%5 == 0 {
			refused.Add(1)
			w.Header().Set("Retry-After", "0")
			http.Error(w, "too many", http.StatusTooManyRequests)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	seen := observe(t, cfg, id)
	r := run(t, job{id: id, phases: churn, final: churnMesh + churnSteps, store: storeOf(box, false), rest: cfg, writes: &rest.Config{Host: front.URL}})
	check(t, cfg, id, r, seen)
	if got := r.stats.Total.Throttled; got != refused.Load() || got == 0 {
		t.Errorf("%d writes counted as throttled, %d were", got, refused.Load())
	}
}
