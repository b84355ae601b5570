// Package sandbox runs a real Istio control plane on this machine: etcd, kube-apiserver and istiod, each the real program built from pinned
// sources, with Istio's cluster objects and the Gateway API's CRDs applied, and no cluster around them. There are no nodes and no
// scheduler, and unless Config.Controllers asks for it no kube-controller-manager: whoever uses the sandbox writes what those would.
//
// A sandbox is private or named. Start makes a private one: its processes die with this process, also when it is killed by
// SIGKILL (Linux), and what a killed run left on disk is swept by the next. Up makes a named one, which survives its
// maker until Down; its state is in a file, so Open finds it again.
//
// Nothing listens beyond the loopback interface, and etcd, which asks for no credentials, not even there: it has a socket in the
// sandbox's folder, which only its owner may enter. Keys, certificates and tokens are new for each sandbox, 0600, and never logged.
//
// istiod runs with the arguments and environment that its Helm chart gives it, under its own ServiceAccount, so that what is
// measured here is what a cluster would see. Only addresses differ.
package sandbox
