// Package build provides what a sandbox is made of: the etcd, kube-apiserver, istiod and istioctl binaries, Istio's cluster objects and
// the Gateway API's CRDs, all of them built from modules that are pinned in sandbox/tools.
//
// A copy of the pins is embedded, so an installed plscript builds in an empty folder, needing nothing but Go. Everything is
// kept in a cache outside any checkout, under a key made of the pins and the Go version; the cache may be deleted at any time.
package build
