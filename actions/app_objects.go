package actions

import (
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/plscript/plscript/runtime"
)

func namespaceObject(ns *runtime.Namespace, labels map[string]string, waypoint string, ambient bool) *corev1.Namespace {
	all := map[string]string{}
	if ambient {
		all["istio.io/dataplane-mode"] = "ambient"
	}
	if waypoint != "" {
		if from, name, ok := strings.Cut(waypoint, "/"); ok {
			all["istio.io/use-waypoint-namespace"], waypoint = from, name
		}
		all["istio.io/use-waypoint"] = waypoint
	}
	maps.Copy(all, labels)
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns.Name, Labels: all}}
}

func serviceAccountIntent(ns *runtime.Namespace, name string) runtime.Intent {
	return runtime.Intent{Verb: runtime.VerbCreate, Kind: "ServiceAccount", Namespace: ns.Name, Name: name, Build: func() runtime.Object {
		return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns.Name}}
	}}
}

func serviceIntent(app *runtime.App, labels map[string]string) runtime.Intent {
	return runtime.Intent{
		Verb: runtime.VerbCreate, Kind: "Service", Namespace: app.Namespace.Name, Name: app.Name,
		OwnSlices: app.NoSelector,
		Build:     func() runtime.Object { return serviceObject(app, labels) },
	}
}

func serviceObject(app *runtime.App, labels map[string]string) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: app.Name, Namespace: app.Namespace.Name, Labels: map[string]string{"app": app.Name}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": app.Name},
			Ports: []corev1.ServicePort{
				{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)},
				{Name: "https", Port: 443, TargetPort: intstr.FromInt32(8443)},
			},
		},
	}
	switch app.Type {
	case runtime.AppWaypoint:
		all := "all"
		s.Labels["gateway.networking.k8s.io/gateway-name"] = app.Name
		s.Labels["gateway.istio.io/managed"] = "istio.io-mesh-controller"
		s.Spec.Ports = []corev1.ServicePort{
			{Name: "status-port", Port: 15021, TargetPort: intstr.FromInt32(15021)},
			{Name: "mesh", Port: 15008, TargetPort: intstr.FromInt32(15008), AppProtocol: &all},
		}
	case runtime.AppGateway:
		s.Labels["istio"] = "ingressgateway"
		s.Spec.Ports = append([]corev1.ServicePort{{Name: "status-port", Port: 15021, TargetPort: intstr.FromInt32(15021)}}, s.Spec.Ports...)
	}
	maps.Copy(s.Labels, labels)
	shapeService(s, app)
	return s
}

// typeIntents are what an app of its type needs besides a Service and pods.
func typeIntents(app *runtime.App) []runtime.Intent {
	if app.Type != runtime.AppWaypoint {
		return nil
	}
	return []runtime.Intent{{
		Verb: runtime.VerbCreate, Group: "gateway.networking.k8s.io", Kind: "Gateway", Namespace: app.Namespace.Name, Name: app.Name,
		Build: func() runtime.Object { return waypointGateway(app) },
	}}
}

// waypointGateway names its own Service as its address, which tells istiod that the deployment is not its to make
// (Istio, pilot/pkg/config/kube/gatewaycommon, IsManaged).
func waypointGateway(app *runtime.App) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1",
		"kind":       "Gateway",
		"metadata": map[string]any{
			"name": app.Name, "namespace": app.Namespace.Name, "labels": map[string]any{"istio.io/waypoint-for": "service"},
		},
		"spec": map[string]any{
			"gatewayClassName": "istio-waypoint",
			"listeners":        []any{map[string]any{"name": "mesh", "port": int64(15008), "protocol": "HBONE"}},
			"addresses":        []any{map[string]any{"type": "Hostname", "value": app.Host()}},
		},
	}}
}

// podIntents are the writes that make a pod, after those for a node that was added for it.
func podIntents(pod *runtime.Pod, added *runtime.Node, as podSettings, now time.Time) []runtime.Intent {
	var out []runtime.Intent
	if added != nil {
		out = nodeIntents(added, plainNode, now)
	}
	return append(out, podIntent(pod, as))
}

func podIntent(pod *runtime.Pod, as podSettings) runtime.Intent {
	injection := as.injection(pod.App)
	in := runtime.Intent{
		Verb: runtime.VerbCreate, Kind: "Pod", Namespace: pod.App.Namespace.Name, Name: pod.Name(), Injection: injection,
		Build: func() runtime.Object { return podObject(pod, injection) },
	}
	if class, ok := pod.App.Type.ProxyClass(); ok {
		in.Class, in.CSR = class, as.csr(pod.App)
		in.Want = func() runtime.Proxy { return podProxy(pod, class, injection, in.CSR) }
	}
	return in
}

func podProxy(pod *runtime.Pod, class runtime.ProxyClass, injection runtime.Injection, csr bool) runtime.Proxy {
	return runtime.Proxy{
		Class: class, Namespace: pod.App.Namespace.Name, Name: pod.Name(), IP: pod.IP(), Node: pod.Node().Name,
		ServiceAccount: pod.App.Account, App: pod.App.Name, Labels: podLabels(pod.App, injection),
		Zone: pod.Node().Zone, Region: pod.Node().Region, Pod: true, Metadata: pod.App.Metadata, CSR: csr,
	}
}

// podGoneIntent is the write that takes a pod away.
func podGoneIntent(pod *runtime.Pod) runtime.Intent {
	in := runtime.Intent{
		Verb: runtime.VerbDelete, Kind: "Pod", Namespace: pod.App.Namespace.Name, Name: pod.Name(),
		Build: func() runtime.Object {
			return &corev1.Pod{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
				ObjectMeta: metav1.ObjectMeta{Name: pod.Name(), Namespace: pod.App.Namespace.Name},
			}
		},
	}
	if class, ok := pod.App.Type.ProxyClass(); ok {
		in.Forget = []runtime.ProxyKey{{Class: class, Key: pod.Key()}}
	}
	return in
}

func podObject(pod *runtime.Pod, injection runtime.Injection) *corev1.Pod {
	app := pod.App
	annotations := map[string]string{runtime.AnnotationIP: pod.IP()}
	containers := []corev1.Container{container("app", "plscript.dev/app")}
	switch app.Type {
	case runtime.AppSidecar:
		if injection == runtime.InjectNone {
			annotations["sidecar.istio.io/status"] = `{"containers":["istio-proxy"],"revision":"default"}`
			containers = append(containers, container("istio-proxy", "istio/proxyv2"))
		}
	case runtime.AppAmbient:
		annotations["ambient.istio.io/redirection"] = "enabled" // as the CNI agent sets it
	case runtime.AppGateway, runtime.AppWaypoint:
		containers = []corev1.Container{container("istio-proxy", "istio/proxyv2")}
		if injection != runtime.InjectNone {
			// As Istio's chart of a gateway has it: the template brings the rest.
			annotations["inject.istio.io/templates"] = "gateway"
			containers[0] = corev1.Container{Name: "istio-proxy", Image: "auto"}
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name(), Namespace: app.Namespace.Name, Labels: maps.Clone(podLabels(app, injection)), Annotations: annotations,
		},
		Spec: stablePod(pod, podSpec(pod.Node(), app.Account, containers...)),
	}
}

// podSpec is a pod bound to a node, as the scheduler would leave it; on nil it is bound to none.
func podSpec(node *runtime.Node, account string, containers ...corev1.Container) corev1.PodSpec {
	no, grace := false, int64(0)
	s := corev1.PodSpec{
		ServiceAccountName: account, AutomountServiceAccountToken: &no, TerminationGracePeriodSeconds: &grace,
		Containers:  containers,
		Tolerations: []corev1.Toleration{{Key: runtime.LabelClass, Operator: corev1.TolerationOpExists}},
	}
	if node != nil {
		s.NodeName, grace = node.Name, int64(node.GracePeriod/time.Second)
	}
	return s
}

func container(name, image string) corev1.Container {
	return corev1.Container{Name: name, Image: image, ImagePullPolicy: corev1.PullNever}
}
