package capture

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// foreign is a mesh of another cluster, with much that does not fit elsewhere.
const foreign = `
{apiVersion: v1, kind: Namespace, metadata: {name: prod, labels: {istio-injection: enabled, pod-security.kubernetes.io/enforce: restricted}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}
---
apiVersion: v1
kind: Service
metadata: {name: lb, namespace: prod}
spec: {type: LoadBalancer, clusterIP: 172.20.14.7, healthCheckNodePort: 31999, externalIPs: [192.0.2.1], selector: {app: a}, ports: [{name: http, port: 80, nodePort: 31080}]}
---
{apiVersion: v1, kind: Service, metadata: {name: six, namespace: prod}, spec: {clusterIP: 'fd00::1', clusterIPs: ['fd00::1', 10.97.0.1], ipFamilies: [IPv6, IPv4], ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: dns, namespace: kube-system}, spec: {clusterIP: 172.20.0.10, ports: [{port: 53}]}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: six, namespace: prod}, subsets: [{addresses: [{ip: 192.0.2.9}], ports: [{port: 80}]}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: lb-1, namespace: prod, labels: {kubernetes.io/service-name: lb, endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}}
endpoints: [{addresses: [10.0.0.15], targetRef: {kind: Pod, name: a}}, {addresses: [10.0.0.99], targetRef: {kind: Pod, name: gone}}]
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: prod, labels: {app: a}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: a, uid: u, controller: true}]}
spec:
  nodeName: n1
  volumes: [{name: v, secret: {secretName: s}}]
  containers: [{name: a, image: a, env: [{name: PASSWORD, value: hunter2}]}]
  initContainers: [{name: istio-proxy, image: p, restartPolicy: Always, args: [proxy, sidecar, --x], env: [{name: ISTIO_META_NETWORK, value: net1}, {name: ISTIO_META_CLUSTER_ID, value: prod}]}]
status: {phase: Running, podIP: 10.0.0.15, hostIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: edge, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {hostNetwork: true, containers: [{name: istio-proxy, image: p, args: [proxy, router]}]}
status: {podIP: 10.0.0.2}
---
{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: default, namespace: istio-system}, spec: {egress: [{hosts: ["*/*"]}]}}
---
{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: x, namespace: other}, spec: {hosts: [x.example.com]}, status: {addresses: [{value: 240.240.0.9}]}}
---
{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: y, namespace: other}, spec: {hosts: [y.example.com]}, status: {addresses: [{value: 240.240.0.3}]}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: ''}}
`

func fitted(t *testing.T, text string, opt Options) *Replay {
	t.Helper()
	c, err := Read(t.Context(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	opt.Address = func() (string, error) { n++; return fmt.Sprintf("198.18.0.%d", n), nil }
	r, err := c.Fit(opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// written is a line for each write, in order.
func written(r *Replay) []string {
	var out []string
	for _, w := range r.Writes {
		line := Ref{w.Kind, w.Object.GetNamespace(), w.Object.GetName()}.String()
		if w.Status {
			line += " status"
		}
		out = append(out, line)
	}
	return out
}

func object(t *testing.T, r *Replay, kind, name string) runtime.Object {
	t.Helper()
	for _, w := range r.Writes {
		if w.Kind == kind && w.Object.GetName() == name {
			return w.Object
		}
	}
	t.Fatalf("no %s %s is written", kind, name)
	return nil
}

// field is a field of an unstructured object.
func field(o runtime.Object, path ...string) any {
	v, _, _ := unstructured.NestedFieldNoCopy(o.(*unstructured.Unstructured).Object, path...)
	return v
}

func TestFitSandbox(t *testing.T) {
	t.Parallel()
	r := fitted(t, foreign, Options{Cluster: ir.ClusterSandbox})
	want := []string{
		"ServiceCIDR reproduced-172-20", "Namespace prod", "Namespace other", "Service kube-system/dns", "Service prod/lb", "Service prod/six",
		"EndpointSlice prod/six-0", "EndpointSlice prod/lb-1", "Sidecar istio-system/default",
		"ServiceEntry other/y", "ServiceEntry other/y status", "ServiceEntry other/x", "ServiceEntry other/x status", "Pod istio-system/edge", "Pod prod/a",
	}
	if diff := cmp.Diff(want, written(r)); diff != "" {
		t.Errorf("written:\n%s", diff)
	}
	if diff := cmp.Diff([]Node{{Name: strayNode, IP: "10.0.0.2"}, {Name: "n1", IP: "10.0.0.1"}}, r.Nodes); diff != "" {
		t.Errorf("nodes:\n%s", diff)
	}
	lb := object(t, r, "Service", "lb")
	if field(lb, "spec", "clusterIP") != "172.20.14.7" || field(lb, "spec", "type") != "LoadBalancer" || field(lb, "spec", "healthCheckNodePort") != nil || field(lb, "status", "loadBalancer", "ingress") != nil {
		t.Errorf("Service lb: %v", lb)
	}
	if six := object(t, r, "Service", "six"); field(six, "spec", "clusterIP") != "10.97.0.1" || field(six, "spec", "ipFamilies") != nil {
		t.Errorf("Service six: %v", six)
	}
	if n := len(field(object(t, r, "EndpointSlice", "lb-1"), "endpoints").([]any)); n != 1 {
		t.Errorf("%d endpoints are kept: that of a pod that is made is made with it", n)
	}
	pod := object(t, r, "Pod", "a").(*corev1.Pod)
	if pod.Annotations[runtime.AnnotationIP] != "10.0.0.15" || pod.Labels[labelInject] != "false" || len(pod.Spec.Volumes) != 0 || len(pod.OwnerReferences) != 1 ||
		len(pod.Spec.Containers[0].Env) != 0 || pod.Status.PodIP != "" {
		t.Errorf("Pod a: %+v", pod)
	}
	if diff := cmp.Diff(runtime.Population{Namespaces: 2, Services: 3, Pods: 2, Nodes: 2}, r.Population); diff != "" {
		t.Errorf("population:\n%s", diff)
	}
	sidecar, gateway := r.Proxies[1], r.Proxies[0]
	if sidecar.Class != runtime.ClassSidecar || sidecar.Metadata["NETWORK"] != "net1" || sidecar.Metadata["CLUSTER_ID"] != "" || sidecar.Labels[labelInject] != "" ||
		gateway.Class != runtime.ClassGateway || gateway.ServiceAccount != "default" {
		t.Errorf("proxies %+v", r.Proxies)
	}
	checkBarriers(t, r)
}

// checkBarriers demands that nothing of a later stage begins before all of an earlier one is written.
func checkBarriers(t *testing.T, r *Replay) {
	t.Helper()
	stageOf := func(w Write) stage {
		if w.Kind == "ServiceCIDR" {
			return stageNamespaces
		}
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.group == w.Group && k.name == w.Kind })
		return kinds[i].stage
	}
	for i := range r.Writes[1:] {
		if stageOf(r.Writes[i]) != stageOf(r.Writes[i+1]) && !r.Writes[i].Barrier {
			t.Errorf("%s does not hold back what follows", r.Writes[i].Kind)
		}
	}
}

func TestFitRealCluster(t *testing.T) {
	t.Parallel()
	r := fitted(t, foreign, Options{Cluster: ir.ClusterReal})
	for _, line := range written(r) {
		if strings.Contains(line, "kube-system") || strings.Contains(line, "ServiceCIDR") {
			t.Errorf("%s is written", line)
		}
	}
	lb := object(t, r, "Service", "lb").(*corev1.Service)
	if lb.Spec.ClusterIP != "" || lb.Spec.Type != corev1.ServiceTypeClusterIP || len(lb.Spec.ExternalIPs) != 0 {
		t.Errorf("Service lb: %+v", lb.Spec)
	}
	if pod := object(t, r, "Pod", "edge").(*corev1.Pod); pod.Annotations[runtime.AnnotationIP] != "198.18.0.1" || pod.Spec.HostNetwork {
		t.Errorf("Pod edge: %+v", pod)
	}
	if r.Proxies[0].IP != "198.18.0.1" || r.Nodes[0].IP != "" {
		t.Errorf("proxy %s on node %s", r.Proxies[0].IP, r.Nodes[0].IP)
	}
	var changes bytes.Buffer
	if err := WriteList(&changes, nil, r.Changed); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Service prod/lb: gets an address of this cluster in place of 172.20.14.7", "Service prod/lb: without its selector",
		"Service prod/lb: of type ClusterIP in place of LoadBalancer", "Service prod/lb: without its external addresses",
		"Pod prod/a: gets the address 198.18.0.2 in place of 10.0.0.15", "Namespace other: made, as the file lacks it",
	} {
		if !strings.Contains(changes.String(), want) {
			t.Errorf("%q is not among the changes:\n%s", want, &changes)
		}
	}
}

func TestFitConfigOnly(t *testing.T) {
	t.Parallel()
	r := fitted(t, foreign, Options{Cluster: ir.ClusterSandbox, ConfigOnly: true})
	if len(r.Nodes)+len(r.Proxies) != 0 || slices.ContainsFunc(r.Writes, func(w Write) bool { return w.Kind == "Pod" }) {
		t.Errorf("nodes %v, proxies %v, writes %q", r.Nodes, r.Proxies, written(r))
	}
	if n := len(field(object(t, r, "EndpointSlice", "lb-1"), "endpoints").([]any)); n != 2 {
		t.Errorf("%d endpoints are kept: without pods all are", n)
	}
}

// TestWriteReadsBack: what is written is read as the same capture.
func TestWriteReadsBack(t *testing.T) {
	t.Parallel()
	c, err := Read(t.Context(), strings.NewReader(foreign))
	if err != nil {
		t.Fatal(err)
	}
	texts := [2]string{}
	for i := range texts {
		var b bytes.Buffer
		if err := c.Write(&b); err != nil {
			t.Fatal(err)
		}
		texts[i] = b.String()
		if c, err = Read(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(texts[0], texts[1]); diff != "" {
		t.Errorf("read back and written again:\n%s", diff)
	}
	if strings.Contains(texts[0], "hunter2") {
		t.Error("the environment of a pod is kept")
	}
}
