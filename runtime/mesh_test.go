package runtime

import (
	"context"
	"errors"
	"testing"
)

func TestPlacement(t *testing.T) {
	t.Parallel()
	m := NewMesh(1, true)
	ns, err := m.AddNamespace("ns", 0)
	if err != nil {
		t.Fatal(err)
	}
	app := m.AddApp(App{Namespace: ns, Name: "a"})
	ips, nodes := map[string]bool{}, 0
	for range PodsPerNode + 1 {
		p, added, err := m.AddPod(app)
		if err != nil {
			t.Fatal(err)
		}
		if added != nil {
			nodes++
		}
		if ips[p.IP()] || p.IP() == p.Node().AgentIP() {
			t.Fatalf("%s given out twice", p.IP())
		}
		ips[p.IP()] = true
	}
	if nodes != 2 {
		t.Errorf("%d nodes were added for %d pods", nodes, PodsPerNode+1)
	}
	if _, err := m.AddNamespace("ns", 1); err == nil {
		t.Error("a namespace was planned twice")
	}
}

// TestNothingIsPlannedInWhatIsGone: not in an app or a namespace that was removed, even if there is another of its name.
func TestNothingIsPlannedInWhatIsGone(t *testing.T) {
	t.Parallel()
	m := NewMesh(1, true)
	ns, _ := m.AddNamespace("ns", 0)
	first, second := m.AddApp(App{Namespace: ns, Name: "a"}), m.AddApp(App{Namespace: ns, Name: "b"})
	gone := func(app *App) bool {
		pod, node, err := m.AddPod(app)
		return pod == nil && node == nil && err == nil
	}
	m.RemoveApp(first)
	if !gone(first) || gone(second) || !m.HasNamespace(ns) {
		t.Error("the removal of an app is not that of one app")
	}
	if n := len(m.RemoveNamespace("ns")); n != 1 {
		t.Errorf("%d pods went with the namespace, want 1", n)
	}
	if _, err := m.AddNamespace("ns", 0); err != nil {
		t.Fatal(err)
	}
	if !gone(second) || m.AddApp(App{Namespace: ns, Name: "c"}) != nil || m.HasNamespace(ns) {
		t.Error("what is in a namespace of the same name is taken for what was in the one that went")
	}
}

func TestNoRoomOnOwnNodes(t *testing.T) {
	t.Parallel()
	m := NewMesh(1, false)
	ns, _ := m.AddNamespace("ns", 0)
	app := m.AddApp(App{Namespace: ns, Name: "a"})
	if _, _, err := m.AddPod(app); err == nil {
		t.Error("a pod was placed without a node")
	}
	if _, err := m.AddNode(Node{Name: "n"}); err != nil {
		t.Fatal(err)
	}
	for range PodsPerNode {
		if _, _, err := m.AddPod(app); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := m.AddPod(app); err == nil {
		t.Error("a node took a pod too many")
	}
	if _, err := m.AddNode(Node{Name: "n"}); !errors.Is(err, ErrNodeExists) {
		t.Errorf("a node was planned twice: %v", err)
	}
}

// A replaced pod's address must come back only after every other address of the node.
func TestAddressesRest(t *testing.T) {
	t.Parallel()
	m := NewMesh(1, true)
	ns, _ := m.AddNamespace("ns", 0)
	app := m.AddApp(App{Namespace: ns, Name: "a"})
	if _, _, err := m.AddPod(app); err != nil {
		t.Fatal(err)
	}
	places, err := m.Places(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	names := map[string]bool{}
	for i := range 509 {
		gone, pod, _, err := m.Replace(places[0])
		if err != nil {
			t.Fatal(err)
		}
		if gone.IP() == pod.IP() || gone.Name() == pod.Name() {
			t.Fatalf("%s replaced by itself", pod.Name())
		}
		if last, ok := seen[pod.IP()]; ok && i-last < 500 {
			t.Fatalf("%s came back after %d replacements", pod.IP(), i-last)
		}
		seen[pod.IP()] = i
		names[pod.Name()] = true
	}
	if len(names) != 509 {
		t.Errorf("%d names for 509 pods", len(names))
	}
	if p := m.Population(); p.Pods != 1 || p.Nodes != 1 {
		t.Errorf("replacing changed the population: %+v", p)
	}
}
