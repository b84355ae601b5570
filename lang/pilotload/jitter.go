package pilotload

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plscript/plscript/lang/ir"
)

// jitterPhase goes on for as long as the parameter says, while pods and objects change in the background. It returns the
// parameters too.
func (w *writer) jitterPhase() (phases, params string) {
	for _, ns := range w.c.namespaces {
		for _, a := range ns.apps {
			if a.kind == "vm" {
				w.addWeight("WorkloadEntry", int64(ns.replicas)*int64(a.replicas))
			}
		}
	}
	var steps []string
	add := func(key, about string, every time.Duration, step func(key string) (text string, ok bool)) {
		if every == 0 {
			return
		}
		text, ok := step(key)
		steps = append(steps, text)
		if ok {
			params += param(key, about, rate(every), "schema.#Rate")
		}
	}
	add("workloads", "How often a pod is replaced.", w.c.workloads, w.churnPods)
	add("config", "How often an object is written anew.", w.c.configs, func(key string) (string, bool) {
		return w.churnConfig(key, w.c.configsAt, w.weights)
	})
	add("secrets", "How often a Secret is written anew.", w.c.secrets, func(key string) (string, bool) {
		return w.churnConfig(key, w.c.secretsAt, slices.DeleteFunc(slices.Clone(w.weights), func(x weight) bool { return x.kind != "Secret" }))
	})
	steps = append(steps, "{action: \"sleep\", for: params.duration},\n")
	params += param("duration", "How long to go on.", "1m", "schema.#Duration")
	return phase("jitter", steps), params
}

func param(name, about, value, typ string) string {
	return fmt.Sprintf("// %s\n%s: *%s | %s @tag(%s)\n", about, name, text(value), typ, name)
}

// rate is one arrival for each d.
func rate(d time.Duration) string {
	return "1/" + shortDuration(max(d, time.Second/ir.MaxRate))
}

// largestEven is the number of pods of an app up to which one percent of them is one pod.
const largestEven = 199

// churnPods replaces pods as pilot-load does: of an app that is drawn first, so that a pod of a small app is replaced
// more often than one of a large app. It is a comment, and not ok, if there are none.
func (w *writer) churnPods(key string) (step string, ok bool) {
	pods, large := false, false
	for _, ns := range w.c.namespaces {
		for _, a := range ns.apps {
			if a.inCluster() {
				pods = pods || a.pods > 0
				large = large || a.pods > largestEven
			}
		}
	}
	if !pods {
		return comment("jitter." + key + ": there is no pod to replace."), false
	}
	fields := []string{`action: "churnPods"`, "rate: params." + key, `arrivals: "normal"`, "background: true"}
	about := "Draws an app, then one of its pods, as pilot-load does."
	if large {
		about = "Draws a pod from all; pilot-load draws an app, then one of its pods."
	} else {
		fields = append(fields, `unit: "app"`, "percent: 1")
	}
	return comment(about) + "{" + strings.Join(fields, ", ") + "},\n", true
}

// churnConfig writes objects of the given kinds anew, each as likely as any other. It is a comment, and not ok, if there
// are none.
func (w *writer) churnConfig(key string, at value, of []weight) (step string, ok bool) {
	if len(of) == 0 {
		w.r.warnf(at.node, at.path, ir.CodeValue, "there is nothing to refresh: no app has a config that changes")
		return comment("jitter." + key + ": there is nothing to refresh."), false
	}
	scale := int64(1)
	for _, x := range of {
		scale = max(scale, (x.count+maxWeight-1)/maxWeight)
		if w.fixed[x.kind] {
			w.r.warnf(at.node, at.path, ir.CodeRule, "objects are chosen by kind: every %s is refreshed, those too that pilot-load leaves as they are", x.kind)
		}
	}
	kinds := make([]string, len(of))
	for i, x := range of {
		kinds[i] = "{kind: " + text(x.kind) + "}"
		if x.count/scale > 1 && len(of) > 1 {
			kinds[i] = fmt.Sprintf("{kind: %s, weight: %d}", text(x.kind), x.count/scale)
		}
	}
	return fmt.Sprintf("{action: \"churnConfig\", rate: params.%s, arrivals: \"normal\", background: true, of: %s},\n", key, enclose("[", kinds, "]")), true
}

// maxWeight is the largest weight that a kind takes.
const maxWeight = 1_000_000
