package cluster

import (
	"maps"
	"reflect"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPodsShareLabels(t *testing.T) {
	t.Parallel()
	transform := stripper()
	seen := func(labels map[string]string) map[string]string {
		t.Helper()
		want := maps.Clone(labels)
		obj, err := transform(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: labels}})
		if err != nil {
			t.Fatal(err)
		}
		got := obj.(*corev1.Pod).Labels
		if !maps.Equal(got, want) {
			t.Errorf("a pod labelled %v is taken for %v", want, got)
		}
		return got
	}
	same := func(a, b map[string]string) bool { return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() }
	first := seen(map[string]string{"app": "a", "zone": "z"})
	if !same(first, seen(map[string]string{"zone": "z", "app": "a"})) {
		t.Error("two pods with the same labels have a map each")
	}
	for _, other := range []map[string]string{{"app": "a"}, {"app": "z", "zone": "a"}, {"app": "b", "zone": "z"}, {}, nil} {
		if got := seen(other); len(got) > 0 && same(first, got) {
			t.Errorf("%v shares the map of others", other)
		}
	}
}

func TestLabelSetsAreBounded(t *testing.T) {
	t.Parallel()
	s := newLabelSets(4)
	var kept []map[string]string
	for i := range 20 {
		kept = append(kept, s.shared(map[string]string{"app": strconv.Itoa(i)}))
		if len(s.sets) > 4 {
			t.Fatalf("%d sets are remembered", len(s.sets))
		}
	}
	for i, labels := range kept {
		if labels["app"] != strconv.Itoa(i) {
			t.Errorf("what pod %d has kept has become %v", i, labels)
		}
	}
}
