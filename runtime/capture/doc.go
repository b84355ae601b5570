// Package capture takes the configuration of a cluster's mesh to a file, and makes a mesh of such a file again.
//
// [Live] reads the kinds that Istio and the Gateway API read from an api-server, [Capture.Write] writes them, and
// [Capture.Anonymize] replaces every name in them so that references still match. [Read] takes what [Capture.Write] or
// kubectl wrote: Lists, multi-document YAML, JSON, gzip. [Capture.Fit] makes of it the objects and proxies that a target
// takes.
//
// A file is not trusted: [Read] works within bounds of size, depth and number, expands no alias further than they allow,
// and lets only the kinds of [kinds] through, each reduced to the fields that istiod reads. All that is left out or
// changed is listed, with the reason.
package capture
