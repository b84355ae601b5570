package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPodsStartedTogether have their times, addresses and containers each, whatever of their statuses they share.
func TestPodsStartedTogether(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	starts := []struct {
		name, ip string
		at       time.Time
	}{
		{"a", "10.1.0.5", noon}, {"b", "10.1.0.6", noon.Add(300 * time.Millisecond)}, {"c", "10.1.0.7", noon.Add(time.Second)}, {"d", "10.1.0.8", noon},
	}
	pods := make([]*corev1.Pod, len(starts))
	for i, s := range starts {
		pods[i] = testPod(s.name, s.ip)
		StartPod(pods[i], testNode("n1"), s.at)
		pods[i].Status.Conditions = append(pods[i].Status.Conditions, corev1.PodCondition{Type: corev1.PodConditionType(s.name)})
	}
	for i, s := range starts {
		st, at := pods[i].Status, metav1.NewTime(s.at.Truncate(time.Second))
		if st.PodIP != s.ip || !st.StartTime.Equal(&at) || len(st.ContainerStatuses) != len(pods[i].Spec.Containers) {
			t.Errorf("%s: %+v", s.name, st)
		}
		for _, ct := range st.ContainerStatuses {
			if !ct.Ready || !*ct.Started || !ct.State.Running.StartedAt.Equal(&at) {
				t.Errorf("%s: %+v", s.name, ct)
			}
		}
		var types []string
		for _, cond := range st.Conditions[:len(runningConditions)] {
			if types = append(types, string(cond.Type)); cond.Status != corev1.ConditionTrue || !cond.LastTransitionTime.Equal(&at) {
				t.Errorf("%s: %+v", s.name, cond)
			}
		}
		want := []string{"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"}
		if d := cmp.Diff(want, types); d != "" {
			t.Error(d)
		}
		if own := st.Conditions[len(runningConditions):]; len(own) != 1 || string(own[0].Type) != s.name {
			t.Errorf("%s has what another got: %+v", s.name, own)
		}
	}
}
