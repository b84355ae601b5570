package pilotload

import (
	"fmt"
	"strings"

	"github.com/plscript/plscript/lang/ir"
)

// meshPhase makes the namespaces with what is in them, "" if there are none.
func (w *writer) meshPhase() string {
	var steps []string
	for i, ns := range w.c.namespaces {
		steps = append(steps, w.namespaceStep(ns))
		if s := w.applyStep(ns, nil); s != "" {
			steps = append(steps, s)
		}
		for _, a := range ns.apps {
			if s := w.applyStep(ns, a); s != "" {
				steps = append(steps, s)
			}
		}
		if w.c.gracePeriod > 0 && i < len(w.c.namespaces)-1 {
			steps = append(steps, fmt.Sprintf("{action: \"sleep\", for: %s},\n", text(shortDuration(w.c.gracePeriod))))
		}
	}
	if len(steps) == 0 {
		return ""
	}
	return phase("mesh", steps)
}

func (w *writer) namespaceStep(ns *namespace) string {
	var b strings.Builder
	b.WriteString("{\n" + w.comments(ns.dead))
	fmt.Fprintf(&b, "action: \"createNamespaces\"\nname: %s, count: %d", text(ns.base), ns.replicas)
	if ns.waypoint != "" {
		b.WriteString(w.waypoint(ns))
	}
	b.WriteString("\n")
	if w.c.gracePeriod > 0 && ns.replicas > 1 {
		fmt.Fprintf(&b, "gracePeriod: %s\n", text(shortDuration(w.c.gracePeriod)))
	}
	metadata := false
	for _, a := range ns.apps {
		metadata = metadata || a.proxies() && a.pods > 0
	}
	if metadata && w.usesMetadata() {
		b.WriteString("metadata: nodeMetadata\n")
	}
	if len(ns.apps) > 0 {
		b.WriteString("apps: [\n")
		for _, a := range ns.apps {
			b.WriteString(w.app(ns, a))
		}
		b.WriteString("]\n")
	}
	b.WriteString("},\n")
	return b.String()
}

// waypoint are the fields that name the waypoint of a namespace. pilot-load takes any name; the language only one that
// exists, so that another is written as the label that it comes to.
func (w *writer) waypoint(ns *namespace) string {
	from, name, elsewhere := strings.Cut(ns.waypoint, "/")
	if !elsewhere {
		from, name = "", ns.waypoint
	}
	for _, other := range w.c.namespaces {
		if other != ns && !elsewhere || elsewhere && other.name != from {
			continue
		}
		for _, a := range other.apps {
			if a.kind == "waypoint" && a.name == name {
				if !elsewhere {
					return ", waypoint: " + text(a.base)
				}
				return ", waypoint: " + text(other.base+"/"+a.base)
			}
		}
	}
	if elsewhere {
		return ", waypoint: " + text(ns.waypoint)
	}
	w.r.warnf(ns.waypointAt.node, ns.waypointAt.path, ir.CodeUnknownName, "no app of type waypoint is called %q in this namespace", shorten(name))
	return ", labels: \"istio.io/use-waypoint\": " + text(name)
}

func (w *writer) app(ns *namespace, a *app) string {
	fields := []string{"name: " + text(a.base)}
	add := func(format string, args ...any) { fields = append(fields, fmt.Sprintf(format, args...)) }
	if a.kind != "plain" {
		add("type: %q", a.kind)
	}
	if a.replicas != 1 {
		add("replicas: %d", a.replicas)
	}
	note := w.comments(a.dead)
	switch {
	case a.kind == "external":
	case a.kind == "vm":
		if a.pods > 1 {
			note += comment("pilot-load makes one WorkloadEntry for each copy, whatever it says of pods.")
		}
	case a.pods != 1:
		add("pods: %d", a.pods)
	}
	if len(a.labels) > 0 {
		add("serviceLabels: %s", pairs(a.labels))
	}
	if ns.gracePeriod > 0 {
		add("gracePeriod: %s", text(shortDuration(ns.gracePeriod)))
	}
	if note == "" {
		return enclose("{", fields, "}") + ",\n"
	}
	return "{\n" + note + strings.Join(fields, "\n") + "\n},\n"
}

// applyStep applies the configs of a namespace, or those of one of its apps; "" if there are none.
func (w *writer) applyStep(ns *namespace, a *app) string {
	uses, scope := ns.uses, "namespace"
	if a != nil {
		uses, scope = a.uses, "app"
	}
	var objects, notes []string
	for _, u := range uses {
		notes = append(notes, w.comments(u.dead))
		t := w.r.translate(w.c, u, a != nil)
		if t.failed != nil {
			notes = append(notes, comment(fmt.Sprintf("Not translated: the template %q: %v", u.template, plainError(t.failed))), w.sourceOf(u))
			continue
		}
		for _, o := range t.objects {
			w.weigh(ns, a, o, t.refresh)
			objects = append(objects, cueValue(o)+",\n")
		}
	}
	if len(objects) == 0 {
		return strings.Join(notes, "")
	}
	var b strings.Builder
	b.WriteString("{\n" + strings.Join(notes, ""))
	fmt.Fprintf(&b, "action: \"apply\", scope: %q", scope)
	if s := w.selector(ns, a); s != "" {
		b.WriteString(", select: " + text(s))
	}
	fmt.Fprintf(&b, "\nobjects: [\n%s]\n},\n", strings.Join(objects, ""))
	return b.String()
}

// maxShown is how long a template may be to be repeated in a comment.
const maxShown = 2000

// sourceOf is the user's template of a use, as a comment, the first time that it is asked for.
func (w *writer) sourceOf(u use) string {
	t := w.c.templates[u.template]
	if t.at.node == nil || t.shown || len(t.source) > maxShown {
		return ""
	}
	t.shown = true
	return comment(indent(strings.TrimRight(t.source, "\n")))
}

// selector chooses the namespaces that an entry made, and of them the copies of one app.
func (w *writer) selector(ns *namespace, a *app) string {
	var conditions []string
	if len(w.c.namespaces) > 1 {
		conditions = append(conditions, named("ns.name", ns.base, ns.replicas))
	}
	if a != nil && len(ns.apps) > 1 {
		conditions = append(conditions, named("app.name", a.base, a.replicas))
	}
	return strings.Join(conditions, " && ")
}

func named(what, base string, count int) string {
	if count == 1 {
		return fmt.Sprintf("%s == '%s'", what, base)
	}
	return fmt.Sprintf("%s.matches('^%s-[0-9]+$')", what, base)
}

// weigh notes how many objects of a kind there will be. pilot-load refreshes only those of apps.
func (w *writer) weigh(ns *namespace, a *app, o mapping, refresh bool) {
	kind, _ := o.text("kind")
	if a == nil || !refresh {
		w.fixed[kind] = true
		return
	}
	w.addWeight(kind, int64(ns.replicas)*int64(a.replicas))
}

func (w *writer) addWeight(kind string, n int64) {
	for i := range w.weights {
		if w.weights[i].kind == kind {
			w.weights[i].count += n
			return
		}
	}
	w.weights = append(w.weights, weight{kind, n})
}
