package auth

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/runtime"
)

// istioAudience and tokenLife are those of the token that the injector projects into pods (Istio
// manifests/charts/istio-control/istio-discovery/files/injection-template.yaml).
const (
	istioAudience = "istio-ca"
	tokenLife     = 43200 * time.Second
)

// kubeTokens issues tokens with the TokenRequest API.
type kubeTokens struct {
	client   kubernetes.Interface
	audience string
	clock    runtime.Clock
}

// KubeTokens issues ServiceAccount tokens of a cluster for an audience, "" meaning istiod's own. A token bound to a pod
// needs the pod to exist.
func KubeTokens(client kubernetes.Interface, audience string, clock runtime.Clock) Issuer {
	if audience == "" {
		audience = istioAudience
	}
	return &kubeTokens{client, audience, clock}
}

// Issue implements [Issuer].
func (k *kubeTokens) Issue(ctx context.Context, id Identity) (string, time.Duration, error) {
	seconds := int64(tokenLife / time.Second)
	req := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{k.audience}, ExpirationSeconds: &seconds},
	}
	if id.Pod != "" {
		req.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: id.Pod}
	}
	got, err := k.client.CoreV1().ServiceAccounts(id.Namespace).CreateToken(ctx, id.ServiceAccount, req, metav1.CreateOptions{})
	if err != nil {
		return "", 0, fmt.Errorf("token for %s/%s: %w", id.Namespace, id.ServiceAccount, err)
	}
	return got.Status.Token, got.Status.ExpirationTimestamp.Sub(k.clock.Now()), nil
}

// rootConfigMap is where istiod publishes the mesh's root, in every namespace, and rootKey the entry (Istio
// pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go, pkg/config/constants).
const (
	rootConfigMap = "istio-ca-root-cert"
	rootKey       = "root-cert.pem"
)

// Roots finds the certificates that istiod is verified with.
type Roots interface {
	Roots(ctx context.Context) (*x509.CertPool, error)
}

// kubeRoots reads the mesh's root from a cluster.
type kubeRoots struct {
	client    kubernetes.Interface
	namespace string
}

// KubeRoots reads the mesh's root from the ConfigMap that istiod publishes it in, in the given namespace; "" means
// istio-system.
func KubeRoots(client kubernetes.Interface, namespace string) Roots {
	if namespace == "" {
		namespace = "istio-system"
	}
	return &kubeRoots{client, namespace}
}

// Roots implements the interface.
func (k *kubeRoots) Roots(ctx context.Context) (*x509.CertPool, error) {
	m, err := k.client.CoreV1().ConfigMaps(k.namespace).Get(ctx, rootConfigMap, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("the mesh's root: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(m.Data[rootKey])) {
		return nil, fmt.Errorf("the mesh's root: no certificate in %s of ConfigMap %s/%s", rootKey, k.namespace, rootConfigMap)
	}
	return pool, nil
}
