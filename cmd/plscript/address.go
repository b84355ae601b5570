package main

import (
	"strings"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/report"
)

// pilotAddress is where istiod's plaintext port is unless told: its Service inside a cluster, and elsewhere the end of a
// port-forward.
func (s *system) pilotAddress() string {
	if s.inCluster() {
		return "istiod.istio-system.svc:15010"
	}
	return "localhost:15010"
}

// inCluster reports whether plscript runs in a pod: the kubelet sets the variable in every container.
func (s *system) inCluster() bool { return s.getenv("KUBERNETES_SERVICE_HOST") != "" }

// openAddress is a target of which only istiod's address is known: XDS can be had from it, and nothing else.
func openAddress(t targetOptions) (*target, error) {
	mode, err := checkAuthOf(t.auth, t.pilots)
	if err != nil {
		return nil, err
	}
	out := &target{about: "istiod at " + strings.Join(t.pilots, ", "), xds: t.pilots[0], pilots: t.pilots, auth: mode}
	out.monitored(t.istiods)
	return out, nil
}

// plansWrites reports whether the scenario writes anything.
func (r *session) plansWrites() bool { return len(report.PlannedWrites(r.loaded.plan)) > 0 }

// needsAPI refuses a scenario that writes where there is no api-server.
func (r *session) needsAPI() error {
	if r.hasAPI() || !r.plansWrites() {
		return nil
	}
	return &runtime.NoServiceError{
		Need: "write objects, which the scenario does",
		Hint: "name a cluster with --kubeconfig or --context, or leave out --pilot-address for a private sandbox",
	}
}
