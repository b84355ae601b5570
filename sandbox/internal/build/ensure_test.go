package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeGo puts a go command on PATH that writes a script in place of each binary, notes how it was called, and knows one module, which stands
// for all. A file "slow" in the folder that is returned makes its builds last.
func fakeGo(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files := map[string]string{
		"module/VERSION":                      "1.31\n",
		"module/config/crd/standard/one.yaml": "kind: CustomResourceDefinition\nmetadata: {name: one}\n",
		"module/config/crd/standard/two.yaml": "---\nkind: CustomResourceDefinition\nmetadata: {name: two}\n",
		"istioctl":                            "#!/bin/sh\necho 'kind: ConfigMap'\n",
		"bin/go": `#!/bin/sh
echo "$*" >> ` + dir + `/calls
case "$1 $2" in
"env GOVERSION") echo go1.26.0 ;;
"mod download") echo '{"Dir": "` + dir + `/module"}' ;;
build*)
	echo some/package >&2
	test -e ` + dir + `/slow && sleep 60
	while test "$1" != -o; do shift; done
	cp ` + dir + `/istioctl "$2" ;;
esac
`,
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	return dir
}

// builds returns how the fake go was called to build since the last time.
func builds(t *testing.T, dir string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "calls")); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, line := range strings.Split(string(content), "\n") {
		if strings.HasPrefix(line, "build ") {
			found = append(found, line)
		}
	}
	return found
}

func TestEnsureBuildsOnceAndRepairs(t *testing.T) {
	dir := fakeGo(t)
	var stages []string
	o := Options{CacheDir: t.TempDir(), Report: func(e Event) {
		if e.Done {
			stages = append(stages, e.Stage)
		}
	}}
	a, err := Ensure(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(stages, ", "); got != "building etcd, building kube-apiserver, building istiod, building istioctl" {
		t.Errorf("stages: %s", got)
	}
	if got := string(a.GatewayCRDs); !strings.Contains(got, `"one"`) || !strings.Contains(got, `"two"`) {
		t.Errorf("Gateway API: %s", got)
	}
	if got := string(a.IstioObjects); got != `[{"kind":"ConfigMap"}]` {
		t.Errorf("Istio: %s", got)
	}
	calls := strings.Join(builds(t, dir), "\n")
	for _, want := range []string{
		"-X k8s.io/component-base/version.gitVersion=" + a.Versions.Kubernetes,
		"-X istio.io/istio/pkg/version.buildVersion=1.31-alpha.",
		"-trimpath", "-mod=readonly", "-s -w",
	} {
		if !strings.Contains(calls, want) {
			t.Errorf("builds lack %q:\n%s", want, calls)
		}
	}

	if _, err := Ensure(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if again := builds(t, dir); len(again) > 0 {
		t.Errorf("built again: %v", again)
	}

	o.Controllers = true
	a, err = Ensure(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if again := builds(t, dir); len(again) != 1 || !strings.Contains(again[0], "k8s.io/kubernetes/cmd/kube-controller-manager") || a.ControllerManager == "" {
		t.Errorf("when the controllers were asked for, %q: %v", a.ControllerManager, again)
	}
	o.Controllers = false

	if err := os.Truncate(a.APIServer, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := Ensure(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if again := builds(t, dir); len(again) != 1 || !strings.Contains(again[0], "kube-apiserver") {
		t.Errorf("after a binary was cut short: %v", again)
	}
}

func TestEnsureBuildsNothingThatTheUserBrought(t *testing.T) {
	dir := fakeGo(t)
	own := script(t, "own", "")
	_, err := Ensure(t.Context(), Options{CacheDir: t.TempDir(), Etcd: own, APIServer: own, Report: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if calls := builds(t, dir); len(calls) != 2 || !strings.Contains(calls[0], "pilot-discovery") || !strings.Contains(calls[1], "istioctl") {
		t.Errorf("builds: %v, want istiod and istioctl", calls)
	}
}

func TestInterruptedBuildLeavesNothing(t *testing.T) {
	dir := fakeGo(t)
	if err := os.WriteFile(filepath.Join(dir, "slow"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Ensure(ctx, Options{CacheDir: cache, Report: func(e Event) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Ensure = %v, want context.Canceled", err)
	}
	entries, err := filepath.Glob(filepath.Join(cache, "*-go*", "*"))
	if err != nil || len(entries) != 1 || filepath.Base(entries[0]) != "lock" {
		t.Errorf("in the cache: %v, want the lock and nothing else", entries)
	}
}
