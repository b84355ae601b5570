package build

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the pins
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The pins are those of the nested module sandbox/tools. A folder with a go.mod of its own cannot be embedded, hence the
// copies; a test compares them, and rewrites them when UPDATE=1 is set.
//
//go:generate env UPDATE=1 go test -run TestPinsAreThoseOfTheToolsModule .
var (
	//go:embed pins/go.mod.txt
	goMod []byte
	//go:embed pins/go.sum.txt
	goSum []byte
)

// recipe counts the ways in which this package has turned pins into files. Raising it rebuilds everything.
const recipe = "1"

// Modules whose versions matter by name.
const (
	moduleEtcd       = "go.etcd.io/etcd/server/v3"
	moduleKubernetes = "k8s.io/kubernetes"
	moduleIstio      = "istio.io/istio"
	moduleGatewayAPI = "sigs.k8s.io/gateway-api"
)

// pinsHash identifies the pins and the recipe.
func pinsHash() string {
	hash := sha256.New()
	for _, part := range [][]byte{[]byte(recipe), goMod, goSum} {
		fmt.Fprintf(hash, "%d\n", len(part))
		hash.Write(part)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

// pinnedVersion returns the version that go.mod requires of module.
func pinnedVersion(mod []byte, module string) (string, error) {
	line := regexp.MustCompile(`(?m)^\s*(?:require\s+)?` + regexp.QuoteMeta(module) + `\s+(v\S+)`)
	match := line.FindSubmatch(mod)
	if match == nil {
		return "", fmt.Errorf("the pins name no version of %s", module)
	}
	return string(match[1]), nil
}

func pinnedVersions(mod []byte) (Versions, error) {
	var v Versions
	for module, version := range map[string]*string{
		moduleEtcd: &v.Etcd, moduleKubernetes: &v.Kubernetes, moduleIstio: &v.Istio, moduleGatewayAPI: &v.GatewayAPI,
	} {
		var err error
		if *version, err = pinnedVersion(mod, module); err != nil {
			return Versions{}, err
		}
	}
	return v, nil
}

// writePins writes the pins as a module into dir, so that the go command can be run there. What is there already and equal stays.
func writePins(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing pins: %w", err)
	}
	for name, content := range map[string][]byte{"go.mod": goMod, "go.sum": goSum} {
		path := filepath.Join(dir, name)
		if present, err := os.ReadFile(path); err == nil && bytes.Equal(present, content) {
			continue
		}
		if err := replaceFile(path, content); err != nil {
			return fmt.Errorf("writing pins: %w", err)
		}
	}
	return nil
}

// replaceFile writes path so that a reader sees the old content or the new one, never a part.
func replaceFile(path string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+tempMark+"*")
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}

// istioRelease turns a pinned istio version into the one istiod reports of itself. A release keeps its number; a pseudo-version has none, so
// it becomes what Istio calls its own builds between releases: the coming minor version (the module's VERSION file), "alpha", and the commit.
func istioRelease(pinned, versionFile string) (release, commit string) {
	parts := strings.Split(strings.TrimPrefix(pinned, "v"), "-")
	if len(parts) < 3 {
		return strings.Join(parts, "-"), pinned
	}
	commit = parts[len(parts)-1]
	return strings.TrimSpace(versionFile) + "-alpha." + commit, commit
}
