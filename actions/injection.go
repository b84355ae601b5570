package actions

import (
	"cmp"
	"maps"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// injectLabel on a pod says whether the webhook is to inject it (Istio, the objectSelector of its
// MutatingWebhookConfiguration).
const injectLabel = "sidecar.istio.io/inject"

// podSettings say how pods get what makes them part of the mesh. In a step that adds pods to apps, they go before what
// the apps say.
type podSettings struct {
	Inject runtime.Injection `json:"inject"`
	CSR    *bool             `json:"csr"`
}

// injection is how a new pod of the app gets its proxy.
func (s podSettings) injection(app *runtime.App) runtime.Injection {
	if s.Inject == "" {
		return app.Injection
	}
	return injectionOf(app.Type, s.Inject, app.Namespace.Injecting)
}

// csr reports whether a new proxy of the app asks for a certificate.
func (s podSettings) csr(app *runtime.App) bool {
	if s.CSR != nil {
		return *s.CSR
	}
	return app.CSR
}

// injectionOf is how pods of a type get their proxy. Where nothing is said, it is as in a mesh that runs: a sidecar is
// injected, by the api-server where the namespace asks for that. There, direct injection would be a second one.
func injectionOf(t runtime.AppType, said runtime.Injection, injecting bool) runtime.Injection {
	switch {
	case !t.Injectable():
		return runtime.InjectNone
	case said == "" && t != runtime.AppSidecar:
		return runtime.InjectNone
	case injecting && said != runtime.InjectNone:
		return runtime.InjectWebhook
	}
	return cmp.Or(said, runtime.InjectDirect)
}

// injecting reports whether a namespace with these labels has its pods injected (Istio, the namespaceSelectors of its
// MutatingWebhookConfiguration).
func injecting(labels map[string]string) bool {
	if mode, ok := labels["istio-injection"]; ok {
		return mode == "enabled"
	}
	return labels["istio.io/rev"] != ""
}

// checkInjection finds what an app cannot have.
func checkInjection(c *runtime.Checker, path string, app appSpec, labels map[string]string) {
	switch {
	case app.Inject == "" || app.Inject == runtime.InjectNone:
	case !app.Type.Injectable():
		c.Errorf(path+".inject", "istiod injects pods of type sidecar and gateway, not %s", app.Type)
	case app.Inject == runtime.InjectWebhook && c.Cluster == ir.ClusterReal:
		c.Errorf(path+".inject", "no pods are written to a real cluster, so that no webhook is called: use \"direct\"")
	case app.Inject == runtime.InjectDirect && injecting(labels):
		c.Errorf(path+".inject", "the namespace's labels have the api-server inject the pods already: use \"webhook\", or leave the labels out")
	}
	if _, proxied := app.Type.ProxyClass(); app.CSR != nil && *app.CSR && !proxied {
		c.Errorf(path+".csr", "pods of type %s have no proxy to ask for a certificate", app.Type)
	}
}

// podLabels are the labels that a pod of the app is written with. The map is shared and must not be changed.
func podLabels(app *runtime.App, injection runtime.Injection) map[string]string {
	add := map[string]string{}
	switch {
	case injection == runtime.InjectWebhook:
		add[injectLabel] = "true"
	case injection == runtime.InjectNone && app.Type.Injectable():
		if app.Injection != runtime.InjectNone {
			maps.Copy(add, injectedLabels(app.Type, app.Name))
		}
		if app.Namespace.Injecting {
			add[injectLabel] = "false" // it has what the webhook would add
		}
	}
	if len(add) == 0 {
		return app.Labels
	}
	maps.Copy(add, app.Labels)
	return add
}

// injectedLabels are those that the webhook adds to pods (Istio, pkg/kube/inject, applyMetadata and the injection
// templates), or that a waypoint's Deployment has.
func injectedLabels(t runtime.AppType, app string) map[string]string {
	l := map[string]string{"service.istio.io/canonical-name": app, "service.istio.io/canonical-revision": "latest"}
	if _, proxied := t.ProxyClass(); proxied {
		l["security.istio.io/tlsMode"] = "istio" // the endpoint takes mutual TLS
	}
	return l
}
