package kubeview

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/plscript/plscript/runtime"
)

func pod(name, app string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{"app": app}}}
}

// TestFollow: pods that are there, pods that come and pods that go are told, and no pod that is not selected.
func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(pod("web-0", "web"), pod("db-0", "db"))
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var told []string
		ended := make(chan error)
		go func() {
			ended <- (&Pods{client}).Follow(ctx, "", "app=web", func(p runtime.LivePod) {
				mu.Lock()
				defer mu.Unlock()
				what := "+"
				switch {
				case p.Synced:
					told = append(told, "synced")
					return
				case p.Gone:
					what = "-"
				}
				told = append(told, what+p.Pod.GetName())
			})
		}()
		time.Sleep(time.Second) // client-go looks every 100 ms whether all has been told
		synctest.Wait()
		pods := client.CoreV1().Pods("a")
		if _, err := pods.Create(ctx, pod("web-1", "web"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := pods.Delete(ctx, "web-0", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if want := []string{"+web-0", "synced", "+web-1", "-web-0"}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}

func TestFollowRefusesSelector(t *testing.T) {
	t.Parallel()
	if err := (&Pods{fake.NewClientset()}).Follow(t.Context(), "", "app in", func(runtime.LivePod) {}); err == nil {
		t.Error("a selector that is none is taken")
	}
}
