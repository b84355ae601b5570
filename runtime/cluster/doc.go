// Package cluster does what a missing cluster would do: it is kubelet, EndpointSlice controller, ServiceAccount
// controller and namespace controller to a bare api-server.
//
// Everything follows what the api-server shows, whoever changed it: a pod that somebody deletes with kubectl leaves its
// EndpointSlices like one that the run deletes. All writes go through the run's [runtime.Writer] as
// [runtime.PriorityControl].
//
// One mutex guards the state (see state.go). Watch handlers change the state and collect what follows in effects, which
// are carried out when the mutex is free again, in the order of the events.
package cluster
