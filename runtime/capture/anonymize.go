package capture

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
)

// Anonymize replaces all names, namespaces, hosts, labels and addresses, each by the same everywhere, so that what
// referred to something still does. Annotations that say nothing to istiod go, and so do the certificates' names. What
// stays are the words that mean the same in every mesh, ports, paths and headers, and what an EnvoyFilter patches, in
// which only hosts are replaced.
func (c *Capture) Anonymize(keys *Keys) error {
	ips, err := newAddresses()
	if err != nil {
		return err
	}
	a := &anonymizer{words: newWords(), ips: ips, keys: keys}
	for _, i := range c.items {
		content, err := i.content()
		if err != nil {
			return err
		}
		a.learn(i, content)
	}
	next := &Capture{}
	for n, i := range c.items {
		content, err := i.content()
		if err != nil {
			return err
		}
		if err := next.replaced(i.kind, a, content, n); err != nil {
			return err
		}
	}
	for _, l := range c.Left {
		next.leave(Ref{Kind: l.Kind}, 0, "%s", a.hide(l.Reason))
	}
	next.sort()
	*c = *next
	return nil
}

// replaced adds an object with everything in it replaced.
func (c *Capture) replaced(k *kind, a *anonymizer, content map[string]any, n int) error {
	out, ok := a.value("", content).(map[string]any)
	if !ok {
		return fmt.Errorf("object %d is none any more", n)
	}
	if k.name == "Secret" || k.name == "ConfigMap" {
		a.certificates(k, content, out)
	}
	o, why := clean(k, out)
	if o == nil {
		c.leave(Ref{Kind: k.name}, 0, "cannot be anonymized: %s", why)
		return nil
	}
	c.add(item{k, o}, 0)
	return nil
}

// anonymizer is the work of [Capture.Anonymize].
type anonymizer struct {
	words *words
	ips   *addresses
	keys  *Keys
}

// hide replaces all that is private in a text.
func (a *anonymizer) hide(s string) string { return a.words.text(a.ips.text(s)) }

// learn collects the private words of an object.
func (a *anonymizer) learn(i item, content map[string]any) {
	switch name := i.object.GetName(); {
	case i.kind.name == "Node":
		a.words.learnWhole(name, "node")
	case i.kind.name == "Namespace" && isSystem(name):
	default:
		a.words.learn(name)
	}
	if ns := i.object.GetNamespace(); !isSystem(ns) {
		a.words.learn(ns)
	}
	a.learnValue(i.kind, "", content)
}

// named are the fields that hold names of things or places.
var named = map[string]bool{
	"host": true, "hosts": true, "serviceAccountName": true, "serviceAccount": true, "subdomain": true, "hostname": true, "externalName": true,
	"image": true, "url": true, "network": true, "locality": true, "namespaces": true, "principals": true, "serviceAccounts": true,
}

// labelled are the fields that hold labels.
var labelled = map[string]bool{"labels": true, "matchLabels": true, "selector": true, "sourceLabels": true}

func (a *anonymizer) learnValue(k *kind, key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			switch {
			case labelled[key] && !structured[name]:
				a.learnLabel(name, x)
			case k.name == "EnvoyFilter" && name == "configPatches", name == "apiVersion", name == "annotations", name == "data":
			default:
				a.learnValue(k, name, x)
			}
		}
	case []any:
		for _, x := range v {
			a.learnValue(k, key, x)
		}
	case string:
		switch {
		case key == "nodeName" && v != "":
			a.words.learnWhole(v, "node")
		case named[key]:
			a.words.learn(v)
		default:
			for _, h := range host.FindAllString(v, -1) {
				a.words.learn(h)
			}
		}
	}
}

// structured are the fields of a label selector that hold further fields, and no label.
var structured = map[string]bool{"matchLabels": true, "matchExpressions": true, "labels": true}

// spoken are the labels whose values istiod knows.
var spoken = map[string]bool{
	"gateway.istio.io/managed": true, "istio.io/dataplane-mode": true, "istio.io/waypoint-for": true, "security.istio.io/tlsMode": true,
	labelInject: true, "istio-injection": true, "gateway.networking.k8s.io/gateway-class-name": true, "istio": true,
	"discovery.k8s.io/managed-by": true, "endpointslice.kubernetes.io/managed-by": true, "service.kubernetes.io/headless": true,
	runtime.LabelRole: true, "istio.io/ingress-use-waypoint": true, "istio.io/global": true, "networking.istio.io/traffic-distribution": true,
}

// isKnownLabel reports whether a key means something to Istio or Kubernetes, and so stays.
func isKnownLabel(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	if !ok {
		return slices.Contains([]string{"app", "version", "istio", "istio-injection", "pod-template-hash"}, key)
	}
	for _, d := range []string{"istio.io", "k8s.io", "kubernetes.io", "plscript.dev"} {
		if domain == d || strings.HasSuffix(domain, "."+d) {
			return true
		}
	}
	return domain == "istio"
}

func (a *anonymizer) learnLabel(key string, v any) {
	if !isKnownLabel(key) {
		a.words.learn(key)
	}
	if s, ok := v.(string); ok && !spoken[key] {
		if key == corev1.LabelHostname {
			a.words.learnWhole(s, "node")
			return
		}
		a.words.learn(s)
	}
}

// fixed are the fields whose values are of a fixed set.
var fixed = map[string]bool{
	"apiVersion": true, "kind": true, "group": true, "apiGroup": true, "protocol": true, "appProtocol": true, "type": true, "mode": true,
	"controllerName": true, "controller": true, "jwks": true, "addressType": true, "phase": true, "args": true,
}

// value is v with everything private replaced.
func (a *anonymizer) value(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, x := range v {
			switch {
			case key == "annotations" && !istioAnnotation(name):
			case labelled[key] && !structured[name]:
				next, value := a.label(name, x)
				out[next] = value
			case name == "configPatches":
				out[name] = a.patches(x)
			case key == "to" && isWeight(x):
				out[a.hide(name)] = x
			default:
				out[name] = a.value(name, x)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = a.value(key, x)
		}
		return out
	case string:
		switch {
		case fixed[key] || constant.MatchString(v):
			return v
		case key == "regex" || key == "safeRegex":
			return a.words.pattern(a.ips.text(v))
		}
		return a.hide(v)
	}
	return v
}

// isWeight reports whether v is the part of the traffic that a locality gets, whose name is its key.
func isWeight(v any) bool {
	switch v.(type) {
	case int64, float64:
		return true
	}
	return false
}

func (a *anonymizer) label(key string, v any) (string, any) {
	if s, ok := v.(string); ok && !spoken[key] {
		v = a.hide(s)
	}
	if isKnownLabel(key) {
		return key, v
	}
	return a.words.text(key), v
}

// patches replaces hosts alone: what an EnvoyFilter patches is full of words of Envoy's.
func (a *anonymizer) patches(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, x := range v {
			out[name] = a.patches(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = a.patches(x)
		}
		return out
	case string:
		return host.ReplaceAllStringFunc(a.ips.text(v), func(h string) string {
			if strings.HasPrefix(h, "envoy.") || strings.HasSuffix(h, ".googleapis.com") || strings.HasPrefix(h, "type.") || strings.HasPrefix(h, "istio.") {
				return h
			}
			return a.words.text(h)
		})
	}
	return v
}
