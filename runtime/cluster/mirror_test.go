package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/plscript/plscript/runtime/runtimetest"
)

func podOf(name, uid string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(uid)}}
}

// TestMirror: every object is told of as it comes and goes, also if that was missed: by its uid, or because a list does
// not have it any more, and then before anything that is new.
func TestMirror(t *testing.T) {
	t.Parallel()
	var told []string
	m := newMirror(
		func(p *corev1.Pod) { told = append(told, fmt.Sprintf("+%s/%s", p.Name, p.UID)) },
		func(id identity) { told = append(told, fmt.Sprintf("-%s/%s", id.name, id.uid)) })
	expect := func(what string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if d := cmp.Diff(want, told); d != "" {
			t.Errorf("%s: %s", what, d)
		}
		told = nil
	}
	synced := func() bool {
		select {
		case <-m.synced:
			return true
		default:
			return false
		}
	}
	if synced() {
		t.Error("synced before the first list")
	}
	expect("the first list", m.Replace([]any{podOf("a", "1"), podOf("b", "1")}, "1"), "+a/1", "+b/1")
	if !synced() {
		t.Error("not synced after the first list")
	}
	expect("an update", m.Update(podOf("a", "1")), "+a/1")
	expect("a delete and a create that were missed", m.Update(podOf("a", "2")), "-a/1", "+a/2")
	expect("a delete", m.Delete(podOf("b", "1")), "-b/1")
	expect("a create", m.Add(podOf("b", "2")), "+b/2")
	expect("another list", m.Replace([]any{podOf("c", "1"), podOf("a", "3"), podOf("b", "2")}, "2"), "-a/2", "+c/1", "+a/3", "+b/2")
	expect("a list with less", m.Replace([]any{podOf("c", "1"), podOf("b", "2")}, "3"), "-a/3", "+c/1", "+b/2")
	for what, err := range map[string]error{
		"add": m.Add(&corev1.Service{}), "delete": m.Delete(&corev1.Service{}), "list": m.Replace([]any{&corev1.Service{}}, "4"),
	} {
		if err == nil {
			t.Errorf("%s: a Service is taken for a Pod", what)
		}
	}
	expect("what is no list of pods", m.Replace([]any{podOf("c", "1")}, "5"), "-b/2", "+c/1")
}

// flakyPods is an api-server that fails to list a number of times, and whose watches end when it is told.
type flakyPods struct {
	mu      sync.Mutex
	fail    int
	lists   int
	pods    []corev1.Pod
	watches []*apiwatch.FakeWatcher
}

func (f *flakyPods) List(context.Context, metav1.ListOptions) (*corev1.PodList, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	if f.fail > 0 {
		f.fail--
		return nil, errors.New("not now")
	}
	return &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: f.pods}, nil
}

func (f *flakyPods) Watch(context.Context, metav1.ListOptions) (apiwatch.Interface, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := apiwatch.NewFake()
	f.watches = append(f.watches, w)
	return w, nil
}

// TestWatchesAreTakenUpAgain: a list that fails is tried again, ever later; a version that is too old makes another list. Of
// what was seen only the object of an event is done with.
func TestWatchesAreTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		api := &flakyPods{fail: 3, pods: []corev1.Pod{*podOf("a", "1"), *podOf("b", "1")}}
		c := &Cluster{client: fake.NewClientset(), cfg: Config{Clock: runtimetest.Clock{}, Log: slog.New(slog.DiscardHandler)}}
		var wg sync.WaitGroup
		var told, done []string
		began := time.Now()
		synced := watchKind(ctx, c, &wg, api,
			func(_ context.Context, p *corev1.Pod) { told = append(told, "+"+p.Name) },
			func(_ context.Context, id identity) { told = append(told, "-"+id.name) },
			func(p *corev1.Pod) { done = append(done, p.Name) })
		<-synced
		if d := time.Since(began); d != 7*time.Second {
			t.Errorf("synced after %v of waiting, want 1 + 2 + 4 s", d)
		}
		synctest.Wait()
		api.watches[0].Add(podOf("c", "1"))
		synctest.Wait()
		api.pods = api.pods[1:]
		api.watches[0].Error(&metav1.Status{Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReasonExpired})
		time.Sleep(retryDelay)
		synctest.Wait()
		if d := cmp.Diff([]string{"+a", "+b", "+c"}, told[:3]); d != "" {
			t.Error(d)
		}
		if gone := map[string]bool{told[3]: true, told[4]: true}; !gone["-a"] || !gone["-c"] || told[5] != "+b" || len(told) != 6 {
			t.Errorf("after another list: %q", told[3:])
		}
		cancel()
		wg.Wait()
		if d := cmp.Diff([]string{"c"}, done); d != "" {
			t.Errorf("done with: %s", d)
		}
		if api.lists != 5 {
			t.Errorf("%d lists, want 5", api.lists)
		}
	})
}
