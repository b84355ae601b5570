package capture

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
)

func cleanNamespace(ns *corev1.Namespace) (runtime.Object, string) {
	if ns.Status.Phase == corev1.NamespaceTerminating {
		return nil, "was being deleted"
	}
	return &corev1.Namespace{TypeMeta: ns.TypeMeta, ObjectMeta: ns.ObjectMeta}, ""
}

// cleanNode keeps where the node is: its labels and addresses.
func cleanNode(n *corev1.Node) (runtime.Object, string) {
	out := &corev1.Node{TypeMeta: n.TypeMeta, ObjectMeta: n.ObjectMeta}
	out.Annotations = nil
	out.Spec.PodCIDR, out.Spec.PodCIDRs = n.Spec.PodCIDR, n.Spec.PodCIDRs
	for _, a := range n.Status.Addresses {
		if _, err := netip.ParseAddr(a.Address); err == nil && a.Type == corev1.NodeInternalIP {
			out.Status.Addresses = append(out.Status.Addresses, a)
		}
	}
	return out, ""
}

// What every cluster makes for itself, in each namespace or in its own.
var madeByTheCluster = []string{"kube-root-ca.crt", "istio-ca-root-cert", "istio-ca-crl"}

func cleanConfigMap(c *corev1.ConfigMap) (runtime.Object, string) {
	if slices.Contains(madeByTheCluster, c.Name) {
		return nil, "is made by every cluster for itself"
	}
	return &corev1.ConfigMap{TypeMeta: c.TypeMeta, ObjectMeta: c.ObjectMeta, Data: c.Data}, ""
}

// credentialKeys are the entries of a Secret in which istiod looks for certificates and keys of gateways (Istio
// pilot/pkg/credentials/kube/secrets.go).
var credentialKeys = []string{
	corev1.TLSCertKey, corev1.TLSPrivateKeyKey, "cert", "key", "cacert", "ca.crt", "crl", "ca.crl", "tls.ocsp-staple",
}

// cleanSecret keeps the certificates of gateways. A kubeconfig of a remote cluster, above all, would have istiod connect
// to it.
func cleanSecret(s *corev1.Secret) (runtime.Object, string) {
	switch {
	case s.Labels["istio/multiCluster"] != "":
		return nil, "would have istiod connect to another cluster"
	case s.Type != "" && s.Type != corev1.SecretTypeOpaque && s.Type != corev1.SecretTypeTLS && s.Type != "kubernetes.io/generic":
		return nil, "is a Secret of type " + string(s.Type) + ", which istiod does not read"
	}
	out := &corev1.Secret{TypeMeta: s.TypeMeta, ObjectMeta: s.ObjectMeta, Type: s.Type, Data: map[string][]byte{}}
	for key, v := range s.StringData {
		if slices.Contains(credentialKeys, key) {
			out.Data[key] = []byte(v)
		}
	}
	for key, v := range s.Data {
		if slices.Contains(credentialKeys, key) {
			out.Data[key] = v
		}
	}
	if len(out.Data) == 0 {
		return nil, "holds no certificate of a gateway"
	}
	return out, ""
}

// cleanService drops what the cluster has added.
func cleanService(s *corev1.Service) (runtime.Object, string) {
	out := &corev1.Service{TypeMeta: s.TypeMeta, ObjectMeta: s.ObjectMeta, Spec: s.Spec}
	out.Spec.HealthCheckNodePort = 0
	out.Spec.Ports = slices.Clone(s.Spec.Ports)
	for i := range out.Spec.Ports {
		out.Spec.Ports[i].NodePort = 0
	}
	return out, ""
}

// istioAnnotation reports whether an annotation of a pod may say something to istiod.
func istioAnnotation(key string) bool {
	return strings.Contains(key, "istio.io/") || strings.HasPrefix(key, "prometheus.io/") || key == "kubectl.kubernetes.io/default-container"
}
