// Package actions holds what a step of a scenario can do: for each action one CUE fragment, which declares its fields,
// and one Go struct, which they are decoded into, with what it plans and runs.
//
// To add one, write the two files and put it into [All]. Schema, validation, decoding, reference and plan derive from
// that.
package actions

import (
	_ "embed"
	"slices"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// All lists every action.
func All() Catalog {
	return Catalog{
		define[apply]("apply", "apply.cue", applyCUE, idempotent),
		define[assert]("assert", "assert.cue", assertCUE, idempotent),
		define[churnConfig]("churnConfig", "churn_config.cue", churnConfigCUE),
		define[churnPods]("churnPods", "churn_pods.cue", churnPodsCUE),
		define[connect]("connect", "connect.cue", connectCUE),
		define[createNamespaces]("createNamespaces", "create_namespaces.cue", createNamespacesCUE),
		define[createNodes]("createNodes", "create_nodes.cue", createNodesCUE),
		define[demandAddresses]("demandAddresses", "demand_addresses.cue", demandAddressesCUE),
		define[deleteObjects]("delete", "delete.cue", deleteCUE),
		define[disconnect]("disconnect", "disconnect.cue", disconnectCUE),
		define[inject]("inject", "inject.cue", injectCUE),
		define[requestCertificates]("requestCertificates", "request_certificates.cue", requestCertificatesCUE),
		define[dump]("dump", "dump.cue", dumpCUE),
		define[podStartup]("podStartup", "pod_startup.cue", podStartupCUE),
		define[profile]("profile", "profile.cue", profileCUE),
		define[impersonate]("impersonate", "impersonate.cue", impersonateCUE),
		define[probe]("probe", "probe.cue", probeCUE),
		define[reproduce]("reproduce", "reproduce.cue", reproduceCUE),
		define[rolloutRestart]("rolloutRestart", "rollout_restart.cue", rolloutRestartCUE),
		define[scale]("scale", "scale.cue", scaleCUE),
		define[sleep]("sleep", "sleep.cue", sleepCUE, idempotent),
		define[snapshot]("snapshot", "snapshot.cue", snapshotCUE),
		define[wait]("wait", "wait.cue", waitCUE, idempotent),
	}
}

// option marks a property of an action in [All].
type option func(*ir.Fragment)

// idempotent allows `onError: "retry"`: running the action twice is as good as once.
func idempotent(f *ir.Fragment) { f.Idempotent = true }

// define ties the CUE fragment of an action to the struct it decodes into.
func define[T any, P interface {
	*T
	runtime.Action
}](kind, file, cue string, options ...option) ir.Fragment {
	f := ir.Fragment{Kind: kind, File: "actions/" + file, CUE: cue, New: func() any { return P(new(T)) }}
	for _, o := range options {
		o(&f)
	}
	return f
}

// Catalog is a list of actions, as package lang looks them up.
type Catalog []ir.Fragment

// Lookup finds the action of that kind.
func (c Catalog) Lookup(kind string) (ir.Fragment, bool) {
	i := slices.IndexFunc(c, func(f ir.Fragment) bool { return f.Kind == kind })
	if i < 0 {
		return ir.Fragment{}, false
	}
	return c[i], true
}

// Kinds lists the actions' names, sorted.
func (c Catalog) Kinds() []string {
	kinds := make([]string, len(c))
	for i, f := range c {
		kinds[i] = f.Kind
	}
	slices.Sort(kinds)
	return kinds
}
