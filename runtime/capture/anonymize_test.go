package capture

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
)

// private is a mesh whose every name, host, label and address is somebody's business.
const private = `
{apiVersion: v1, kind: Namespace, metadata: {name: acme-billing, labels: {acme.example/team: falcon, istio.io/use-waypoint: falcon-waypoint, istio.io/dataplane-mode: ambient}}}
---
{apiVersion: v1, kind: Node, metadata: {name: ip-10-7-0-1.acme.internal, labels: {kubernetes.io/hostname: ip-10-7-0-1.acme.internal, topology.kubernetes.io/zone: acme-east}}, status: {addresses: [{type: InternalIP, address: 10.7.0.1}]}}
---
apiVersion: v1
kind: Service
metadata: {name: invoices, namespace: acme-billing}
spec: {clusterIP: 10.96.1.2, selector: {app: invoices}, ports: [{name: grpc-web-invoices, port: 80}, {name: http-falcon, port: 81}]}
---
apiVersion: v1
kind: Pod
metadata: {name: invoices-7d9f-abcde, namespace: acme-billing, labels: {app: invoices, acme.example/team: falcon, version: v2}}
spec: {nodeName: ip-10-7-0-1.acme.internal, serviceAccountName: falcon, containers: [{name: invoices, image: 'registry.acme.io/invoices:v2'}, {name: istio-proxy, image: istio/proxyv2, args: [proxy, sidecar]}]}
status: {phase: Running, podIP: 10.7.3.4, hostIP: 10.7.0.1}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: invoices, namespace: acme-billing}
spec:
  hosts: [invoices.acme.com, invoices]
  http:
  - match: [{uri: {regex: '/invoices/[a-z]+'}, sourceLabels: {acme.example/team: falcon}}]
    route: [{destination: {host: invoices.acme-billing.svc.cluster.local, subset: falcon-v2}}]
---
{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: invoices, namespace: acme-billing}, spec: {host: invoices.acme-billing.svc.cluster.local, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}, subsets: [{name: falcon-v2, labels: {version: v2, acme.example/team: falcon}}]}}
---
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: invoices, namespace: acme-billing}, spec: {action: ALLOW, rules: [{from: [{source: {principals: [cluster.local/ns/acme-billing/sa/falcon], ipBlocks: [10.7.0.0/16]}}]}]}}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: falcon, namespace: acme-billing}
spec: {configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_BEFORE, value: {name: envoy.filters.http.lua, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, note: invoices.acme.com}}}}]}
`

func anonymized(t *testing.T, text string) (*Capture, string) {
	t.Helper()
	c, err := Read(t.Context(), strings.NewReader(text))
	if err != nil || len(c.Left) > 0 {
		t.Fatalf("%v, left out %v", err, c.Left)
	}
	keys, err := NewKeys(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	before := c.Len()
	if err := c.Anonymize(keys); err != nil {
		t.Fatal(err)
	}
	if c.Len() != before {
		t.Fatalf("%d of %d objects are left: %v", c.Len(), before, c.Left)
	}
	var out bytes.Buffer
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	return c, out.String()
}

func TestAnonymizeHides(t *testing.T) {
	t.Parallel()
	_, text := anonymized(t, private)
	for _, word := range []string{"acme", "billing", "falcon", "invoices", "abcde", "7d9f", "10.7.0.1", "10.7.3.4", "10-7-0-1", "10.96.1.2", "registry"} {
		if strings.Contains(text, word) {
			t.Errorf("%q is still there:\n%s", word, text)
		}
	}
	// What istiod decides by stays.
	for _, word := range []string{
		"grpc-web-", "http-w", "ROUND_ROBIN", "ALLOW", "istio-proxy", "sidecar", "version: v2", "istio.io/dataplane-mode: ambient", "envoy.filters.http.lua",
		"type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", "svc.cluster.local", "[a-z]+", ".com",
	} {
		if !strings.Contains(text, word) {
			t.Errorf("%q is gone:\n%s", word, text)
		}
	}
}

// TestAnonymizeKeepsReferences follows each reference of the mesh after it is anonymized.
func TestAnonymizeKeepsReferences(t *testing.T) {
	t.Parallel()
	c, _ := anonymized(t, private)
	all := map[string]map[string]any{}
	for _, i := range c.items {
		content, err := i.content()
		if err != nil {
			t.Fatal(err)
		}
		all[i.kind.name] = content
	}
	get := func(kind string, path ...any) string {
		var v any = all[kind]
		for _, p := range path {
			switch p := p.(type) {
			case string:
				v = v.(map[string]any)[p]
			case int:
				v = v.([]any)[p]
			}
		}
		return fmt.Sprint(v)
	}
	ns, service := get("Namespace", "metadata", "name"), get("Service", "metadata", "name")
	team := regexp.MustCompile(`(\S+/\S+):(\S+)`).FindStringSubmatch(strings.TrimPrefix(get("DestinationRule", "spec", "subsets", 0, "labels"), "map["))
	for what, pair := range map[string][2]string{
		"the Service's namespace":   {get("Service", "metadata", "namespace"), ns},
		"the pod's label":           {get("Pod", "metadata", "labels", "app"), get("Service", "spec", "selector", "app")},
		"the route's host":          {get("VirtualService", "spec", "http", 0, "route", 0, "destination", "host"), service + "." + ns + ".svc.cluster.local"},
		"the rule's host":           {get("DestinationRule", "spec", "host"), service + "." + ns + ".svc.cluster.local"},
		"the route's subset":        {get("VirtualService", "spec", "http", 0, "route", 0, "destination", "subset"), get("DestinationRule", "spec", "subsets", 0, "name")},
		"the short host":            {get("VirtualService", "spec", "hosts", 1), service},
		"the long host's beginning": {strings.Split(get("VirtualService", "spec", "hosts", 0), ".")[0], service},
		"the pod's name":            {strings.Split(get("Pod", "metadata", "name"), "-")[0], service},
		"the pod's node":            {get("Pod", "spec", "nodeName"), get("Node", "metadata", "name")},
		"the node's address":        {get("Pod", "status", "hostIP"), get("Node", "status", "addresses", 0, "address")},
		"the principal":             {get("AuthorizationPolicy", "spec", "rules", 0, "from", 0, "source", "principals", 0), "cluster.local/ns/" + ns + "/sa/" + get("Pod", "spec", "serviceAccountName")},
		"the pod's own label":       {get("Pod", "metadata", "labels", strings.TrimSpace(team[1])), strings.Trim(team[2], "]")},
		"the namespace's label":     {get("Namespace", "metadata", "labels", strings.TrimSpace(team[1])), strings.Trim(team[2], "]")},
		"the source's label":        {get("VirtualService", "spec", "http", 0, "match", 0, "sourceLabels", strings.TrimSpace(team[1])), strings.Trim(team[2], "]")},
		"the hostname":              {get("Node", "metadata", "labels", "kubernetes.io/hostname"), get("Node", "metadata", "name")},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s and %s", what, pair[0], pair[1])
		}
	}
	block, err := netip.ParsePrefix(get("AuthorizationPolicy", "spec", "rules", 0, "from", 0, "source", "ipBlocks", 0))
	if pod := netip.MustParseAddr(get("Pod", "status", "podIP")); err != nil || !block.Contains(pod) {
		t.Errorf("%v, %s is not in %s any more", err, pod, block)
	}
	pod := c.items[len(c.items)-1].object.(*corev1.Pod)
	if p, ok := runtime.PodProxy(pod); !ok || p.Class != runtime.ClassSidecar {
		t.Errorf("the pod's proxy: %v, %v", p, ok)
	}
}

// TestAddressesKeepNetworks: the first bits in which two addresses agree are as many after as before, and no two become one.
func TestAddressesKeepNetworks(t *testing.T) {
	t.Parallel()
	a, err := newAddresses()
	if err != nil {
		t.Fatal(err)
	}
	agree := func(x, y netip.Addr) int {
		for n := 32; ; n-- {
			if p, _ := x.Prefix(n); p.Contains(y) {
				return n
			}
		}
	}
	in := []netip.Addr{}
	for _, text := range []string{"10.7.0.1", "10.7.0.2", "10.7.200.1", "10.96.0.1", "192.0.2.1", "8.8.8.8", "8.8.4.4", "172.16.0.9"} {
		in = append(in, netip.MustParseAddr(text))
	}
	for _, x := range in {
		for _, y := range in {
			if before, after := agree(x, y), agree(a.address(x), a.address(y)); before != after {
				t.Errorf("%s and %s agree in %d bits, then in %d", x, y, before, after)
			}
		}
	}
	for _, text := range []string{"127.0.0.1", "0.0.0.0", "169.254.169.254", "240.240.0.1"} {
		if got := a.text(text); got != text {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}

// TestKeysAreReplaced: a Secret gets another key and certificate for the same names, which fit each other.
func TestKeysAreReplaced(t *testing.T) {
	t.Parallel()
	now := time.Now()
	theirs, err := NewKeys(now)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := theirs.certificate(selfSigned(t, theirs))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {name: cert, namespace: shop}, data: {tls.crt: %s, tls.key: %s, password: eA==}}",
		base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(key))
	c, err := Read(t.Context(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := NewKeys(now)
	if err != nil {
		t.Fatal(err)
	}
	o, err := ours.secret(c.items[0].object)
	if err != nil {
		t.Fatal(err)
	}
	data := o.(*corev1.Secret).Data
	if bytes.Equal(data["tls.key"], key) || len(data) != 2 {
		t.Errorf("%d entries, the key is the same: %v", len(data), bytes.Equal(data["tls.key"], key))
	}
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil || leaf.VerifyHostname("shop.example.com") != nil {
		t.Errorf("%v: for %q", err, leaf.DNSNames)
	}
	if _, err := ours.secret(&corev1.Secret{Data: map[string][]byte{"tls.crt": []byte("no certificate"), "tls.key": key}}); err == nil {
		t.Error("a key without a certificate gets through")
	}
	if err := c.Anonymize(ours); err != nil {
		t.Fatal(err)
	}
	if data := c.items[0].object.(*corev1.Secret).Data; bytes.Contains(data["tls.crt"], []byte("shop")) || len(data["tls.key"]) == 0 || bytes.Equal(data["tls.key"], key) {
		t.Errorf("anonymized: %q", data)
	}
}

// selfSigned is a certificate for shop.example.com.
func selfSigned(t *testing.T, k *Keys) []byte {
	t.Helper()
	from := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example.com"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, from, from, k.caKey.Public(), k.caKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
