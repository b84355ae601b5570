package cluster

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// planFlaps has a pod that runs cease to be ready now and then, if that is asked for. It is called when the pod is first
// seen running; the pod keeps its generator for all its flaps.
func (c *Cluster) planFlaps(p *pod) {
	if c.cfg.Kubelet.FlapEvery <= 0 || p.flaps != nil || !p.population {
		return
	}
	p.flaps = c.cfg.Kubelet.generator("flaps", p.key())
	c.flapIn(c.cfg.Kubelet.untilFlap(p.flaps), p, false)
}

// flapIn writes after d whether the pod is ready, and then plans the opposite.
func (c *Cluster) flapIn(d time.Duration, p *pod, ready bool) {
	c.times.add(c.cfg.Clock.Now().Add(d), func(ctx context.Context) { c.flap(ctx, p, ready) })
}

func (c *Cluster) flap(ctx context.Context, p *pod, ready bool) {
	live, err := c.livePod(ctx, p)
	if apierrors.IsNotFound(err) || ctx.Err() != nil || err == nil && (live.UID != p.uid || live.DeletionTimestamp != nil) {
		return // it is over with the pod
	}
	next := c.cfg.Kubelet.FlapDown
	if ready || err != nil {
		next = c.cfg.Kubelet.untilFlap(p.flaps)
	}
	if err != nil {
		c.cfg.Log.Warn("a pod cannot be read", "namespace", p.namespace, "name", p.name, "err", err)
		c.flapIn(next, p, ready)
		return
	}
	setReady(live, ready, "ContainersNotReady", "a readiness probe fails", metav1.NewTime(c.cfg.Clock.Now()))
	c.change(func(e *effects) {
		e.submit(runtime.Op{Verb: runtime.VerbStatus, Object: live, Done: func(res runtime.Result) {
			c.failed(ctx, "the status of a pod", live, res) // the next flap puts it right
			c.flapIn(next, p, !ready)
		}})
	})
}

// livePod is the pod with all that its status holds.
func (c *Cluster) livePod(ctx context.Context, p *pod) (*corev1.Pod, error) {
	if c.phantoms != nil {
		return c.phantoms.get(p.namespace, p.name)
	}
	return c.client.CoreV1().Pods(p.namespace).Get(ctx, p.name, metav1.GetOptions{})
}

// setReady makes the pod's status what a kubelet writes when its containers have become ready, or are not any more: for that
// reason, in words and for people.
func setReady(p *corev1.Pod, ready bool, reason, message string, now metav1.Time) {
	status := corev1.ConditionFalse
	if ready {
		status, reason, message = corev1.ConditionTrue, "", ""
	}
	for i := range p.Status.Conditions {
		cond := &p.Status.Conditions[i]
		if cond.Type != corev1.PodReady && cond.Type != corev1.ContainersReady {
			continue
		}
		if cond.Status != status {
			cond.LastTransitionTime = now
		}
		cond.Status, cond.Reason, cond.Message = status, reason, message
	}
	for i := range p.Status.ContainerStatuses {
		p.Status.ContainerStatuses[i].Ready = ready
	}
}
