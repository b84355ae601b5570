// Package apiwriter is the shared api-server writer: the one path on which a run creates, changes and deletes objects,
// and the way back ([Clean]) that removes them.
//
// Writes go through one queue with three priorities and one budget. Writes of the same object never overtake each
// other; an update or status that waits behind a write in flight of its object gives way to a later one. Every
// submitted write ends in exactly one fate, counted by kind and verb ([Writer.Stats]).
//
// # Ownership
//
// Every object carries the run's id in the label [runtime.LabelRun]. The first write of an object is a create, which
// can overwrite nothing; later writes find the object's uid and resourceVersion in what the writer remembers of the
// run's objects, or read the object and check its label. Writes of [runtime.PriorityControl] are what a kubelet or a
// controller writes to objects that it has seen: they are tied to the uid on the object instead of to the label.
//
// # Loads
//
// Bulk writes into a sandbox's store can be faster than the api-server's watches. Whoever follows the mesh learns when a
// load is over ([Writer.OnLoaded]) and reports what it has seen of it ([Writer.Seen]), for which the load waits.
//
// # Retries
//
// A request is sent again after 429 (as Retry-After says), 5xx, a broken connection, a conflict (after reading the
// object again), and a create whose namespace is not there yet or whose predecessor is still terminating. It gives up
// after 10 requests or 30 seconds, whichever is first. The answer to a create may be lost: AlreadyExists with the
// run's own label is therefore a success.
package apiwriter
