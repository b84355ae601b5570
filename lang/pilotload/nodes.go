package pilotload

import (
	"fmt"
	"strings"

	"github.com/plscript/plscript/lang/ir"
)

// nodesPhase makes the nodes, "" if there are none: then they are added as pods need them.
func (w *writer) nodesPhase() string {
	w.room()
	var steps []string
	for _, n := range w.c.nodes {
		if n.count == 0 {
			continue
		}
		fields := []string{`action: "createNodes"`, "name: " + text(n.name), fmt.Sprintf("count: %d", n.count)}
		if n.ztunnel {
			fields = append(fields, "ztunnel: true")
			if w.usesMetadata() {
				fields = append(fields, "metadata: nodeMetadata")
			}
		}
		steps = append(steps, w.comments(n.dead)+"{"+strings.Join(fields, ", ")+"},\n")
	}
	if len(steps) == 0 {
		return ""
	}
	return phase("nodes", steps)
}

func phase(name string, steps []string) string {
	return fmt.Sprintf("{name: %s, steps: [\n%s]},\n", text(name), strings.Join(steps, ""))
}

// room makes the nodes enough for the pods, and for one more, which a replacement needs for a moment. pilot-load puts
// any number of pods on a node.
func (w *writer) room() {
	var nodes, pods int64
	last := -1
	for i, n := range w.c.nodes {
		nodes += int64(n.count)
		if n.count > 0 {
			last = i
		}
	}
	for _, ns := range w.c.namespaces {
		for _, a := range ns.apps {
			if a.inCluster() {
				pods = sum(pods, int64(ns.replicas)*int64(a.replicas), int64(a.pods))
			}
		}
	}
	if w.c.workloads > 0 {
		pods++
	}
	need := (pods + podsPerNode - 1) / podsPerNode
	if last < 0 || need <= nodes {
		return
	}
	n := &w.c.nodes[last]
	want := int64(n.count) + need - nodes
	w.r.warnf(n.at.node, join(n.at.path, "count"), ir.CodeValue, "%s for %d pods, of which each takes %d: this becomes %d", several(nodes, "node"), pods, podsPerNode, min(want, maxNodeKind))
	n.count = int(min(want, maxNodeKind))
}
