// Package store holds the tests of the two ways in which a run can write: through the api-server, and past it into the
// store of a sandbox. They run against a real etcd and kube-apiserver. `go test -short` leaves them out.
package store
