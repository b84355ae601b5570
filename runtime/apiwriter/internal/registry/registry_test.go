package registry

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestStoredForm(t *testing.T) {
	t.Parallel()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", ResourceVersion: "9"}, Spec: corev1.PodSpec{NodeName: "n"}}
	raw, err := Pod.Append(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(raw, []byte("k8s\x00")) || !bytes.Contains(raw, []byte("v1")) {
		t.Errorf("encoded as %q", raw)
	}
	if p.ResourceVersion != "9" || p.Kind != "" {
		t.Errorf("the object was changed: %+v %+v", p.TypeMeta, p.ObjectMeta)
	}
	var back corev1.Pod
	if err := Decode(raw, &back); err != nil || back.Spec.NodeName != "n" || back.ResourceVersion != "" {
		t.Errorf("%v %+v", err, back)
	}
	for want, got := range map[string]string{
		"/registry/pods/ns/a": Pod.Key("ns", "a"), "/registry/minions/a": Node.Key("", "a"), "/registry/services/specs/ns/a": Service.Key("ns", "a"),
	} {
		if got != want {
			t.Errorf("key %s, want %s", got, want)
		}
	}
}

// TestPodsThatNeedAdmission: what the api-server would compute for a pod is not guessed.
func TestPodsThatNeedAdmission(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]func(*corev1.Pod){
		"unbound": func(p *corev1.Pod) { p.Spec.NodeName = "" },
		"class":   func(p *corev1.Pod) { p.Spec.PriorityClassName = "high" },
		"runtime": func(p *corev1.Pod) { s := "gvisor"; p.Spec.RuntimeClassName = &s },
		"limits everywhere": func(p *corev1.Pod) {
			p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("1")}}}}
		},
		"claims": func(p *corev1.Pod) {
			p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "gpu"}}}}}
		},
		"volumes": func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n"}}
		if err := Complete(p, nil); err != nil {
			t.Fatal(err)
		}
		p = &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n"}}
		if spec(p); !errors.Is(Complete(p, nil), ErrUnknown) {
			t.Errorf("%s: the pod was completed: %+v", name, p)
		}
	}
}

// TestInjectedPod: a pod with a sidecar beside a container that limits nothing is Burstable.
func TestInjectedPod(t *testing.T) {
	t.Parallel()
	p := &corev1.Pod{Spec: corev1.PodSpec{
		NodeName: "n", Containers: []corev1.Container{{Name: "app"}},
		InitContainers: []corev1.Container{{
			Name: "istio-proxy", SecurityContext: &corev1.SecurityContext{},
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("1Gi")}},
		}},
		Volumes: []corev1.Volume{{Name: "socket"}, {Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}},
	}}
	if err := Complete(p, nil); err != nil || p.Status.QOSClass != corev1.PodQOSBurstable {
		t.Errorf("%v, class %s", err, p.Status.QOSClass)
	}
}

// TestCompleteSharesNothing: an object's labels and taints may belong to many.
func TestCompleteSharesNothing(t *testing.T) {
	t.Parallel()
	labels, tolerations := map[string]string{"app": "a"}, make([]corev1.Toleration, 1, 8)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelTopologyZone: "z"}}}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{NodeName: "n", Tolerations: tolerations}}
	p.Spec.Tolerations[0].Key = "own"
	if err := Complete(p, node); err != nil {
		t.Fatal(err)
	}
	if len(labels) != 1 || len(p.Labels) != 2 || tolerations[:2][1].Key != "" || len(p.Spec.Tolerations) != 3 {
		t.Errorf("labels %v (given %v), tolerations %v", p.Labels, labels, p.Spec.Tolerations)
	}
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	a, b := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "b"}}
	for _, ns := range []*corev1.Namespace{a, b} {
		if err := Namespace.New(ns, time.Unix(5, 7)); err != nil {
			t.Fatal(err)
		}
	}
	if a.UID == b.UID || len(a.UID) != 36 || !a.CreationTimestamp.Time.Equal(time.Unix(5, 0)) {
		t.Errorf("%+v and %+v", a.ObjectMeta, b.ObjectMeta)
	}
	if err := Namespace.New(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a.b"}}, time.Time{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a name with a dot: %v", err)
	}
}

// TestAddresses: those of a Service are the same in every run, lie in the part of the range that the api-server draws
// from, and rarely meet those of others.
func TestAddresses(t *testing.T) {
	t.Parallel()
	r := netip.MustParsePrefix("10.96.0.0/12")
	seen := map[netip.Addr]int{}
	for i := range 20_000 {
		a := Address(r, "ns", string(rune('a'+i%26)), i)
		if seen[a]++; !r.Contains(a) || a.Less(netip.MustParseAddr("10.96.1.0")) || a == netip.MustParseAddr("10.111.255.255") {
			t.Fatalf("%s", a)
		}
	}
	if len(seen) < 19_500 {
		t.Errorf("20000 draws from a million addresses gave %d", len(seen))
	}
	if a, b := Address(r, "ns", "a", 0).String(), Address(r, "ns", "a", 1).String(); a != "10.110.65.120" || a == b {
		t.Errorf("the tries of a Service: %s, %s", a, b)
	}
	for _, small := range []string{"10.0.0.0/24", "fd00::/64"} {
		if a := Address(netip.MustParsePrefix(small), "ns", "a", 0); a.IsValid() {
			t.Errorf("%s: %s", small, a)
		}
	}
}

func TestWebhooksSee(t *testing.T) {
	t.Parallel()
	cfg := &admissionv1.ValidatingWebhookConfiguration{Webhooks: []admissionv1.ValidatingWebhook{{
		Name:              "w",
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"ns": "yes"}},
		ObjectSelector:    &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "skip", Operator: metav1.LabelSelectorOpDoesNotExist}}},
		Rules: []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Create},
			Rule:       admissionv1.Rule{APIGroups: []string{""}, Resources: []string{"pods", "namespaces", "nodes"}},
		}},
	}}}
	raw, err := (Kind{GVK: schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingWebhookConfiguration"}}).Append(nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var w Webhooks
	if err := w.AddValidating(raw); err != nil {
		t.Fatal(err)
	}
	yes, skip := map[string]string{"ns": "yes"}, map[string]string{"skip": ""}
	for name, c := range map[string]struct {
		kind       Kind
		op         admissionv1.OperationType
		ns, object map[string]string
		want       bool
	}{
		"pod":                      {Pod, admissionv1.Create, yes, nil, true},
		"pod, other operation":     {Pod, admissionv1.Delete, yes, nil, false},
		"pod, other namespace":     {Pod, admissionv1.Create, nil, nil, false},
		"pod, object not selected": {Pod, admissionv1.Create, yes, skip, false},
		"other kind":               {Service, admissionv1.Create, yes, nil, false},
		"other group":              {EndpointSlice, admissionv1.Create, yes, nil, false},
		"a namespace, itself":      {Namespace, admissionv1.Create, yes, yes, true},
		"a namespace, unlabelled":  {Namespace, admissionv1.Create, nil, nil, false},
		"in no namespace":          {Node, admissionv1.Create, nil, nil, true},
	} {
		if got := w.See(c.kind, c.op, c.ns, c.object); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestNamesAreChecked: whatever the api-server would refuse is left to it, on the first object with some labels and on the
// next, of which less has to be looked at.
func TestNamesAreChecked(t *testing.T) {
	t.Parallel()
	for range 2 {
		for name, tt := range map[string]struct {
			kind Kind
			meta metav1.ObjectMeta
			good bool
		}{
			"good":                  {Pod, metav1.ObjectMeta{Namespace: "ns", Name: "a-0"}, true},
			"good, cluster-wide":    {Node, metav1.ObjectMeta{Name: "node-0"}, true},
			"upper case":            {Pod, metav1.ObjectMeta{Namespace: "ns", Name: "A-0"}, false},
			"no name":               {Pod, metav1.ObjectMeta{Namespace: "ns"}, false},
			"no namespace":          {Pod, metav1.ObjectMeta{Name: "a-0"}, false},
			"a bad namespace":       {Pod, metav1.ObjectMeta{Namespace: "n.s", Name: "a-0"}, false},
			"needless namespace":    {Node, metav1.ObjectMeta{Namespace: "ns", Name: "node-0"}, false},
			"a negative generation": {Pod, metav1.ObjectMeta{Namespace: "ns", Name: "a-0", Generation: -1}, false},
			"a broken owner":        {Pod, metav1.ObjectMeta{Namespace: "ns", Name: "a-0", OwnerReferences: []metav1.OwnerReference{{Name: "x"}}}, false},
		} {
			tt.meta.Labels, tt.meta.Annotations = map[string]string{"app": "names"}, map[string]string{"plscript.dev/names": "x y"}
			var obj Object = &corev1.Pod{ObjectMeta: tt.meta}
			if tt.kind.GVK == Node.GVK {
				obj = &corev1.Node{ObjectMeta: tt.meta}
			}
			if err := tt.kind.New(obj, time.Now()); (err == nil) != tt.good {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
