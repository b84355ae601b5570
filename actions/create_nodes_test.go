package actions

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
)

func TestNodesAreSpreadOverRegionsAndZones(t *testing.T) {
	t.Parallel()
	a := &createNodes{Regions: 2, Zones: 2}
	var got []string
	for i := range 6 {
		region, zone := a.place(i)
		got = append(got, region+"/"+zone)
	}
	want := []string{
		"region-a/region-a-zone-a", "region-b/region-b-zone-a", "region-a/region-a-zone-b", "region-b/region-b-zone-b",
		"region-a/region-a-zone-a", "region-b/region-b-zone-a",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if region, zone := (&createNodes{Regions: 1, Zones: 3}).place(2); region != "region-a" || zone != "zone-c" {
		t.Errorf("with one region: %s/%s", region, zone)
	}
}

func TestNodesHaveTheCapacityAskedFor(t *testing.T) {
	t.Parallel()
	m := runtime.NewMesh(1, false)
	a := &createNodes{Count: 2, nodeSpec: nodeSpec{KubeletVersion: "v1.30.1", Capacity: nodeCapacity{CPU: "500m", Memory: "2Gi", Pods: 3}}}
	var nodes []*corev1.Node
	for in, err := range a.intents(m, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := in.Build().(*corev1.Node); ok {
			nodes = append(nodes, n)
		}
	}
	st := nodes[1].Status
	if st.Capacity.Cpu().MilliValue() != 500 || st.Allocatable.Memory().Value() != 2<<30 || st.Capacity.Pods().Value() != 3 || st.NodeInfo.KubeletVersion != "v1.30.1" {
		t.Errorf("status %+v", st)
	}
	ns, err := m.AddNamespace("ns", 0)
	if err != nil {
		t.Fatal(err)
	}
	app := m.AddApp(runtime.App{Namespace: ns, Name: "app"})
	var on []string
	for range 6 {
		p, _, err := m.AddPod(app)
		if err != nil {
			t.Fatal(err)
		}
		on = append(on, p.Node().Name)
	}
	slices.Sort(on)
	if d := cmp.Diff([]string{"node-0", "node-0", "node-0", "node-1", "node-1", "node-1"}, on); d != "" {
		t.Error(d)
	}
	if _, _, err := m.AddPod(app); err == nil {
		t.Error("a pod more than the nodes take")
	}
}

func TestHeadlessAndSelectorlessServices(t *testing.T) {
	t.Parallel()
	m := runtime.NewMesh(1, true)
	ns, err := m.AddNamespace("ns", 0)
	if err != nil {
		t.Fatal(err)
	}
	db := m.AddApp(runtime.App{Namespace: ns, Name: "db", Headless: true})
	if s := serviceObject(db, nil); s.Spec.ClusterIP != corev1.ClusterIPNone || s.Spec.Selector["app"] != "db" {
		t.Errorf("headless: %+v", s.Spec)
	}
	pod, _, err := m.AddPod(db)
	if err != nil {
		t.Fatal(err)
	}
	if spec := podObject(pod, runtime.InjectNone).Spec; spec.Hostname != pod.Name() || spec.Subdomain != "db" {
		t.Errorf("a pod behind a headless Service is called %s in %s", spec.Hostname, spec.Subdomain)
	}
	legacy := m.AddApp(runtime.App{Namespace: ns, Name: "legacy", NoSelector: true})
	s := serviceObject(legacy, nil)
	if len(s.Spec.Selector) > 0 || s.Annotations[runtime.AnnotationSelector] != "app=legacy" || s.Spec.ClusterIP != "" {
		t.Errorf("without a selector: %+v, %v", s.Spec, s.Annotations)
	}
	if !serviceIntent(legacy, nil).OwnSlices || serviceIntent(db, nil).OwnSlices {
		t.Error("the slices of a Service are plscript's if it has no selector, and only then")
	}
}
