package build

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestPinsAreThoseOfTheToolsModule keeps the embedded copy equal to sandbox/tools. UPDATE=1 makes it so.
func TestPinsAreThoseOfTheToolsModule(t *testing.T) {
	t.Parallel()
	for name, embedded := range map[string][]byte{"go.mod": goMod, "go.sum": goSum} {
		original, err := os.ReadFile(filepath.Join("..", "..", "tools", name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(original, embedded) {
			continue
		}
		if os.Getenv("UPDATE") == "" {
			t.Errorf("pins/%s.txt is not sandbox/tools/%s: run go generate ./sandbox/...", name, name)
			continue
		}
		if err := os.WriteFile(filepath.Join("pins", name+".txt"), original, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPinnedVersions(t *testing.T) {
	t.Parallel()
	got, err := pinnedVersions([]byte(`module m
require istio.io/istio v0.1.2-x // indirect
require (
	go.etcd.io/etcd/server/v3 v3.6.8
	k8s.io/kubernetes v1.36.3 // indirect
	sigs.k8s.io/gateway-api-inference-extension v9.9.9
	sigs.k8s.io/gateway-api v1.6.3
)`))
	want := Versions{Etcd: "v3.6.8", Kubernetes: "v1.36.3", Istio: "v0.1.2-x", GatewayAPI: "v1.6.3"}
	if err != nil || got != want {
		t.Errorf("pinnedVersions = %+v, %v, want %+v", got, err, want)
	}
	if _, err := pinnedVersions([]byte("module m")); err == nil {
		t.Error("no error for pins that name no version")
	}
}

func TestIstioRelease(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pinned, release, commit string }{
		{"v0.0.0-20260827124520-eed52ebb66ad", "1.31-alpha.eed52ebb66ad", "eed52ebb66ad"},
		{"v1.30.2", "1.30.2", "v1.30.2"},
		{"v1.31.0-rc.1", "1.31.0-rc.1", "v1.31.0-rc.1"},
	} {
		release, commit := istioRelease(c.pinned, "1.31\n")
		if release != c.release || commit != c.commit {
			t.Errorf("istioRelease(%q) = %q, %q, want %q, %q", c.pinned, release, commit, c.release, c.commit)
		}
	}
}

func TestWritePinsRestoresWhatWasChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writePins(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"go.mod": goMod, "go.sum": goSum} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: not the pin's content (%v)", name, err)
		}
	}
}
