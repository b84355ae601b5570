package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plscript/plscript/sandbox"
)

// checkIstiods names two istiods by their addresses: both get their share, one that nobody has does not stop the run, and
// each is asked what it says of itself.
func checkIstiods(t *testing.T, box *sandbox.Sandbox) {
	both := box.XDSAddresses()
	spread := func(t *testing.T, want []int, args ...string) *process {
		t.Helper()
		p := run(t, 0, append([]string{"adsc", "--count=4", "--duration=2s", "--auth=plaintext"}, args...)...)
		var got []int
		for _, i := range p.report(t).Istiods {
			got = append(got, i.Open)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: streams %v, want %v", args, got, want)
		}
		return p
	}
	spread(t, []int{2, 2}, "--pilot-address", strings.Join(both, ","))
	spread(t, []int{2, 2}, "-p", both[0], "-p", both[1], "--istiod-address", strings.Join(box.MonitoringAddresses(), ","))
	if p := spread(t, []int{0, 4}, "--pilot-address", "127.0.0.1:1,"+both[1]); !strings.Contains(p.stderr.String(), "istiod at 127.0.0.1:1: nothing listens there") {
		t.Errorf("nobody is named:\n%s", p.stderr)
	}
	if env := run(t, 0, "sandbox", "env", box.Name).stdout.String(); !strings.Contains(env, "export PILOT_ADDRESSES='"+strings.Join(both, ",")+"'") {
		t.Errorf("the environment:\n%s", env)
	}

	p := run(t, 0, "run", "--sandbox", box.Name, scenario(t, `
name: "pages"
cluster: "fake-nodes"
proxies: pin: 1
phases: [
	{name: "open", steps: [{action: "connect", count: 3}, {action: "wait", until: "xds.synced == 3"}]},
	{name: "look", steps: [{action: "profile", kind: "goroutine"}, {action: "snapshot", pages: ["syncz"]}]},
]
`))
	var files []string
	err := filepath.WalkDir(p.out, func(path string, d fs.DirEntry, err error) error {
		if strings.Contains(path, "istiod-") && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) != 2+2*2 {
		t.Fatalf("%v: %q", err, files)
	}
	for n, want := range []int{0, 3} {
		i := slices.IndexFunc(files, func(f string) bool { return strings.Contains(f, "istiod-"+string(rune('0'+n))+"/syncz.json") })
		if i < 0 {
			t.Fatalf("no syncz of istiod %d: %q", n, files)
		}
		page, err := os.ReadFile(files[i])
		if got := strings.Count(string(page), `"proxy":`); err != nil || got != want {
			t.Errorf("istiod %d lists %d proxies, want %d: %v", n, got, want, err)
		}
	}
}
