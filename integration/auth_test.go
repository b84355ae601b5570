package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestAuth syncs every class that a token or a certificate is for, over TLS that is verified against the mesh's root.
func TestAuth(t *testing.T) {
	box := sharedSandbox(t)
	file := scenario(t, `
name: "auth"
phases: [{name: "mesh", steps: [
	{action: "createNodes", count: 1, ztunnel: true},
	{action: "createNamespaces", count: 1, name: "auth", waypoint: "waypoint", apps: [
		{name: "waypoint", type: "waypoint"}, {name: "web", type: "sidecar", serviceAccount: "web"}, {name: "edge", type: "gateway"},
	]},
	{action: "wait", until: "xds.desired == 4 && xds.synced == 4", timeout: "1m"},
]}]
thresholds: [{expr: "xds.nacks == 0 && xds.disconnects == 0"}]
`)
	for _, mode := range []string{"jwt", "mtls"} {
		t.Run(mode, func(t *testing.T) {
			r := run(t, 0, "run", "--sandbox", box.Name, "--auth", mode, file).report(t)
			checkSync(t, r)
			plan := run(t, 0, "plan", "--auth", mode, file).stdout.String()
			if want := fmt.Sprintf("%v certificates", r.Readings["certificates.count"]); !strings.Contains(plan, want) {
				t.Errorf("the plan does not count %s:\n%s", want, plan)
			}
			checkEmpty(t, box)
		})
	}
}
