// Package skim decodes the Pods that an api-server's watches and lists show as far as a kubelet and an EndpointSlice
// controller look at them, and everything else whole.
//
// A pod that runs is some 1.5 KB on the wire, of which a few fields are in use: decoding the rest would take most of the
// time that watching a large mesh takes, and most of the memory. What is not in use is therefore taken out of the encoded
// message; the generated code of k8s.io/api decodes what is left. The fields are listed in pod.go.
package skim
