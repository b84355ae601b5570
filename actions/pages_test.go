package actions

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// istiodPages answers with the path that is asked for, or with an error.
type istiodPages map[string]string

func (p istiodPages) Page(_ context.Context, path string) ([]byte, error) {
	if body, ok := p[path]; ok {
		return []byte(body), nil
	}
	return nil, errors.New(path + ": 404 Not Found")
}

// kept is files in memory.
type kept struct {
	mu    sync.Mutex
	files map[string]string
}

func (k *kept) Create(name string, _ bool) (io.WriteCloser, error) {
	return &keptFile{k: k, name: name}, nil
}

type keptFile struct {
	strings.Builder
	k    *kept
	name string
}

func (f *keptFile) Close() error {
	f.k.mu.Lock()
	defer f.k.mu.Unlock()
	f.k.files[f.name] = f.String()
	return nil
}

// looked runs steps against istiod's pages and returns the files that they leave.
func looked(t *testing.T, pages []runtime.Pages, steps ...runtime.Action) (out *runtime.Outcome, files map[string]string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(steps...), nil)
		if ds != nil {
			t.Fatal(ds)
		}
		k := &kept{files: map[string]string{}}
		out = g.Run(t.Context(), runtime.Parts{
			RunID: "r", Clock: runtimetest.Clock{}, Writer: &runtimetest.Writer{}, Proxies: &runtimetest.Proxies{}, Signal: &runtime.Signal{},
			Log: slog.New(slog.DiscardHandler), Services: runtime.Services{Istiods: pages, Files: k},
		})
		files = k.files
	})
	return out, files
}

func TestProfile(t *testing.T) {
	t.Parallel()
	pages := istiodPages{
		"/debug/pprof/profile?seconds=10": "cpu", "/debug/pprof/trace?seconds=3": "trace", "/debug/pprof/heap": "heap", "/debug/pprof/allocs?seconds=2": "allocs",
	}
	out, files := looked(t, []runtime.Pages{pages}, &profile{Kind: "cpu"}, &profile{Kind: "trace", Duration: ir.Duration(3 * time.Second)}, &profile{Kind: "heap"},
		&profile{Kind: "allocs", Duration: ir.Duration(2 * time.Second)})
	want := map[string]string{
		"profiles/a-0-0-cpu.pb.gz": "cpu", "profiles/b-1-0-trace.trace": "trace", "profiles/c-2-0-heap.pb.gz": "heap", "profiles/d-3-0-allocs.pb.gz": "allocs",
	}
	if out.Exit != runtime.ExitPass || !maps.Equal(files, want) {
		t.Errorf("exit %d, %v: %v", out.Exit, out.Err, files)
	}
	if out, _ := looked(t, []runtime.Pages{pages}, &profile{Kind: "goroutine"}); out.Exit != runtime.ExitAction || !strings.Contains(out.Err.Error(), "404") {
		t.Errorf("without the page: exit %d, %v", out.Exit, out.Err)
	}
	if out, _ := looked(t, nil, &profile{Kind: "heap"}); out.Exit != runtime.ExitTarget {
		t.Errorf("without istiod's address: exit %d, %v", out.Exit, out.Err)
	}
	if _, ds := runtime.Compile(t.Context(), runtimetest.Scenario(&profile{Kind: "cpu", Duration: ir.Duration(1500 * time.Millisecond)}), nil); len(ds) != 1 {
		t.Errorf("half a second: %v", ds)
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	pages := istiodPages{"/metrics": "m", "/debug/syncz": " [1]", "/debug/mesh": "{}", "/debug/cachez?sizes=true": "plain", "/debug/syncz?proxyID=a": "{}"}
	out, files := looked(t, []runtime.Pages{pages}, &snapshot{}, &snapshot{Pages: []string{"syncz", "cachez?sizes=true", "syncz?proxyID=a"}}, &snapshot{Pages: []string{}})
	want := []string{
		"snapshots/a-0-0/cachez.txt", "snapshots/a-0-0/mesh.json", "snapshots/a-0-0/metrics.txt", "snapshots/a-0-0/syncz.json",
		"snapshots/b-1-0/cachez.txt", "snapshots/b-1-0/metrics.txt", "snapshots/b-1-0/syncz-0.json", "snapshots/b-1-0/syncz-2.json",
		"snapshots/c-2-0/metrics.txt",
	}
	if got := slices.Sorted(maps.Keys(files)); out.Exit != runtime.ExitPass || !slices.Equal(got, want) {
		t.Errorf("exit %d, %v: %q", out.Exit, out.Err, got)
	}
	// A page that was asked for by name must be there.
	if out, _ := looked(t, []runtime.Pages{pages}, &snapshot{Pages: []string{"ndsz"}}); out.Exit != runtime.ExitAction || !strings.Contains(out.Err.Error(), "ndsz") {
		t.Errorf("exit %d, %v", out.Exit, out.Err)
	}
	for page, refused := range map[string]bool{
		"force_disconnect?proxyID=a": true, "force_disconnect": true, "adsz?push=true": true, "cachez?sizes=true&clear": true, "cachez?%": true,
		"adsz": false, "cachez?sizes=true": false, "syncz?push=true": false,
	} {
		_, ds := runtime.Compile(t.Context(), runtimetest.Scenario(&snapshot{Pages: []string{page}}), nil)
		if (len(ds) == 1) != refused {
			t.Errorf("%s: %v", page, ds)
		}
	}
}

// Of several istiods each leaves its own files; one that does not answer is named.
func TestPagesOfSeveral(t *testing.T) {
	t.Parallel()
	istiods := []runtime.Pages{
		istiodPages{"/debug/pprof/heap": "heap 0", "/metrics": "m 0", "/debug/syncz": "[0]"},
		istiodPages{"/debug/pprof/heap": "heap 1", "/metrics": "m 1", "/debug/syncz": "1"},
	}
	out, files := looked(t, istiods, &profile{Kind: "heap"}, &snapshot{Pages: []string{"syncz"}})
	want := map[string]string{
		"profiles/a-0-0-heap-istiod-0.pb.gz": "heap 0", "profiles/a-0-0-heap-istiod-1.pb.gz": "heap 1",
		"snapshots/b-1-0/istiod-0/metrics.txt": "m 0", "snapshots/b-1-0/istiod-0/syncz.json": "[0]",
		"snapshots/b-1-0/istiod-1/metrics.txt": "m 1", "snapshots/b-1-0/istiod-1/syncz.txt": "1",
	}
	if out.Exit != runtime.ExitPass || !maps.Equal(files, want) {
		t.Errorf("exit %d, %v: %v", out.Exit, out.Err, files)
	}
	istiods[1] = istiodPages{}
	if out, _ := looked(t, istiods, &profile{Kind: "heap"}); out.Exit != runtime.ExitAction || !strings.Contains(out.Err.Error(), "istiod-1") {
		t.Errorf("exit %d, %v", out.Exit, out.Err)
	}
}

// dumpRequests is what a run's dumper was asked for.
type dumpRequests struct{ asked []string }

func (d *dumpRequests) Dump(_ context.Context, namespace, pod, folder string) error {
	d.asked = append(d.asked, namespace+" "+pod+" "+folder)
	return nil
}

func TestDump(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"../x", "/tmp/x", ".", "a/../b", "a/", "a//b"} {
		if _, ds := runtime.Compile(t.Context(), runtimetest.Scenario(&dump{Namespace: "a", Pod: "p", Out: bad}), nil); len(ds) != 1 || !strings.HasSuffix(ds[0].Path, ".out") {
			t.Errorf("%q: %v", bad, ds)
		}
	}
	g, ds := runtime.Compile(t.Context(), runtimetest.Scenario(&dump{Namespace: "a", Pod: "p", Out: "envoy/p"}, &dump{Namespace: "a", Pod: "q"}), nil)
	if ds != nil {
		t.Fatal(ds)
	}
	d := &dumpRequests{}
	g.Run(t.Context(), runtime.Parts{RunID: "r", Clock: runtimetest.Clock{}, Signal: &runtime.Signal{}, Services: runtime.Services{Dumps: d}})
	if want := []string{"a p envoy/p", "a q b-1-0"}; !slices.Equal(d.asked, want) {
		t.Errorf("%q, want %q", d.asked, want)
	}
}

func TestStepFile(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"dump": "dump-1-20", "../../etc/x": "etc-x-1-20", "Ünï code": "n--code-1-20", "": "1-20", strings.Repeat("a", 300): strings.Repeat("a", 80) + "-1-20",
	} {
		if got := stepFile(&ir.Step{Name: name, Path: "phases[1].steps[20]"}); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
