package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// tool is a binary that is built from the pins.
type tool struct {
	file    string
	pkg     string
	stamps  func(ctx context.Context) (map[string]string, error) // linker variables; may be nil
	present bool                                                 // the user brought it, or nothing needs it
}

func (b *builder) binaries() []tool {
	all := []tool{
		{file: fileEtcd, pkg: moduleEtcd, present: b.Etcd != ""},
		{file: fileAPIServer, pkg: moduleKubernetes + "/cmd/kube-apiserver", stamps: b.kubernetesStamps, present: b.APIServer != ""},
		{file: fileIstiod, pkg: moduleIstio + "/pilot/cmd/pilot-discovery", stamps: b.istioStamps, present: b.Istiod != ""},
		{file: fileIstioctl, pkg: moduleIstio + "/istioctl/cmd/istioctl", stamps: b.istioStamps, present: b.Istioctl != "" || b.hasAll(renderedFiles())},
	}
	if b.Controllers { // after the api-server, which it shares most of its packages with
		all = slices.Insert(all, 2, tool{file: fileControllers, pkg: moduleKubernetes + "/cmd/kube-controller-manager", stamps: b.kubernetesStamps})
	}
	return all
}

// compile builds the binaries that the entry lacks, one after the other: linking two at once would double the peak of memory.
func (b *builder) compile(ctx context.Context) error {
	all := b.binaries()
	for i, t := range all {
		if t.present || b.has(t.file) {
			continue
		}
		stage := begin(b.Report, "building "+t.file, i+1, len(all))
		err := b.install(t.file, func(temp string) error { return b.compileOne(ctx, t, temp, stage) })
		stage.end(err)
		if err != nil {
			return fmt.Errorf("building %s: %w", t.file, err)
		}
	}
	return nil
}

func (b *builder) compileOne(ctx context.Context, t tool, out string, stage *stage) error {
	flags := []string{"-s", "-w"} // neither symbols nor debugging data: it halves the files
	if t.stamps != nil {
		values, err := t.stamps(ctx)
		if err != nil {
			return err
		}
		for name, value := range values {
			flags = append(flags, "-X", name+"="+value)
		}
	}
	// The go command's own temporary files go into the entry, so that they do not outlive a build that was killed.
	work := b.path("go" + tempMark + "work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	r := b.runner
	r.env = append(r.env[:len(r.env):len(r.env)], "GOTMPDIR="+work)
	_, err := r.run(ctx, func(lines int) { stage.detail(fmt.Sprintf("%d packages compiled", lines)) },
		"go", "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", strings.Join(flags, " "), "-o", out, t.pkg)
	return err
}

// kubernetesStamps are the variables that Kubernetes' release build sets (hack/lib/version.sh). Without them the api-server reports
// "v0.0.0-master+$Format:%H$", which kubectl cannot parse.
func (b *builder) kubernetesStamps(context.Context) (map[string]string, error) {
	const pkg = "k8s.io/component-base/version."
	version := b.versions.Kubernetes
	numbers := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(numbers) != 3 {
		return nil, fmt.Errorf("unexpected version %q of %s", version, moduleKubernetes)
	}
	return map[string]string{
		pkg + "gitVersion": version, pkg + "gitMajor": numbers[0], pkg + "gitMinor": numbers[1],
		pkg + "gitCommit": "unknown", pkg + "gitTreeState": "clean",
	}, nil
}

// istioStamps are the variables that Istio's release build sets (common/scripts/report_build_info.sh).
func (b *builder) istioStamps(ctx context.Context) (map[string]string, error) {
	dir, err := b.moduleDir(ctx, moduleIstio)
	if err != nil {
		return nil, err
	}
	next, err := os.ReadFile(filepath.Join(dir, "VERSION"))
	if err != nil {
		return nil, fmt.Errorf("reading the version of %s: %w", moduleIstio, err)
	}
	release, commit := istioRelease(b.versions.Istio, string(next))
	const pkg = "istio.io/istio/pkg/version."
	return map[string]string{
		pkg + "buildVersion": release, pkg + "buildTag": release,
		pkg + "buildGitRevision": commit, pkg + "buildStatus": "Clean",
	}, nil
}
