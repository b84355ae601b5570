// Package runtime is the interpreter: it compiles a checked scenario to a graph of actions, runs the graph, paces
// arrivals, evaluates conditions and thresholds, and ends in an outcome.
//
// It also holds the interfaces that actions see ([Writer], [Proxies], [Changes]); their implementations live in the
// packages below it and are put together in cmd/plscript, so that an action can run on a recording writer and a fake
// clock.
package runtime
