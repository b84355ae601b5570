// Package integration holds the tests that run plscript as a user does: its binary, against a real etcd, kube-apiserver
// and istiod. `go test -short` leaves them out.
package integration
