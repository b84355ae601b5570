package capture

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// stage orders the objects of a capture: those of one stage need nothing of a later one.
type stage int

const (
	stageNamespaces stage = iota
	stageBase             // what Services, routes and pods refer to
	stageServices
	stageEndpoints
	stageConfig
	stagePods
)

// kind is a kind of objects that a capture may hold.
type kind struct {
	group, name, resource string
	// versions that are read, the one that is written first.
	versions   []string
	namespaced bool
	stage      stage
}

// gvk is the kind in the version that is written.
func (k *kind) gvk() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: k.group, Version: k.versions[0], Kind: k.name}
}

// isCore reports whether the kind is one of Kubernetes' own, which have Go types here; the others stay as they are
// written.
func (k *kind) isCore() bool {
	return k.group == "" || k.group == "discovery.k8s.io" || k.group == "networking.k8s.io"
}

const (
	coreGroup     = ""
	slicesGroup   = "discovery.k8s.io"
	ingressGroup  = "networking.k8s.io"
	gatewayGroup  = "gateway.networking.k8s.io"
	gatewayXGroup = "gateway.networking.x-k8s.io"
	networking    = "networking.istio.io"
	security      = "security.istio.io"
	telemetry     = "telemetry.istio.io"
	extensions    = "extensions.istio.io"
)

// The versions of Istio's groups and of the Gateway API's, in which the schemas of a kind are the same or only grow.
var (
	v1Only      = []string{"v1"}
	v1From      = []string{"v1", "v1beta1", "v1alpha3"}
	v1Beta1     = []string{"v1", "v1beta1"}
	v1Gateway   = []string{"v1", "v1beta1", "v1alpha2"}
	v1Alpha     = []string{"v1", "v1alpha3", "v1alpha2"}
	alpha1      = []string{"v1alpha1"}
	alpha3      = []string{"v1alpha3"}
	beta1       = []string{"v1beta1"}
	v1Telemetry = []string{"v1", "v1alpha1"}
)

// kinds are those that istiod reads (Istio pkg/config/schema/metadata.yaml) and that make a difference to proxies. Left
// out of that list are the kinds that run things, webhooks and definitions, which istiod reads for itself.
var kinds = []kind{
	{coreGroup, "Namespace", "namespaces", v1Only, false, stageNamespaces},
	{coreGroup, "Node", "nodes", v1Only, false, stageBase},
	{coreGroup, "ServiceAccount", "serviceaccounts", v1Only, true, stageBase},
	{coreGroup, "ConfigMap", "configmaps", v1Only, true, stageBase},
	{coreGroup, "Secret", "secrets", v1Only, true, stageBase},
	{ingressGroup, "IngressClass", "ingressclasses", v1Only, false, stageBase},
	{gatewayGroup, "GatewayClass", "gatewayclasses", v1Gateway, false, stageBase},

	{coreGroup, "Service", "services", v1Only, true, stageServices},
	{coreGroup, "Endpoints", "endpoints", v1Only, true, stageEndpoints},
	{slicesGroup, "EndpointSlice", "endpointslices", v1Beta1, true, stageEndpoints},

	{ingressGroup, "Ingress", "ingresses", v1Only, true, stageConfig},
	{gatewayGroup, "Gateway", "gateways", v1Gateway, true, stageConfig},
	{gatewayGroup, "ListenerSet", "listenersets", v1Only, true, stageConfig},
	{gatewayGroup, "HTTPRoute", "httproutes", v1Gateway, true, stageConfig},
	{gatewayGroup, "GRPCRoute", "grpcroutes", v1Gateway, true, stageConfig},
	{gatewayGroup, "TCPRoute", "tcproutes", v1Alpha, true, stageConfig},
	{gatewayGroup, "TLSRoute", "tlsroutes", v1Alpha, true, stageConfig},
	{gatewayGroup, "UDPRoute", "udproutes", v1Alpha, true, stageConfig},
	{gatewayGroup, "ReferenceGrant", "referencegrants", v1Gateway, true, stageConfig},
	{gatewayGroup, "BackendTLSPolicy", "backendtlspolicies", v1Alpha, true, stageConfig},
	{gatewayXGroup, "XBackendTrafficPolicy", "xbackendtrafficpolicies", alpha1, true, stageConfig},

	{networking, "VirtualService", "virtualservices", v1From, true, stageConfig},
	{networking, "DestinationRule", "destinationrules", v1From, true, stageConfig},
	{networking, "Gateway", "gateways", v1From, true, stageConfig},
	{networking, "ServiceEntry", "serviceentries", v1From, true, stageConfig},
	{networking, "Sidecar", "sidecars", v1From, true, stageConfig},
	{networking, "WorkloadEntry", "workloadentries", v1From, true, stageConfig},
	{networking, "WorkloadGroup", "workloadgroups", v1From, true, stageConfig},
	{networking, "EnvoyFilter", "envoyfilters", alpha3, true, stageConfig},
	{networking, "ProxyConfig", "proxyconfigs", beta1, true, stageConfig},
	{security, "AuthorizationPolicy", "authorizationpolicies", v1Beta1, true, stageConfig},
	{security, "PeerAuthentication", "peerauthentications", v1Beta1, true, stageConfig},
	{security, "RequestAuthentication", "requestauthentications", v1Beta1, true, stageConfig},
	{telemetry, "Telemetry", "telemetries", v1Telemetry, true, stageConfig},
	{extensions, "WasmPlugin", "wasmplugins", alpha1, true, stageConfig},
	{extensions, "TrafficExtension", "trafficextensions", alpha1, true, stageConfig},

	{coreGroup, "Pod", "pods", v1Only, true, stagePods},
}

// lookup finds the kind of an object, or says why a capture has no place for it.
func lookup(apiVersion, name string) (k *kind, why string) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil, "has no apiVersion that can be read"
	}
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.group == gv.Group && k.name == name })
	if i < 0 {
		return nil, refusal(gv.Group, name)
	}
	if !slices.Contains(kinds[i].versions, gv.Version) {
		return nil, "is of version " + gv.Version + ", which Istio reads no more"
	}
	return &kinds[i], ""
}

// refusal says why no object of a kind gets through.
func refusal(group, name string) string {
	switch {
	case group == "admissionregistration.k8s.io":
		return "would have the api-server ask others about every write"
	case group == "apiextensions.k8s.io" || group == "apiregistration.k8s.io":
		return "would change what the api-server serves"
	case strings.HasSuffix(group, "rbac.authorization.k8s.io"):
		return "would give rights away"
	case group == "apps" || group == "batch" || name == "ReplicationController":
		return "is nothing to istiod: its pods are"
	case group == "authentication.istio.io" || group == "rbac.istio.io" || group == "config.istio.io":
		return "is of a group that Istio reads no more"
	}
	return "is of a kind that Istio does not read"
}
