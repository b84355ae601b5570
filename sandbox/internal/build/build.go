package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/plscript/plscript/sandbox/internal/process"
)

// Options says where to build, and what the user brings along.
type Options struct {
	CacheDir  string // holds an entry per pins and Go version
	Etcd      string // a binary to use instead of building one; so the next three
	APIServer string
	Istiod    string
	Istioctl  string
	// Controllers asks for the kube-controller-manager too, which is built for nobody else.
	Controllers bool
	Profile     Profile     // of IstioObjects; "" is Ambient
	Report      func(Event) // called for each step that is not in the cache; not concurrently
}

// Profile is one of Istio's installation profiles (Istio manifests/profiles).
type Profile string

// The profiles that a sandbox may have.
const (
	Ambient Profile = "ambient" // sidecars take part in the ambient mesh too
	Default Profile = "default" // sidecars only
)

// profiles are rendered together, so that a cache entry that is complete for one is complete for the other.
var profiles = []Profile{Ambient, Default}

// Artifacts is all that a sandbox is made of. The lists are JSON arrays of Kubernetes objects.
type Artifacts struct {
	Etcd, APIServer, Istiod string // paths of binaries
	ControllerManager       string // "" unless asked for
	IstioObjects            []byte // what istioctl renders, with WebhookHost where istiod's address belongs
	GatewayCRDs             []byte // the standard channel of the Gateway API
	Versions                Versions
}

// Versions are those of the pinned modules ("v1.36.3"). They do not describe what the user brought.
type Versions struct{ Etcd, Kubernetes, Istio, GatewayAPI string }

// The names of the files in a cache entry.
const (
	fileEtcd        = "etcd"
	fileAPIServer   = "kube-apiserver"
	fileControllers = "kube-controller-manager"
	fileIstiod      = "istiod"
	fileIstioctl    = "istioctl"
	fileGatewayCRDs = "gateway-crds.json"
)

// file is the name of the rendered objects in a cache entry.
func (p Profile) file() string { return "istio-" + string(p) + ".json" }

// builder is one call of Ensure.
type builder struct {
	Options
	versions Versions
	runner
	entry
	noGo bool // there is no go command: only what is in the cache already can be used
}

// Ensure returns everything a sandbox is made of. It builds what the cache does not hold, which takes minutes when nothing of it
// was ever built on this machine, and seconds when only linking is left to do. Several processes may call it at once: one builds,
// the others wait for it. When ctx ends, it stops building and leaves nothing behind but finished files. The error matches
// ErrNoGo when something must be built and there is no go command.
func Ensure(ctx context.Context, o Options) (*Artifacts, error) {
	for _, given := range []string{o.Etcd, o.APIServer, o.Istiod, o.Istioctl} {
		if err := checkExecutable(given); err != nil { // before minutes are spent on the others
			return nil, err
		}
	}
	if o.Profile = Profile(or(string(o.Profile), string(Ambient))); !slices.Contains(profiles, o.Profile) {
		return nil, fmt.Errorf("no profile %q: there are %q", o.Profile, profiles)
	}
	versions, err := pinnedVersions(goMod)
	if err != nil {
		return nil, err
	}
	pins := filepath.Join(o.CacheDir, pinsDir, pinsHash())
	if err := writePins(pins); err != nil {
		return nil, err
	}
	thread := process.NewThread()
	defer thread.Close()
	b := &builder{Options: o, versions: versions, runner: runner{dir: pins, thread: thread, env: goEnv()}}
	if err := b.locate(ctx); err != nil {
		return nil, err
	}
	if !b.hasAll(b.needed()) {
		if err := b.build(ctx); err != nil {
			return nil, err
		}
	}
	b.touch()
	return b.artifacts(ctx)
}

// goEnv keeps the user's settings for other work from changing what is built: binaries for this machine, from the pins.
func goEnv() []string {
	return []string{"GOWORK=off", "GOOS=" + runtime.GOOS, "GOARCH=" + runtime.GOARCH}
}

// locate chooses the cache entry. Without a go command, any finished entry of the same pins and platform will do.
func (b *builder) locate(ctx context.Context) error {
	name := func(version string) string {
		return filepath.Join(b.CacheDir, fmt.Sprintf("%s-%s-%s-%s", pinsHash(), version, runtime.GOOS, runtime.GOARCH))
	}
	version, err := b.goVersion(ctx)
	if err == nil {
		b.entry.dir = name(version)
		return nil
	}
	if !errors.Is(err, ErrNoGo) {
		return err
	}
	b.noGo, b.entry.dir = true, name("none")
	entries, err := filepath.Glob(name("*"))
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	for _, dir := range entries {
		if (entry{dir: dir}).hasAll(b.needed()) {
			b.entry.dir = dir
		}
	}
	return nil
}

// needed lists the files that must be in the entry. istioctl is none of them: it only serves to render the objects.
func (b *builder) needed() []string {
	files := []string{fileGatewayCRDs}
	for file, given := range map[string]string{fileEtcd: b.Etcd, fileAPIServer: b.APIServer, fileIstiod: b.Istiod} {
		if given == "" {
			files = append(files, file)
		}
	}
	if b.Istioctl == "" {
		files = append(files, renderedFiles()...)
	}
	if b.Controllers {
		files = append(files, fileControllers)
	}
	return files
}

func renderedFiles() []string {
	var files []string
	for _, p := range profiles {
		files = append(files, p.file())
	}
	return files
}

func (b *builder) build(ctx context.Context) error {
	if b.noGo {
		return fmt.Errorf("the sandbox has to be built (etcd, kube-apiserver, istiod and istioctl, from pinned sources), but there is %w: "+
			"install Go 1.26 or newer from https://go.dev/dl", ErrNoGo)
	}
	var waiting *stage
	lock, err := b.lock(ctx, func() { waiting = begin(b.Report, "waiting for another plscript to build the sandbox", 0, 0) })
	if waiting != nil {
		waiting.end(err)
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	prune(b.CacheDir)
	if err := b.compile(ctx); err != nil {
		return err
	}
	for _, p := range profiles {
		if b.Istioctl != "" || b.has(p.file()) {
			continue
		}
		err := b.install(p.file(), func(temp string) error { return b.renderIstio(ctx, b.path(fileIstioctl), p, temp) })
		if err != nil {
			return err
		}
	}
	if b.has(fileGatewayCRDs) {
		return nil
	}
	return b.install(fileGatewayCRDs, func(temp string) error { return b.collectGatewayCRDs(ctx, temp) })
}

func (b *builder) artifacts(ctx context.Context) (*Artifacts, error) {
	a := &Artifacts{
		Etcd:      or(b.Etcd, b.path(fileEtcd)),
		APIServer: or(b.APIServer, b.path(fileAPIServer)),
		Istiod:    or(b.Istiod, b.path(fileIstiod)),
		Versions:  b.versions,
	}
	if b.Controllers {
		a.ControllerManager = b.path(fileControllers)
	}
	var err error
	if a.IstioObjects, err = b.istioObjects(ctx); err != nil {
		return nil, err
	}
	if a.GatewayCRDs, err = os.ReadFile(b.path(fileGatewayCRDs)); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return a, nil
}

// checkExecutable checks a binary of the user's; empty is none.
func checkExecutable(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("sandbox binary: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("sandbox binary: %s is not an executable file", path)
	}
	return nil
}

func or(given, built string) string {
	if given != "" {
		return given
	}
	return built
}
