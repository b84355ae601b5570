package sandbox

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestValidateName(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "0", "my-mesh", "istio-131", strings.Repeat("x", 63)} {
		if err := ValidateName(good); err != nil {
			t.Errorf("ValidateName(%q) = %v", good, err)
		}
	}
	for _, bad := range []string{
		"", ".", "..", "../../x", "a/b", "/etc", ".private-1", "-a", "a-", "A", "a_b", "a b", "a\n", "ä", strings.Repeat("x", 64),
	} {
		if err := ValidateName(bad); err == nil {
			t.Errorf("ValidateName(%q) = nil", bad)
		}
	}
}

func TestChoosePorts(t *testing.T) {
	t.Parallel()
	p, err := choosePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	ports := []int{p.APIServer}
	for _, i := range p.istiods() {
		for _, port := range i.fields() {
			ports = append(ports, *port)
		}
	}
	seen := map[int]bool{}
	for _, port := range ports {
		if port < firstPort || port >= lastPort || seen[port] {
			t.Errorf("ports = %+v: not different ones between %d and %d", p, firstPort, lastPort)
		}
		seen[port] = true
	}
	if want := 1 + 3*5; len(seen) != want {
		t.Errorf("%d ports for three istiods, want %d", len(seen), want)
	}
}

func TestEventAsText(t *testing.T) {
	t.Parallel()
	for want, event := range map[string]Event{
		"starting etcd":                         {Stage: "starting etcd"},
		"starting etcd: 150ms, done":            {Stage: "starting etcd", Elapsed: 151 * time.Millisecond, Done: true},
		"building istiod (3 of 4): 1m5s":        {Stage: "building istiod", Step: 3, Steps: 4, Elapsed: 65*time.Second + 1},
		"building etcd (1 of 4): 7 files, 2.5s": {Stage: "building etcd", Step: 1, Steps: 4, Detail: "7 files", Elapsed: 2500 * time.Millisecond},
	} {
		if got := event.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestEnvIsSafeToEvaluate(t *testing.T) {
	t.Parallel()
	i := Info{Dir: "/home/o'neil/$(rm x)", Ports: Ports{IstiodPorts: IstiodPorts{XDS: 21000}}}
	lines := strings.Join(i.Env(), "\n")
	for _, want := range []string{`export KUBECONFIG='/home/o'\''neil/$(rm x)/kubeconfig'`, `export PILOT_ADDRESS='127.0.0.1:21000'`} {
		if !strings.Contains(lines, want) {
			t.Errorf("Env lacks %s:\n%s", want, lines)
		}
	}
}

func TestSocketPathThatIsTooLong(t *testing.T) {
	t.Parallel()
	if err := (Info{Dir: "/home/user/.cache/plscript/sandboxes/my-mesh"}).checkSocketPath(); err != nil {
		t.Error(err)
	}
	if err := (Info{Dir: "/" + strings.Repeat("x", 90)}).checkSocketPath(); err == nil {
		t.Error("no error for a path that no socket can have")
	}
}

func TestReleaseOf(t *testing.T) {
	t.Parallel()
	for full, want := range map[string]string{
		"1.31-alpha.eed52ebb66ad-eed52ebb66ad-Clean": "1.31-alpha.eed52ebb66ad",
		"1.30.2-0123abc-Clean":                       "1.30.2",
		"unknown-unknown-unknown":                    "unknown",
		"odd":                                        "odd",
	} {
		if got := releaseOf(full); got != want {
			t.Errorf("releaseOf(%q) = %q, want %q", full, got, want)
		}
	}
}

func TestDefaultsComeFromTheEnvironmentAndConfigWins(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", "/assets")
	t.Setenv("PLSCRIPT_ISTIOD", "/istiod-from-env")
	c, err := Config{IstiodBinary: "relative/istiod"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	o := c.buildOptions()
	if o.Etcd != "/assets/etcd" || o.APIServer != "/assets/kube-apiserver" || o.Istiod != wd+"/relative/istiod" || o.Istioctl != "" {
		t.Errorf("build options = %+v", o)
	}
}

// TestProfile: a sandbox is installed with the ambient profile unless it is told otherwise, and istiod's environment may
// add an ambient mesh to the other one.
func TestProfile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		profile, env string
		want         string
		ambient      bool
	}{
		{"", "", "ambient", true},
		{"ambient", "", "ambient", true},
		{"default", "", "default", false},
		{"default", "no", "default", false},
		{"default", "true", "default", true},
	} {
		cfg, err := Config{Profile: c.profile, IstiodEnv: map[string]string{"PILOT_ENABLE_AMBIENT": c.env}}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Profile != c.want || string(cfg.buildOptions().Profile) != c.want || cfg.ambient() != c.ambient {
			t.Errorf("%q with PILOT_ENABLE_AMBIENT=%s: profile %q, ambient %v", c.profile, c.env, cfg.Profile, cfg.ambient())
		}
	}
}
