package cluster

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// endPod does what the kubelet does about a pod that was deleted: at once, if its containers take no time to stop.
func (c *Cluster) endPod(ctx context.Context, p *pod, e *effects) {
	if p.deleting || p.grace == 0 {
		return // with no time to stop, the api-server removes the pod by itself
	}
	if c.cfg.Kubelet.StopP50 <= 0 || p.stopped || p.phase == pending || p.phase == done {
		c.letGoOf(ctx, p, e)
		return
	}
	c.planStop(p)
}

// planStop has the containers of a terminating pod stop when they are through, or are killed: at the end of the grace
// period, which may have become shorter since it was last seen.
func (c *Cluster) planStop(p *pod) {
	now := c.cfg.Clock.Now()
	at, planned := p.stopAt, !p.stopAt.IsZero()
	if !planned {
		at = now.Add(c.cfg.Kubelet.stopDelay(c.cfg.Kubelet.generator("stop", p.key())))
	}
	if p.grace > 0 {
		if limit := now.Add(time.Duration(p.grace) * time.Second); limit.Before(at) {
			at, p.killed, planned = limit, true, false
		}
	}
	if planned {
		return
	}
	p.stopAt = at
	c.times.add(at, func(ctx context.Context) { c.stopPod(ctx, p, at) })
}

// stopPod ends the containers of a pod: the proxy in it first, whose stream is gone before anybody hears of its pod's end.
func (c *Cluster) stopPod(ctx context.Context, p *pod, at time.Time) {
	c.mu.Lock()
	over := p.deleting || !p.stopAt.Equal(at) || !c.state.has(p)
	c.mu.Unlock()
	if over {
		return
	}
	live, err := c.livePod(ctx, p)
	switch {
	case ctx.Err() != nil, apierrors.IsNotFound(err), err == nil && live.UID != p.uid:
		return
	case err != nil:
		c.cfg.Log.Warn("a pod cannot be read", "namespace", p.namespace, "name", p.name, "err", err)
		c.later(1, func(ctx context.Context) { c.stopPod(ctx, p, at) })
		return
	}
	c.change(func(e *effects) {
		if p.deleting {
			return // its time became shorter meanwhile, and is over
		}
		p.deleting, p.stopped = true, true
		c.tellGone(p, e)
		stopped(live, p.killed, metav1.NewTime(c.cfg.Clock.Now()))
		e.submit(runtime.Op{Verb: runtime.VerbStatus, Object: live, Done: func(res runtime.Result) {
			c.failed(ctx, "the status of a pod", live, res) // it goes all the same
			c.change(func(e *effects) {
				if c.state.has(p) { // nobody else has removed it meanwhile
					c.letGoOf(ctx, p, e)
				}
			})
		}})
	})
}

// letGoOf deletes a pod for good, nothing of which runs any more.
func (c *Cluster) letGoOf(ctx context.Context, p *pod, e *effects) {
	p.deleting = true
	gone := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: p.name, UID: p.uid, Labels: p.labels}}
	e.submit(runtime.Op{Verb: runtime.VerbDelete, Object: gone, Done: func(res runtime.Result) {
		if c.failed(ctx, "the end of a pod", gone, res) {
			c.revisitLater(ctx, p)
		}
	}})
}

// tellGone tells that the pod runs no more, unless that is known.
func (c *Cluster) tellGone(p *pod, e *effects) {
	if !p.told || p.over {
		return
	}
	p.over = true
	if c.cfg.Pods != nil {
		key := p.key()
		e.call(func() { c.cfg.Pods.PodGone(key) })
	}
}

// exitKilled is the exit code of a container that is killed: 128 and SIGKILL.
const exitKilled = 137

// stopped makes the pod's status what a kubelet writes before it lets a deleted pod go: nothing runs, and the phase is
// terminal (Kubernetes, pkg/kubelet, SyncTerminatedPod and getPhase; pkg/kubelet/status, GenerateReadyCondition).
func stopped(p *corev1.Pod, killed bool, now metav1.Time) {
	why, code, reason := "PodCompleted", int32(0), "Completed"
	p.Status.Phase = corev1.PodSucceeded
	if killed {
		why, code, reason = "PodFailed", exitKilled, "Error"
		p.Status.Phase = corev1.PodFailed
	}
	setReady(p, false, why, "", now)
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			ct := &list[i]
			if ct.State.Running == nil {
				continue // an init container that has done its work
			}
			started := false
			ct.Ready, ct.Started = false, &started
			ct.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: code, Reason: reason, StartedAt: ct.State.Running.StartedAt, FinishedAt: now, ContainerID: ct.ContainerID,
			}}
		}
	}
}
