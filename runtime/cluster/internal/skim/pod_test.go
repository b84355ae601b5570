package skim

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// inUse is what the cluster looks at of a pod: what [pods.decode] promises.
func inUse(p *corev1.Pod) *corev1.Pod {
	spec := corev1.PodSpec{
		NodeName: p.Spec.NodeName, HostNetwork: p.Spec.HostNetwork, Hostname: p.Spec.Hostname, Subdomain: p.Spec.Subdomain,
	}
	if p.Status.Phase == "" || p.Status.Phase == corev1.PodPending {
		whole := p.DeepCopy()
		whole.ManagedFields = nil
		spec.InitContainers, spec.Containers = containersOf(p.Spec.InitContainers, true), containersOf(p.Spec.Containers, true)
		whole.Spec = spec
		return whole
	}
	spec.InitContainers, spec.Containers = containersOf(p.Spec.InitContainers, false), containersOf(p.Spec.Containers, false)
	status := corev1.PodStatus{Phase: p.Status.Phase, PodIP: p.Status.PodIP}
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodReady {
			status.Conditions = append(status.Conditions, corev1.PodCondition{Type: cond.Type, Status: cond.Status})
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: p.Name, Namespace: p.Namespace, UID: p.UID, ResourceVersion: p.ResourceVersion, Labels: p.Labels,
			DeletionTimestamp: p.DeletionTimestamp, DeletionGracePeriodSeconds: p.DeletionGracePeriodSeconds,
		},
		Spec: spec, Status: status,
	}
}

// containersOf are the named ports and the restart policy of containers, and if pending, what their status will say of
// them. Of others the containers without any of it are left out, but for the restart policy only of init containers.
func containersOf(in []corev1.Container, pending bool) (out []corev1.Container) {
	for _, c := range in {
		kept := corev1.Container{RestartPolicy: c.RestartPolicy}
		for _, p := range c.Ports {
			if p.Name != "" {
				kept.Ports = append(kept.Ports, p)
			}
		}
		if pending {
			kept.Name, kept.Image = c.Name, c.Image
		}
		out = append(out, kept)
	}
	return out
}

// relevant leaves out the difference that containers make of which nothing is in use.
var relevant = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Transformer("used", func(p *corev1.Pod) map[string]any {
		if p == nil {
			return nil
		}
		var ports [][]corev1.ContainerPort
		for _, c := range p.Spec.Containers {
			if len(c.Ports) > 0 {
				ports = append(ports, c.Ports)
			}
		}
		var init []corev1.Container
		for _, c := range p.Spec.InitContainers {
			if len(c.Ports) > 0 || c.RestartPolicy != nil || c.Name != "" || c.Image != "" {
				init = append(init, c)
			}
		}
		var named []string
		for _, c := range p.Spec.Containers {
			if c.Name != "" || c.Image != "" {
				named = append(named, c.Name+"="+c.Image)
			}
		}
		spec := p.Spec
		spec.Containers, spec.InitContainers = nil, nil
		return map[string]any{"meta": p.ObjectMeta, "spec": spec, "status": p.Status, "ports": ports, "init": init, "containers": named}
	}),
}

// filler makes up objects.
type filler struct {
	*rand.Rand
	depth int // of what can be left out
}

// fill sets everything below v to something, leaving a third of what can be left out.
func (f filler) fill(v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case metav1.Time:
		v.Set(reflect.ValueOf(metav1.NewTime(time.Unix(int64(f.IntN(1<<30)), 0))))
		return
	case resource.Quantity:
		v.Set(reflect.ValueOf(*resource.NewQuantity(int64(f.IntN(1000)), resource.DecimalSI)))
		return
	case metav1.FieldsV1:
		v.Set(reflect.ValueOf(*metav1.NewFieldsV1(`{"f:a":{}}`)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Repeat(string(rune('a'+f.IntN(26))), 1+f.IntN(5)))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(f.IntN(1 << 20)))
	case reflect.Uint8:
		v.SetUint(uint64(f.IntN(256)))
	case reflect.Bool:
		v.SetBool(f.IntN(2) == 0)
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i), depth)
		}
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if depth > 0 && f.IntN(3) > 0 {
			f.fillBelow(v, depth-1)
		}
	}
}

// fillBelow fills a pointer, a slice or a map.
func (f filler) fillBelow(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+f.IntN(3), 3))
		for i := range v.Len() {
			f.fill(v.Index(i), depth)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + f.IntN(3) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.fill(key, depth)
			f.fill(value, depth)
			v.SetMapIndex(key, value)
		}
	}
}

// pod makes up one with what can be wrong about it: any phase, no name of a port, conditions of all kinds.
func (f filler) pod(i int) *corev1.Pod {
	p := &corev1.Pod{}
	for _, part := range []any{&p.ObjectMeta, &p.Spec, &p.Status} {
		f.fill(reflect.ValueOf(part).Elem(), f.depth)
	}
	p.Name, p.UID = fmt.Sprint("pod-", i), types.UID(fmt.Sprint("uid-", i))
	phases := []corev1.PodPhase{"", corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed, corev1.PodUnknown}
	p.Status.Phase = phases[f.IntN(len(phases))]
	for i := range p.Status.Conditions {
		p.Status.Conditions[i].Type = []corev1.PodConditionType{corev1.PodReady, corev1.PodScheduled, "Readyish", ""}[f.IntN(4)]
	}
	for _, list := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
		for i := range list {
			for j := range list[i].Ports {
				if f.IntN(3) == 0 {
					list[i].Ports[j].Name = ""
				}
			}
		}
	}
	if f.IntN(3) == 0 {
		p.Annotations = map[string]string{"long": strings.Repeat("x", 1<<15)} // a length of three bytes
	}
	return p
}

func encoded(t testing.TB, p *corev1.Pod) []byte {
	t.Helper()
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestNothingInUseIsLost compares with what is decoded whole, field by field.
func TestNothingInUseIsLost(t *testing.T) {
	t.Parallel()
	f := filler{rand.New(rand.NewPCG(1, 2)), 4}
	d := &pods{labels: labelSets{most: 100}}
	var want, got []*corev1.Pod
	for i := range 150 {
		p := f.pod(i)
		raw := encoded(t, p)
		plain, skimmed := &corev1.Pod{}, &corev1.Pod{}
		if err := plain.Unmarshal(raw); err != nil {
			t.Fatal(err)
		}
		if err := d.decode(raw, skimmed); err != nil {
			t.Fatal(err)
		}
		clear(raw) // as the next event does
		want, got = append(want, inUse(plain)), append(got, skimmed)
	}
	for i := range want {
		if d := cmp.Diff(want[i], got[i], relevant); d != "" {
			t.Fatalf("a pod that is %q: %s", want[i].Status.Phase, d)
		}
	}
}

// TestListsToo: items are decoded as events are, and the list says what version it is of.
func TestListsToo(t *testing.T) {
	t.Parallel()
	f := filler{rand.New(rand.NewPCG(3, 4)), 4}
	remaining := int64(7)
	list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "12", Continue: "on", RemainingItemCount: &remaining}}
	want := &corev1.PodList{ListMeta: list.ListMeta}
	for i := range 20 {
		p := f.pod(i)
		list.Items = append(list.Items, *p)
		plain := &corev1.Pod{}
		if err := plain.Unmarshal(encoded(t, p)); err != nil {
			t.Fatal(err)
		}
		want.Items = append(want.Items, *inUse(plain))
	}
	raw, err := list.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got := &corev1.PodList{}
	if err := (&pods{}).decodeList(raw, got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.ListMeta, got.ListMeta); d != "" || len(got.Items) != len(want.Items) {
		t.Fatalf("%d items of %d: %s", len(got.Items), len(want.Items), d)
	}
	for i := range want.Items {
		if d := cmp.Diff(&want.Items[i], &got.Items[i], relevant); d != "" {
			t.Fatal(d)
		}
	}
}

// FuzzDecode: whatever comes, decoding ends; and where both decode it, they say the same.
func FuzzDecode(f *testing.F) {
	made := filler{rand.New(rand.NewPCG(5, 6)), 2}
	for i := range 20 {
		p := made.pod(i)
		p.Annotations = nil // small inputs are tried more often
		f.Add(encoded(f, p))
	}
	f.Add([]byte{0x0a, 0x02, 0x0a, 0x00, 0x1a, 0x00, 0x1a, 0x03, 0x0a, 0x01, 'x'})
	d := &pods{labels: labelSets{most: 10}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		plain, skimmed := &corev1.Pod{}, &corev1.Pod{}
		errPlain, err := plain.Unmarshal(bytes.Clone(raw)), d.decode(raw, skimmed)
		if errPlain != nil || err != nil {
			return
		}
		if d := cmp.Diff(inUse(plain), skimmed, relevant); d != "" {
			t.Error(d)
		}
	})
}

// TestBrokenPods: what is cut off is no pod, wherever it is.
func TestBrokenPods(t *testing.T) {
	t.Parallel()
	raw := encoded(t, filler{rand.New(rand.NewPCG(7, 8)), 4}.pod(0))
	for n := range len(raw) {
		if plain := (&corev1.Pod{}); plain.Unmarshal(raw[:n]) == nil {
			continue // it is the end of a field
		}
		if err := (&pods{}).decode(raw[:n], &corev1.Pod{}); err == nil {
			t.Fatalf("%d bytes of %d are taken for a pod", n, len(raw))
		}
	}
}

func TestPodsShareLabels(t *testing.T) {
	t.Parallel()
	d := &pods{labels: labelSets{most: 4}}
	seen := func(labels map[string]string, phase corev1.PodPhase) map[string]string {
		t.Helper()
		var p corev1.Pod
		made := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: labels}, Status: corev1.PodStatus{Phase: phase}}
		if err := d.decode(encoded(t, made), &p); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(p.Labels, labels) {
			t.Errorf("a pod labelled %v is taken for %v", labels, p.Labels)
		}
		return p.Labels
	}
	same := func(a, b map[string]string) bool { return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() }
	first := seen(map[string]string{"app": "a", "zone": "z"}, corev1.PodPending)
	if !same(first, seen(map[string]string{"zone": "z", "app": "a"}, corev1.PodRunning)) {
		t.Error("two pods with the same labels have a map each")
	}
	for _, other := range []map[string]string{{"app": "a"}, {"app": "z", "zone": "a"}, {"app": "b", "zone": "z"}, {}, nil} {
		if got := seen(other, corev1.PodRunning); len(got) > 0 && same(first, got) {
			t.Errorf("%v shares the map of others", other)
		}
	}
	for i := range 20 {
		seen(map[string]string{"app": fmt.Sprint(i)}, corev1.PodRunning)
		if len(d.labels.sets) > 4 {
			t.Fatalf("%d sets are remembered", len(d.labels.sets))
		}
	}
}
