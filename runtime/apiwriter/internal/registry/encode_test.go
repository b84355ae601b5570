package registry

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
)

// serialized is obj as the api-server's own serializer writes it.
func serialized(t *testing.T, k Kind, obj Object) []byte {
	t.Helper()
	c, ok := obj.DeepCopyObject().(Object)
	if !ok {
		t.Fatalf("%T copies to something else", obj)
	}
	c.SetResourceVersion("")
	c.GetObjectKind().SetGroupVersionKind(k.GVK)
	var b bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(c, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestStoredBytesAreTheSerializers: every kind, with little and with much in it, behind what a buffer holds already.
func TestStoredBytesAreTheSerializers(t *testing.T) {
	t.Parallel()
	second, yes, port := int64(1), true, int32(8080)
	meta := metav1.ObjectMeta{
		Name: "a", Namespace: "ns", UID: "u", ResourceVersion: "77", Generation: 3, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0)),
		Labels: map[string]string{"b": "2", "a": "1", "c": strings.Repeat("long", 100)}, Annotations: map[string]string{"z": "", "": "y"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "Node", Name: "n", Controller: &yes}},
	}
	for _, tt := range []struct {
		kind  Kind
		small Object
		large Object
	}{
		{Namespace, &corev1.Namespace{}, &corev1.Namespace{ObjectMeta: meta, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}},
		{Node, &corev1.Node{}, &corev1.Node{ObjectMeta: meta, Status: corev1.NodeStatus{Capacity: corev1.ResourceList{"cpu": resource.MustParse("4"), "pods": resource.MustParse("255")}}}},
		{Account, &corev1.ServiceAccount{}, &corev1.ServiceAccount{ObjectMeta: meta, AutomountServiceAccountToken: &yes}},
		{Pod, &corev1.Pod{}, &corev1.Pod{
			ObjectMeta: meta,
			Spec: corev1.PodSpec{
				NodeName: "n", TerminationGracePeriodSeconds: &second,
				Containers:  []corev1.Container{{Name: "app", Image: strings.Repeat("image", 5000), Ports: []corev1.ContainerPort{{ContainerPort: port}}}},
				Tolerations: []corev1.Toleration{{Key: "k", TolerationSeconds: &second}},
			},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}}},
		}},
		{Service, &corev1.Service{}, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
			Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http")}}, Selector: map[string]string{"y": "1", "x": "2"},
		}}},
		{Lease, &coordinationv1.Lease{}, &coordinationv1.Lease{ObjectMeta: meta, Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: &port}}},
		{EndpointSlice, &discoveryv1.EndpointSlice{}, &discoveryv1.EndpointSlice{
			ObjectMeta: meta, Ports: []discoveryv1.EndpointPort{{Port: &port}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}}},
		}},
		{IPAddress, &networkingv1.IPAddress{}, &networkingv1.IPAddress{ObjectMeta: meta, Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Name: "s"}}}},
		{ServiceCIDR, &networkingv1.ServiceCIDR{}, &networkingv1.ServiceCIDR{ObjectMeta: meta, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.0.0.0/8"}}}},
	} {
		var b []byte
		for _, obj := range []Object{tt.small, tt.large, tt.small} {
			before := len(b)
			version := obj.GetResourceVersion()
			var err error
			if b, err = tt.kind.Append(b, obj); err != nil {
				t.Fatal(err)
			}
			if want := serialized(t, tt.kind, obj); !bytes.Equal(want, b[before:]) {
				t.Errorf("%s: the serializer writes\n%.300q\nand Append\n%.300q", tt.kind.GVK.Kind, want, b[before:])
			}
			if obj.GetResourceVersion() != version {
				t.Errorf("%s: the resourceVersion is %q now", tt.kind.GVK.Kind, obj.GetResourceVersion())
			}
		}
	}
}

// unsized is a pod whose encoder fails.
type unsized struct{ *corev1.Pod }

var errUnsized = errors.New("no room")

func (unsized) MarshalToSizedBuffer([]byte) (int, error) { return 0, errUnsized }

func TestWhatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	if _, err := Pod.Append(nil, unsized{&corev1.Pod{}}); !errors.Is(err, errUnsized) {
		t.Errorf("an encoder that fails: %v", err)
	}
	if _, err := Pod.Append(nil, &unstructured.Unstructured{Object: map[string]any{}}); err == nil {
		t.Error("an object without a message was encoded")
	}
}
