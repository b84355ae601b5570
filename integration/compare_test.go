package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProfileSnapshotCompare: what istiod says of itself lands in the run's folder, and two runs can be compared.
func TestProfileSnapshotCompare(t *testing.T) {
	box := sharedSandbox(t)
	file := scenario(t, `
name: "look"
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "look", apps: [{name: "web", type: "sidecar", inject: "none", pods: 2}]},
		{action: "wait", until: "xds.synced == 2", timeout: "1m"}]},
	{name: "look", parallel: true, steps: [
		{action: "snapshot", name: "mesh at rest"}, {action: "snapshot", name: "two", pages: ["syncz", "syncz?proxyID=x", "cachez?sizes=true"]},
		{action: "profile", duration: "1s"}, {action: "profile", kind: "heap"},
	]},
]
thresholds: [{name: "quick", expr: "elapsed < duration('1h')"}]
`)
	p := run(t, 0, "run", "--sandbox", box.Name, file)
	dir := filepath.Dir(onlyFile(t, filepath.Join(p.out, "*", "report.json")))
	for _, name := range []string{"mesh-at-rest-1-0/metrics.txt", "mesh-at-rest-1-0/syncz.json", "mesh-at-rest-1-0/configz.json", "two-1-1/syncz-0.json", "two-1-1/cachez.json"} {
		if info, err := os.Stat(filepath.Join(dir, "snapshots", name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "snapshots", "mesh-at-rest-1-0", "syncz.json")); err != nil || strings.Count(string(text), "web-") < 2 {
		t.Errorf("syncz does not show the proxies: %v", err)
	}
	for _, name := range []string{"profile-1-2-cpu.pb.gz", "profile-1-3-heap.pb.gz"} {
		if text, err := os.ReadFile(filepath.Join(dir, "profiles", name)); err != nil || !strings.HasPrefix(string(text), "\x1f\x8b") {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
	again := run(t, 0, "run", "--sandbox", box.Name, file)
	other := onlyFile(t, filepath.Join(again.out, "*", "report.json"))
	if out := run(t, 0, "compare", dir, other).stdout.String(); !strings.Contains(out, "quick") || !strings.Contains(out, "NO WORSE") {
		t.Error(out)
	}
	text, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	worse := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(worse, []byte(strings.Replace(string(text), `"xds.nacks": 0`, `"xds.nacks": 3`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, 5, "compare", "--only", "xds.nacks", dir, worse, "--fail-above=10%").stdout.String(); !strings.Contains(out, "xds.nacks rose from 0 to 3") {
		t.Error(out)
	}
}

func onlyFile(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %q, %v", pattern, files, err)
	}
	return files[0]
}
