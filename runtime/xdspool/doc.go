// Package xdspool holds the mesh's XDS clients: one delta stream for every desired proxy, each of which istiod cannot
// tell from an Envoy behind an istio-agent, or from a ztunnel.
//
// A [Pool] is a population ([Pool.Want], [Pool.PodRunning], ...) of clients. A client is one goroutine that connects,
// subscribes in the order its proxy would, ACKs, and connects again with that proxy's backoff (client.go, session.go).
// What it holds is a sorted table per resource type of two interned numbers each, the name and the content (table.go,
// store.go), so that a thousand sidecars with the same configuration keep one copy of it. Responses are never
// unmarshalled: the wire format is scanned for names and content hashes (response.go), and a resource is looked into
// once per distinct content, for the resources it refers to and the endpoints it lists (content.go).
//
// From that state the pool measures when a change reaches each proxy (converge.go) and what was sent in vain.
//
// One mutex guards everything but the streams themselves: hashing and the network, which are what a response costs, are
// outside of it.
package xdspool
