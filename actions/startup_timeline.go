package actions

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
)

// A pod's milestones, in the order in which it passes them.
const (
	podBound   = iota // it has a node
	podInit           // its first init container has started; where there is none, with podStarted
	podStarted        // the application's container has started
	podServes         // the kubelet calls that container ready
	podReady          // the pod is Ready
	podMilestones
)

// podTimeline is when plscript heard of a pod's milestones. It is safe for concurrent use.
type podTimeline struct {
	created time.Time // when the write of the pod was due
	ended   chan struct{}

	mu        sync.Mutex
	last      time.Time // of the last event
	at        [podMilestones]time.Time
	stamped   [podMilestones]bool // told from a later one by the kubelet's stamps
	hasInit   bool
	err       error
	isEnded   bool
	condition string // what it waits for, as last seen
}

func newTimeline(created time.Time) *podTimeline {
	return &podTimeline{created: created, last: created, ended: make(chan struct{})}
}

// observe notes what an event at now tells of the pod.
func (t *podTimeline) observe(pod *corev1.Pod, gone bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isEnded {
		return
	}
	t.hasInit = len(pod.Spec.InitContainers) > 0
	t.condition = waitsFor(pod)
	passed, stamps := milestones(pod)
	var news []int
	for m := range podMilestones {
		if passed[m] && t.at[m].IsZero() {
			news = append(news, m)
		}
	}
	t.note(news, stamps, now)
	t.last = now
	switch {
	case !t.at[podReady].IsZero():
		t.end(nil)
	case gone:
		t.end(errPodGone)
	case pod.Status.Phase == corev1.PodFailed, pod.Status.Phase == corev1.PodSucceeded:
		t.end(fmt.Errorf("ended as %s before it was ready%s", pod.Status.Phase, t.condition))
	}
}

// note gives the milestones that one event tells of their times. The last of them is the event's own; how long before it
// the others were is what the kubelet's stamps say, which are of whole seconds, within what was seen: not before the event
// before.
func (t *podTimeline) note(news []int, stamps [podMilestones]time.Time, now time.Time) {
	if len(news) == 0 {
		return
	}
	last := news[len(news)-1]
	for i := len(news) - 2; i >= 0; i-- { // without a stamp, it was with the one after it
		if stamps[news[i]].IsZero() {
			stamps[news[i]] = stamps[news[i+1]]
		}
	}
	floor := t.last
	for _, m := range news {
		at := now
		if m != last && !stamps[last].IsZero() {
			at = now.Add(-max(0, stamps[last].Sub(stamps[m])))
			t.stamped[m] = true
		}
		if at.Before(floor) {
			at = floor
		}
		floor, t.at[m] = at, at
	}
}

func (t *podTimeline) end(err error) {
	if !t.isEnded {
		t.isEnded, t.err = true, err
		close(t.ended)
	}
}

// fail ends the timeline of a pod that takes too long.
func (t *podTimeline) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(err)
}

// stuck says what the pod waits for, ": container app is waiting: ImagePullBackOff".
func (t *podTimeline) stuck() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.condition
}

// milestones are those that the pod has passed, with the stamps of those who saw them.
func milestones(pod *corev1.Pod) (passed [podMilestones]bool, stamps [podMilestones]time.Time) {
	passed[podBound] = pod.Spec.NodeName != ""
	app := appContainer(pod)
	for _, c := range pod.Status.InitContainerStatuses {
		if at, ok := startedAt(c); ok && (!passed[podInit] || at.Before(stamps[podInit])) {
			passed[podInit], stamps[podInit] = true, at
		}
	}
	if i := slices.IndexFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.Name == app }); i >= 0 {
		c := pod.Status.ContainerStatuses[i]
		stamps[podStarted], passed[podStarted] = startedAt(c)
		passed[podServes] = passed[podStarted] && c.Ready
	}
	for _, c := range pod.Status.Conditions {
		switch {
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue:
			stamps[podBound] = c.LastTransitionTime.Time
		case c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue:
			passed[podReady] = true
			stamps[podServes], stamps[podReady] = c.LastTransitionTime.Time, c.LastTransitionTime.Time
		}
	}
	// Each says that those before it are passed, whatever the status leaves out.
	for m := podReady; m > podBound; m-- {
		passed[m-1] = passed[m-1] || passed[m]
	}
	return passed, stamps
}

// startedAt is when a container first started, by the kubelet's clock.
func startedAt(c corev1.ContainerStatus) (time.Time, bool) {
	switch {
	case c.LastTerminationState.Terminated != nil:
		return c.LastTerminationState.Terminated.StartedAt.Time, true
	case c.State.Running != nil:
		return c.State.Running.StartedAt.Time, true
	case c.State.Terminated != nil:
		return c.State.Terminated.StartedAt.Time, true
	}
	return time.Time{}, false
}

// appContainer is the container that the pod is for: the one that kubectl takes, which Istio's injector names in a pod
// that it adds its proxy to; else the first that is not the proxy.
func appContainer(pod *corev1.Pod) string {
	named := pod.Annotations["kubectl.kubernetes.io/default-container"]
	first := ""
	for _, c := range pod.Spec.Containers {
		if c.Name == named {
			return named
		}
		if first == "" && c.Name != "istio-proxy" {
			first = c.Name
		}
	}
	if first == "" && len(pod.Spec.Containers) > 0 {
		first = pod.Spec.Containers[0].Name
	}
	return first
}

// waitsFor says why a pod is not ready, as far as it says; with a colon before it.
func waitsFor(pod *corev1.Pod) string {
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" {
			return strings.TrimSuffix(fmt.Sprintf(": container %s waits: %s: %s", c.Name, w.Reason, w.Message), ": ")
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Status == corev1.ConditionFalse && c.Message != "" {
			return fmt.Sprintf(": %s: %s", c.Reason, c.Message)
		}
	}
	if pod.Spec.NodeName == "" {
		return ": no scheduler has given it a node"
	}
	return ""
}

// podTime is one figure of a pod.
type podTime struct {
	time.Duration
	stamped bool // the kubelet's stamps are in it
}

// podTimes is how long a pod took.
type podTimes struct {
	scheduled, init, ready, fullReady, complete podTime
	estimated                                   bool // one of them is stamped
}

var errNotEnded = errors.New("not ready yet")

// times are the pod's figures, on one clock; the error is why there are none.
func (t *podTimeline) times() (podTimes, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.err != nil:
		return podTimes{}, t.err
	case !t.isEnded:
		return podTimes{}, errNotEnded
	}
	first := podBound
	if t.hasInit {
		first = podInit
	}
	between := func(from, to int) podTime { return podTime{t.at[to].Sub(t.at[from]), t.stamped[from] || t.stamped[to]} }
	p := podTimes{
		scheduled: podTime{t.at[first].Sub(t.created), t.stamped[first]}, init: between(first, podStarted),
		ready: between(podStarted, podServes), fullReady: between(podStarted, podReady), complete: podTime{t.at[podReady].Sub(t.created), false},
	}
	p.estimated = p.scheduled.stamped || p.init.stamped || p.ready.stamped || p.fullReady.stamped
	return p, nil
}

// stages are the figures, by what they are recorded as.
func (p podTimes) stages() iter.Seq2[runtime.Stage, time.Duration] {
	return func(yield func(runtime.Stage, time.Duration) bool) {
		_ = yield(runtime.StageStartupScheduled, p.scheduled.Duration) && yield(runtime.StageStartupInit, p.init.Duration) &&
			yield(runtime.StageStartupReady, p.ready.Duration) && yield(runtime.StageStartupFullReady, p.fullReady.Duration) &&
			yield(runtime.StageStartup, p.complete.Duration)
	}
}

func (p podTime) String() string {
	s := p.Round(time.Millisecond).String()
	if p.stamped {
		return "~" + s
	}
	return s
}

func (p podTimes) String() string {
	return fmt.Sprintf("scheduled %s  init %s  ready %s  full ready %s  complete %s", p.scheduled, p.init, p.ready, p.fullReady, p.complete)
}
