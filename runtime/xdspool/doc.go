// Package xdspool holds the mesh's XDS clients: one stream for every desired proxy, each of which istiod cannot tell from an
// Envoy behind an istio-agent, or from a ztunnel.
//
// A [Pool] is a population ([Pool.Want], [Pool.PodRunning], ...) of clients. A client is one goroutine that connects,
// subscribes in the order its proxy would, ACKs, and connects again with that proxy's backoff (client.go, session.go); on a
// connection of its own, that goroutine is also the one that reads it (transport.go, package h2). What it speaks besides,
// delta or state of the world, with which node and for which extra types, is in fidelity.go and identity.go; what it shows
// istiod comes from an [Authenticator] (package auth).
//
// What a client holds is a sorted table for each resource type of two interned numbers each, the name and the content
// (table.go, store.go). Tables are never changed: a response leads from one to the next, and clients that take the same
// step from the same table share where it leads (apply.go), so that a thousand sidecars with the same configuration keep one
// copy of it and work it out once. Responses are never unmarshalled: the wire format is scanned for a hash (response.go), and
// a resource is looked into once for each distinct content, for the resources it refers to and the endpoints it lists
// (content.go, listener.go, secret.go).
//
// From that state the pool measures when a change reaches each proxy (converge.go): an address by the endpoints that list it, a
// configuration object by words in the pieces that istiod made of it (converge_config.go, object.go, pieces.go). It measures
// how long types take too, and what was sent in vain (meter.go). Package oracle checks it against a client that shares no code with it, and package replay measures what
// the pool itself costs.
//
// One mutex guards everything but the streams themselves: hashing and the network, which are most of what a response costs,
// are outside of it.
package xdspool
