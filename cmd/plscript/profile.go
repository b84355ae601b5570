package main

import (
	"fmt"
	"strings"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// checkProfile compares the installation profile of a named sandbox with what the scenario is made for. It refuses one
// whose istiod would end the streams of the scenario's ztunnels; any other difference is told, as the figures are those of
// another mesh than the scenario asks for.
func (r *session) checkProfile() error {
	box := r.target.box
	if box == nil || r.target.private || box.Profile == "" { // made by a plscript that did not note it
		return nil
	}
	asked := r.scenario.Sandbox.Profile
	switch {
	case !box.Ambient && r.opensZtunnels():
		return fmt.Errorf("%s is installed with the %s profile, whose istiod ends the streams of the scenario's ztunnels: "+
			"start one with `plscript sandbox up --profile %s`, or name none for a private one", r.target.about, box.Profile, ir.ProfileAmbient)
	case asked != "" && string(asked) != box.Profile:
		fmt.Fprintf(r.stderr, "plscript: the scenario asks for the %s profile, and %s is installed with the %s one: what is measured is that mesh\n",
			asked, r.target.about, box.Profile)
	}
	return nil
}

// opensZtunnels reports whether the plan has streams of ztunnels.
func (r *session) opensZtunnels() bool {
	for _, ph := range r.loaded.plan.Phases {
		for _, st := range ph.Steps {
			if st.Streams[runtime.ClassZtunnel] > 0 {
				return true
			}
		}
	}
	return false
}

// tellUnused says which of the scenario's settings of istiod a target that was there before the run does not have from it.
func (r *session) tellUnused() {
	if r.target.private {
		return
	}
	var unused []string
	istiod := r.scenario.Sandbox.Istiod
	if len(istiod.Env) > 0 {
		unused = append(unused, "env")
	}
	if istiod.Binary != "" {
		unused = append(unused, "binary")
	}
	if istiod.Replicas > 1 {
		unused = append(unused, "replicas")
	}
	if len(unused) > 0 {
		fmt.Fprintf(r.stderr, "plscript: the scenario's sandbox.istiod settings (%s) are for a private sandbox: %s stays as it was started\n",
			strings.Join(unused, ", "), r.target.about)
	}
}
