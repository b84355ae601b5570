package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var testService = &service{namespace: "ns", name: "svc", uid: "svc-uid", serviceSpec: serviceSpec{labels: map[string]string{"team": "a"}}}

func testPorts(number int32) []discoveryv1.EndpointPort {
	name, proto := "http", corev1.ProtocolTCP
	return []discoveryv1.EndpointPort{{Name: &name, Protocol: &proto, Port: &number}}
}

func testEndpoint(i int, ready bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{
		Addresses:  []string{fmt.Sprintf("10.0.%d.%d", i/250, i%250)},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: fmt.Sprintf("p%04d", i), UID: types.UID(fmt.Sprint("uid", i))},
	}
}

// wanted is a group of the numbered endpoints; those in unready are not ready.
func wanted(port int32, numbers []int, unready ...int) map[string]group {
	g := group{ports: testPorts(port)}
	for _, i := range numbers {
		e := testEndpoint(i, true)
		for _, u := range unready {
			if u == i {
				e = testEndpoint(i, false)
			}
		}
		g.endpoints = append(g.endpoints, e)
	}
	return map[string]group{portKey(g.ports): g}
}

func numbers(from, to int) (out []int) {
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

// apply carries out a rewrite on a set of slices, as an api-server would.
func apply(t *testing.T, slices map[string]*slice, r rewrite, names *int) {
	t.Helper()
	for _, s := range r.remove {
		if slices[s.Name] == nil {
			t.Fatalf("removes %q, which is not there", s.Name)
		}
		delete(slices, s.Name)
	}
	for _, s := range r.update {
		if slices[s.Name] == nil {
			t.Fatalf("updates %q, which is not there", s.Name)
		}
		slices[s.Name] = s
	}
	for _, s := range r.create {
		*names++
		s.Name = fmt.Sprintf("s%03d", *names)
		slices[s.Name] = s
	}
}

func list(m map[string]*slice) (out []*slice) {
	for _, k := range sortedKeys(m) {
		out = append(out, m[k])
	}
	return out
}

func sizes(m map[string]*slice) (out []int) {
	for _, s := range list(m) {
		out = append(out, len(s.Endpoints))
	}
	return out
}

func TestPlanFromNothing(t *testing.T) {
	blank := blankSlice(testService, "r1")
	for n, want := range map[int][]int{0: {0}, 1: {1}, 100: {100}, 101: {100, 1}, 250: {100, 100, 50}} {
		slices, names := map[string]*slice{}, 0
		groups := map[string]group{}
		if n > 0 {
			groups = wanted(8080, numbers(0, n))
		}
		apply(t, slices, plan(blank, nil, groups), &names)
		if d := cmp.Diff(want, sizes(slices)); d != "" {
			t.Errorf("%d pods: %s", n, d)
		}
		if again := plan(blank, list(slices), groups); !again.empty() {
			t.Errorf("%d pods: planning again is not stable: %+v", n, again)
		}
		for _, s := range slices {
			wantLabels := map[string]string{
				"team": "a", "plscript.dev/run": "r1",
				"kubernetes.io/service-name":             "svc",
				"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
			}
			if d := cmp.Diff(wantLabels, s.Labels); d != "" || s.AddressType != "IPv4" || s.OwnerReferences[0].UID != "svc-uid" {
				t.Errorf("slice %+v: %s", s.ObjectMeta, d)
			}
		}
	}
}

func TestPlanTouchesFewSlices(t *testing.T) {
	blank := blankSlice(testService, "r1")
	odd := append(append(numbers(0, 50), numbers(51, 150)...), numbers(150, 250)...)
	for name, c := range map[string]struct {
		want                   map[string]group
		create, update, remove int
		sizes                  []int
	}{
		"nothing changes":      {wanted(8080, numbers(0, 250)), 0, 0, 0, []int{100, 100, 50}},
		"one becomes unready":  {wanted(8080, numbers(0, 250), 120), 0, 1, 0, []int{100, 100, 50}},
		"one leaves":           {wanted(8080, odd), 0, 1, 0, []int{99, 100, 50}},
		"one is replaced":      {wanted(8080, append([]int{999}, odd...)), 0, 1, 0, []int{100, 100, 50}},
		"some come":            {wanted(8080, numbers(0, 260)), 0, 1, 0, []int{100, 100, 60}},
		"more than fit come":   {wanted(8080, numbers(0, 330)), 1, 0, 0, []int{100, 100, 50, 80}},
		"a slice is emptied":   {wanted(8080, numbers(0, 200)), 0, 0, 1, []int{100, 100}},
		"all leave":            {nil, 0, 1, 2, []int{0}},
		"the port changes":     {wanted(9090, numbers(0, 250)), 0, 3, 0, []int{100, 100, 50}},
		"the port and half go": {wanted(9090, numbers(0, 100)), 0, 1, 2, []int{100}},
	} {
		t.Run(name, func(t *testing.T) {
			slices, names := map[string]*slice{}, 0
			apply(t, slices, plan(blank, nil, wanted(8080, numbers(0, 250))), &names)
			r := plan(blank, list(slices), c.want)
			if len(r.create) != c.create || len(r.update) != c.update || len(r.remove) != c.remove {
				t.Errorf("%d creates, %d updates, %d removes; want %d, %d, %d",
					len(r.create), len(r.update), len(r.remove), c.create, c.update, c.remove)
			}
			apply(t, slices, r, &names)
			if d := cmp.Diff(c.sizes, sizes(slices)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPlanHoldsEveryEndpointOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	blank := blankSlice(testService, "r1")
	slices, names := map[string]*slice{}, 0
	present := map[int]bool{}
	for range 300 {
		for range rng.IntN(60) {
			i := rng.IntN(600)
			present[i] = !present[i]
		}
		var in []int
		for i, ok := range present {
			if ok {
				in = append(in, i)
			}
		}
		want := map[string]group{}
		if len(in) > 0 {
			want = wanted(8080, in)
		}
		before := map[string]string{}
		for name, s := range slices {
			before[name] = fmt.Sprint(s.Endpoints)
		}
		r := plan(blank, list(slices), want)
		for name, s := range slices {
			if before[name] != fmt.Sprint(s.Endpoints) {
				t.Fatalf("planning changed slice %s in place", name)
			}
		}
		apply(t, slices, r, &names)
		seen := map[endpointID]int{}
		for _, s := range slices {
			if len(s.Endpoints) > maxEndpoints {
				t.Fatalf("a slice of %d", len(s.Endpoints))
			}
			for i := range s.Endpoints {
				seen[idOf(&s.Endpoints[i])]++
			}
		}
		if len(seen) != len(in) {
			t.Fatalf("%d endpoints, want %d", len(seen), len(in))
		}
		for id, n := range seen {
			if n != 1 {
				t.Fatalf("%v is there %d times", id, n)
			}
		}
		if full := len(in)/maxEndpoints + 1; len(slices) > 2*full+2 {
			t.Fatalf("%d endpoints are spread over %d slices", len(in), len(slices))
		}
	}
}

func TestNamedPortsSplitAService(t *testing.T) {
	s := &service{namespace: "ns", name: "svc", members: map[*pod]struct{}{}, serviceSpec: serviceSpec{ports: []corev1.ServicePort{
		{Name: "http", Port: 80, TargetPort: intstr.FromString("web")},
		{Name: "admin", Port: 81},
	}}}
	for i, port := range []int32{8080, 8080, 9090, 0} {
		p := &pod{namespace: "ns", name: fmt.Sprint("p", i), uid: types.UID(fmt.Sprint(i)), endpoint: endpoint{ip: fmt.Sprint("10.0.0.", i), ready: true}}
		if port > 0 {
			p.ports = []corev1.ContainerPort{{Name: "web", ContainerPort: port, Protocol: corev1.ProtocolTCP}}
		}
		s.members[p] = struct{}{}
	}
	st := newState()
	got := map[string]int{}
	for key, g := range st.groupsOf(s) {
		got[key] = len(g.endpoints)
	}
	want := map[string]int{"http/TCP/8080/;admin/TCP/81/;": 2, "http/TCP/9090/;admin/TCP/81/;": 1, "admin/TCP/81/;": 1}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEndpointConditions(t *testing.T) {
	st := newState()
	zone := "z1"
	st.node("n").zone = &zone
	for name, c := range map[string]struct {
		pod                         endpoint
		publish                     bool
		ready, serving, terminating bool
	}{
		"ready":                     {pod: endpoint{ready: true}, ready: true, serving: true},
		"not ready":                 {pod: endpoint{}},
		"not ready, published":      {pod: endpoint{}, publish: true, ready: true},
		"terminating":               {pod: endpoint{ready: true, terminating: true}, serving: true, terminating: true},
		"terminating and not ready": {pod: endpoint{terminating: true}, terminating: true},
	} {
		p := &pod{namespace: "ns", name: "p", uid: "u", endpoint: c.pod}
		p.node, p.ip, p.hostname, p.subdomain = "n", "10.0.0.1", "host", "svc"
		node, host := "n", "host"
		want := discoveryv1.Endpoint{
			Addresses:  []string{"10.0.0.1"},
			Conditions: discoveryv1.EndpointConditions{Ready: &c.ready, Serving: &c.serving, Terminating: &c.terminating},
			Hostname:   &host, NodeName: &node, Zone: &zone,
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "ns", Name: "p", UID: "u"},
		}
		got := st.endpointOf(&service{name: "svc", serviceSpec: serviceSpec{serviceTraits: serviceTraits{publishNotReady: c.publish}}}, p)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
