package pilotload

import (
	"fmt"
	"path"
	"strings"
)

// writer writes the scenario of a configuration.
type writer struct {
	r *reader
	c *config

	proxies bool            // there are some
	weights []weight        // what jitter.config updates
	fixed   map[string]bool // kinds of objects that it does not
}

// weight is how many objects of a kind there are.
type weight struct {
	kind  string
	count int64
}

func newWriter(r *reader, c *config) *writer {
	r.assign(c)
	w := &writer{r: r, c: c, fixed: map[string]bool{}}
	for _, n := range c.nodes {
		w.proxies = w.proxies || n.ztunnel && n.count > 0
	}
	for _, ns := range c.namespaces {
		for _, a := range ns.apps {
			w.proxies = w.proxies || a.proxies() && a.pods > 0
		}
	}
	return w
}

// file is the whole scenario.
func (w *writer) file() ([]byte, error) {
	name := scenarioName(w.r.name)
	nodes, mesh := w.nodesPhase(), w.meshPhase()
	jitter, params := w.jitterPhase()
	var b strings.Builder
	b.WriteString(comment(w.header()))
	fmt.Fprintf(&b, "package imported\n\nimport \"github.com/plscript/plscript/schema\"\n\n")
	if w.usesMetadata() {
		b.WriteString("// nodeMetadata is what every proxy says of itself besides the usual.\n")
		fmt.Fprintf(&b, "let nodeMetadata = %s\n\n", pairs(w.c.metadata))
	}
	b.WriteString("schema.#Scenario & {\n")
	b.WriteString(w.comments(w.c.dead))
	fmt.Fprintf(&b, "name: %s\ndescription: %s\n", text(name), text(w.description()))
	fmt.Fprintf(&b, "params: {\n%s}\n", params)
	fmt.Fprintf(&b, "phases: [\n%s%s%s%s]\n", nodes, mesh, settle, jitter)
	if w.proxies {
		b.WriteString(thresholds)
	}
	b.WriteString("}\n")
	if b.Len() > 2*maxScenarioBytes {
		return nil, errTooLong // whatever formatting may save
	}
	return tidy(b.String())
}

const settle = `// pilot-load starts its jitter at once; here it starts when all is ready.
{name: "settle", steps: [{action: "wait", until: "pods.ready == pods.desired && xds.synced == xds.desired", timeout: "15m"}]},
`

const thresholds = `// pilot-load has no verdict; these hold of any healthy istiod.
thresholds: [
	{name: "nobody disconnected", expr: "xds.disconnects == 0"},
	{name: "nothing refused", expr: "xds.nacks == 0"},
]
`

func (w *writer) header() string {
	from := w.r.name
	if from == "-" {
		from = "the standard input"
	}
	return fmt.Sprintf(`Imported from %s, a configuration of pilot-load's cluster command.

The jitter ends after a time, which -t duration=10m sets. Names have no random part. Namespaces are not labelled
istio-injection=enabled, because the pods come with the proxies that they have.`, path.Base(from))
}

// scenarioName makes a name of the file's.
func scenarioName(file string) string {
	base := path.Base(strings.ReplaceAll(file, `\`, "/"))
	base = strings.TrimSuffix(base, path.Ext(base))
	if name := valid(base); name != "x" {
		return name
	}
	return "imported"
}

// description says how large the mesh is.
func (w *writer) description() string {
	var namespaces, services, pods, outside int64
	for _, ns := range w.c.namespaces {
		n := int64(ns.replicas)
		namespaces += n
		for _, a := range ns.apps {
			copies := n * int64(a.replicas)
			if !a.inCluster() {
				outside += copies
				continue
			}
			services += copies
			pods = sum(pods, copies, int64(a.pods))
		}
	}
	s := fmt.Sprintf("%s with %s and %s", several(namespaces, "namespace"), several(services, "service"), several(pods, "pod"))
	if outside > 0 {
		s += fmt.Sprintf(", and %s outside of the cluster", several(outside, "app"))
	}
	return s + "."
}

func several(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sum is total + copies*each, or as near as 64 bits come.
func sum(total, copies, each int64) int64 {
	const most = 1 << 62
	if each > 0 && copies > (most-total)/each {
		return most
	}
	return total + copies*each
}

// comments are dead keys, as comments.
func (w *writer) comments(ds []dead) string {
	var b strings.Builder
	for _, d := range ds {
		b.WriteString(comment("Ignored by pilot-load:\n" + indent(d.text)))
	}
	return b.String()
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }

// pairs is a struct of texts.
func pairs(ps []pair) string {
	parts := make([]string, len(ps))
	for i, p := range ps {
		parts[i] = label(p.key) + ": " + text(p.text)
	}
	return enclose("{", parts, "}")
}

// usesMetadata reports whether there is node metadata and anybody to have it.
func (w *writer) usesMetadata() bool { return w.proxies && len(w.c.metadata) > 0 }
