package sandbox

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/plscript/plscript/sandbox/internal/build"
)

// Config says how to make a sandbox. The zero value makes one with everything built from the pins.
type Config struct {
	// CacheDir keeps what was built, about 400 MB for each set of pins. It may be deleted at any time. Default: plscript/sandbox in the
	// user's cache folder.
	CacheDir string
	// StateDir keeps the sandboxes themselves, named and private. Default: see DefaultStateDir.
	StateDir string
	// AssetsDir holds "etcd" and "kube-apiserver" binaries to use instead of building them. Default: $KUBEBUILDER_ASSETS, where envtest
	// keeps them.
	AssetsDir string
	// IstiodBinary is a pilot-discovery to use instead of the pinned one. Default: $PLSCRIPT_ISTIOD.
	IstiodBinary string
	// IstioctlBinary renders the cluster objects in place of the pinned istioctl: give the one that belongs to IstiodBinary when their
	// versions are far from the pinned one. Default: $PLSCRIPT_ISTIOCTL.
	IstioctlBinary string
	// Istiods is how many istiods are started, each on ports of its own; 0 means 1. The first one serves the webhooks.
	Istiods int
	// Profile is the installation profile of Istio: "ambient", also if it is empty, or "default". They differ in what sidecars do:
	// with the first they serve and send HBONE and are told of every workload, as those of an ambient mesh are.
	Profile string
	// Controllers adds the kube-controller-manager, which makes EndpointSlices and ServiceAccounts, and ends namespaces.
	Controllers bool
	// IstiodEnv is added to istiod's environment and wins over what the chart sets. Anything set here may change the figures.
	IstiodEnv map[string]string
	// Progress is told what is being done, one call at a time. May be nil.
	Progress func(Event)
	// Log gets what is worth knowing but no failure, such as the sweeping of leftovers. May be nil.
	Log *slog.Logger
}

// DefaultStateDir is where sandboxes are kept unless told otherwise: plscript/sandboxes in the user's cache folder. The folder is not in the
// machine's temporary one, where any user could have made it first.
func DefaultStateDir() (string, error) { return userDir("sandboxes") }

func userDir(name string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the sandbox's files: %w", err)
	}
	return filepath.Join(dir, "plscript", name), nil
}

// withDefaults fills in what is not set. Paths become absolute: the sandbox's processes have working directories of their own.
func (c Config) withDefaults() (Config, error) {
	var err error
	if c.CacheDir == "" {
		if c.CacheDir, err = userDir("sandbox"); err != nil {
			return c, err
		}
	}
	if c.StateDir == "" {
		if c.StateDir, err = DefaultStateDir(); err != nil {
			return c, err
		}
	}
	for field, variable := range map[*string]string{
		&c.AssetsDir: "KUBEBUILDER_ASSETS", &c.IstiodBinary: "PLSCRIPT_ISTIOD", &c.IstioctlBinary: "PLSCRIPT_ISTIOCTL",
	} {
		if *field == "" {
			*field = os.Getenv(variable)
		}
	}
	for _, path := range []*string{&c.CacheDir, &c.StateDir, &c.AssetsDir, &c.IstiodBinary, &c.IstioctlBinary} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return c, fmt.Errorf("sandbox: %w", err)
		}
	}
	c.Istiods = max(1, c.Istiods)
	c.Profile = cmp.Or(c.Profile, string(build.Ambient))
	if c.Progress == nil {
		c.Progress = func(Event) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// ambient reports whether istiod serves an ambient mesh (Istio pilot/pkg/features EnableAmbient).
func (c Config) ambient() bool {
	on, err := strconv.ParseBool(c.IstiodEnv["PILOT_ENABLE_AMBIENT"])
	return c.Profile == string(build.Ambient) || err == nil && on
}

func (c Config) buildOptions() build.Options {
	o := build.Options{
		CacheDir: c.CacheDir,
		Istiod:   c.IstiodBinary,
		Istioctl: c.IstioctlBinary,

		Controllers: c.Controllers,
		Profile:     build.Profile(c.Profile),
		Report:      func(e build.Event) { c.Progress(Event(e)) },
	}
	if c.AssetsDir != "" {
		o.Etcd = filepath.Join(c.AssetsDir, "etcd")
		o.APIServer = filepath.Join(c.AssetsDir, "kube-apiserver")
	}
	return o
}

// dnsLabel is a label of RFC 1123. Such a name is safe as a folder's name, and neither hidden nor outside of its parent.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// ValidateName returns an error unless name may name a sandbox: up to 63 lower-case letters, digits and dashes, with no dash at either end.
func ValidateName(name string) error {
	if !dnsLabel.MatchString(name) {
		return fmt.Errorf("%q is no name for a sandbox: use up to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit", name)
	}
	return nil
}
