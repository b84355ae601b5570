// Package dump turns what istiod sent a proxy into files that Envoy runs, with no istiod left to ask.
//
// Listeners and clusters become a file each, which the bootstrap names. What these refer to (endpoints, routes, secrets,
// extension configurations) becomes a file of its own, because Envoy takes one resource from a file for them, and the
// reference is rewritten to its path. Nothing that istiod sent is changed besides.
package dump

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/plscript/plscript/runtime"
)

// Resources are what a proxy has received, by type URL and name.
type Resources map[string]map[string]*anypb.Any

// Add keeps a resource.
func (r Resources) Add(url, name string, a *anypb.Any) {
	if r[url] == nil {
		r[url] = map[string]*anypb.Any{}
	}
	r[url][name] = a
}

// Config is what a dump is made of.
type Config struct {
	Node      *core.Node // as the proxy showed itself to istiod
	Resources Resources
	// Secrets are those that istiod does not send: the workload certificate and the mesh's root, which the proxy's agent
	// hands it. A secret in Resources wins over one of the same name here.
	Secrets []*tlsv3.Secret
	// Root is the folder of the files as Envoy will find it, without a slash at its end. Envoy reads relative paths from
	// where it is started, so that it should be absolute.
	Root string
	// AdminPort is the port of Envoy's admin pages on loopback, 0 to 65535; with 0 any free one is taken.
	AdminPort uint32
}

// Reference names a resource that another one needs.
type Reference struct {
	Type string // as Istio's debug pages call it: "EDS"
	Name string
}

func (r Reference) String() string { return r.Type + " " + r.Name }

// Summary is what a dump holds.
type Summary struct {
	Files int
	// Resources counts what was written, by type ("CDS"). What istiod sent and nothing refers to is not written.
	Resources map[string]int
	// Missing is referred to and was never sent. For endpoints and routes an empty resource stands in, for others a file with
	// none in it: Envoy starts, and does without, as the proxy does.
	Missing []Reference
	// Dynamic are references that no file can answer, as on-demand clusters, by the field that holds them. They are left as
	// they were.
	Dynamic []string
	// Binary are the files in protobuf's binary form, because they hold types that are not known here: those of extensions
	// which an EnvoyFilter added. Envoy reads them as well.
	Binary []string
}

// The types that a dump is made of, and the names that [Write] gives their files.
var (
	clusterType   = typeURL("cds")
	listenerType  = typeURL("lds")
	endpointType  = typeURL("eds")
	routeType     = typeURL("rds")
	secretType    = typeURL("sds")
	extensionType = typeURL("ecds")
)

// Roots are the types that a proxy subscribes to as a whole, by URL; the others follow from them by name.
func Roots() []string { return []string{clusterType, listenerType} }

// Bootstrap is the file that Envoy is started with.
const Bootstrap = "config.yaml"

func typeURL(short string) string {
	i := slices.IndexFunc(runtime.XDSTypes, func(t runtime.XDSType) bool { return t.Short == short })
	return runtime.XDSTypes[i].URL
}

func typeOf(url string) runtime.XDSType {
	i := slices.IndexFunc(runtime.XDSTypes, func(t runtime.XDSType) bool { return t.URL == url })
	return runtime.XDSTypes[i]
}

// Write writes the files. Those that hold private keys are readable by their owner alone.
func Write(files runtime.Files, c Config) (*Summary, error) {
	if c.Node == nil || c.Root == "" {
		return nil, errors.New("dump: no node or no root")
	}
	w := &writer{
		files: files, cfg: c, paths: map[Reference]string{}, names: names{},
		summary: Summary{Resources: map[string]int{}},
	}
	if err := w.addSecrets(); err != nil {
		return nil, fmt.Errorf("dump: %w", err)
	}
	clusters, err := w.all(clusterType)
	if err != nil {
		return nil, fmt.Errorf("dump: %w", err)
	}
	listeners, err := w.all(listenerType)
	if err != nil {
		return nil, fmt.Errorf("dump: %w", err)
	}
	if err := w.bootstrap(clusters, listeners); err != nil {
		return nil, fmt.Errorf("dump: %w", err)
	}
	slices.SortFunc(w.summary.Missing, compareReferences)
	return &w.summary, nil
}

// writer writes one dump.
type writer struct {
	cfg     Config
	files   runtime.Files
	names   names
	paths   map[Reference]string // of what is written, or being written
	summary Summary
}

// addSecrets adds those that the agent would have.
func (w *writer) addSecrets() error {
	all := Resources{}
	for url, m := range w.cfg.Resources {
		all[url] = maps.Clone(m)
	}
	for _, s := range w.cfg.Secrets {
		if _, sent := all[secretType][s.Name]; sent {
			continue
		}
		a, err := anypb.New(s)
		if err != nil {
			return fmt.Errorf("secret %s: %w", s.Name, err)
		}
		all.Add(secretType, s.Name, a)
	}
	w.cfg.Resources = all
	return nil
}

// all writes every resource of a type into one file and returns its path.
func (w *writer) all(url string) (string, error) {
	t := typeOf(url)
	var list []rewritten
	for _, name := range slices.Sorted(maps.Keys(w.cfg.Resources[url])) {
		a, err := w.rewrite(Reference{t.Name, name}, w.cfg.Resources[url][name])
		if err != nil {
			return "", err
		}
		list = append(list, a)
	}
	w.summary.Resources[t.Name] += len(list)
	return w.response(t.Short, url, list)
}

// one writes the resource of that type and name into a file, unless that has been done, and returns its path.
func (w *writer) one(url, name string) (string, error) {
	t := typeOf(url)
	ref := Reference{t.Name, name}
	if path, ok := w.paths[ref]; ok {
		return path, nil
	}
	file := t.Short + "/" + w.names.file(t.Short, name)
	// For a resource that refers to itself, which none of Envoy's does.
	w.paths[ref] = w.path(file + yamlSuffix)
	list, err := w.listed(ref, url)
	if err != nil {
		return "", err
	}
	path, err := w.response(file, url, list)
	w.paths[ref] = path
	return path, err
}

// listed is what the file of a resource lists.
func (w *writer) listed(ref Reference, url string) ([]rewritten, error) {
	a, sent := w.cfg.Resources[url][ref.Name]
	if !sent {
		w.summary.Missing = append(w.summary.Missing, ref)
		return standIn(url, ref.Name)
	}
	w.summary.Resources[ref.Type]++
	r, err := w.rewrite(ref, a)
	r.private = r.private || url == secretType
	return []rewritten{r}, err
}

func (w *writer) path(file string) string { return w.cfg.Root + "/" + file }
