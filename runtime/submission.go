package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// submission is an intent under way: to istiod, if it has something to ask there, and then to the writer.
type submission struct {
	env    *Env
	ctx    context.Context // of the step: both hops happen on other goroutines than its own
	in     *Intent
	prio   Priority
	due    time.Time
	called func()       // called once when istiod has been asked, unless nil
	done   func(Result) // called once, at the end
}

// submit hands one intent to istiod and the writer, with the proxy and the measurement that hang on it, and returns.
// Writes of one object keep their order. Nobody may change the intent from then on.
func (e *Env) submit(ctx context.Context, in *Intent, prio Priority, due time.Time, called func(), done func(Result)) {
	s := &submission{env: e, ctx: ctx, in: in, prio: prio, due: due, called: called, done: done}
	if due.IsZero() {
		s.due = e.Clock.Now()
	}
	e.holds.enter(in, s.start)
}

func (s *submission) start() {
	if s.in.CSR && s.env.Certificates == nil {
		s.asked()
		s.end(Result{Fate: FateFailed, Err: errNoAuthority})
		return
	}
	if !s.in.calls() {
		s.carryOut(nil)
		return
	}
	s.env.calls.do(func() {
		obj, err := s.call()
		s.asked()
		if err != nil {
			s.end(Result{Fate: FateFailed, Err: err})
			return
		}
		s.carryOut(obj)
	})
}

// asked tells that istiod needs no more time for the intent.
func (s *submission) asked() {
	if s.called != nil {
		s.called()
	}
}

// errNoAuthority is a certificate to ask for, and nobody to ask.
var errNoAuthority = &NoServiceError{Need: "ask istiod for certificates", Hint: "they are signed at its secure port; try --auth jwt"}

// call asks istiod what the intent has to ask, and returns the object to write; nil for the one that the intent builds.
func (s *submission) call() (Object, error) {
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	if s.in.Certificate != nil {
		return nil, s.certify()
	}
	return s.inject()
}

func (s *submission) inject() (Object, error) {
	if s.env.Injector == nil {
		return nil, &NoServiceError{Need: "ask istiod's injection webhook", Hint: "name a cluster with --kubeconfig or --context"}
	}
	began := s.env.Clock.Now()
	obj, err := s.env.Injector.Inject(s.ctx, s.in.Build())
	s.record(StageInjection, s.waited(began)+s.env.Clock.Now().Sub(began), err)
	if err != nil {
		return nil, fmt.Errorf("injection: %w", err)
	}
	return obj, nil
}

func (s *submission) certify() error {
	if s.env.Certificates == nil {
		return errNoAuthority
	}
	began := s.env.Clock.Now()
	took, err := s.env.Certificates.Request(s.ctx, s.in.Certificate.Proxy, s.in.Certificate.Key)
	s.record(StageCertificate, s.waited(began)+took, err)
	return err
}

// waited is how long an arrival has waited for its call. It counts, or a slow istiod would look quick as the load is
// held back (coordinated omission). Bulk steps send as fast as istiod answers: there nothing was due.
func (s *submission) waited(began time.Time) time.Duration {
	if s.prio != PriorityRate {
		return 0
	}
	return began.Sub(s.due)
}

// record times a stage. One that the run has cancelled says nothing about istiod.
func (s *submission) record(stage Stage, took time.Duration, err error) {
	if err == nil || s.ctx.Err() == nil {
		s.env.Stages.Record(stage, took, err)
	}
}

// carryOut does what the intent does besides asking istiod, with obj in place of the object that it builds unless nil.
func (s *submission) carryOut(obj Object) {
	if s.in.Injection != InjectWebhook {
		s.want(obj)
	}
	for _, p := range s.in.Forget {
		s.env.Proxies.Forget(p.Key)
	}
	for _, p := range s.in.Disconnect {
		s.env.Proxies.Disconnect(p.Key)
	}
	if d := s.in.Demand; d != nil {
		s.env.Demands.Demand(*d, s.due)
	}
	if s.in.Verb == "" {
		s.end(Result{Fate: FateDone})
		return
	}
	if obj == nil {
		obj = s.in.Build()
	}
	s.write(obj)
}

// want adds the proxy that comes with the object; after an injection, the one that the patched pod describes.
func (s *submission) want(written Object) {
	if s.in.Want == nil {
		return
	}
	proxy := s.in.Want()
	if pod, ok := written.(*corev1.Pod); ok && Injected(pod) {
		proxy = proxy.describedBy(pod)
	}
	s.env.Proxies.Want(proxy)
}

func (s *submission) write(obj Object) {
	var tracked TrackedChange
	if s.in.Change != nil && s.env.Changes != nil {
		c := s.in.Change()
		c.Scheduled = s.due
		tracked = s.env.Changes.Track(c)
	}
	op := Op{Verb: s.in.Verb, Object: obj, Priority: s.prio, Scheduled: s.due, Done: func(r Result) {
		if s.in.Injection == InjectWebhook {
			s.admitted(&r)
		}
		if tracked != nil {
			if r.Err == nil {
				tracked.Written()
			} else {
				tracked.Cancel()
			}
		}
		s.ended(r)
	}}
	if err := s.env.Writer.Submit(s.ctx, op); err != nil && s.env.Log != nil {
		// The writer has told Done as well; this is for whoever reads the log.
		s.env.Log.Debug("write refused", "verb", s.in.Verb, "kind", s.in.Kind, "name", s.in.Name, "error", err)
	}
	if s.in.Injection != InjectWebhook {
		s.env.holds.leave(s.in) // the writer keeps the order from here on
	}
}

// errNotInjected is a pod that the api-server took as it was.
var errNotInjected = errors.New("the api-server did not have the pod injected: is istiod's MutatingWebhookConfiguration there, and does it match the namespace?")

// admitted looks at what the api-server has made of a pod that it was to have injected.
func (s *submission) admitted(r *Result) {
	pod, ok := r.Object.(*corev1.Pod)
	if r.Err == nil && (!ok || !Injected(pod)) {
		r.Fate, r.Err = FateFailed, errNotInjected
	}
	s.record(StageAdmission, r.Latency, r.Err)
	if r.Err == nil {
		s.want(pod)
	}
}

// ended tells the end of a write.
func (s *submission) ended(r Result) {
	if s.in.Injection == InjectWebhook {
		s.env.holds.leave(s.in)
	}
	s.env.holds.ended(s.in)
	s.done(r)
}

// end tells the end of an intent that the writer does not get.
func (s *submission) end(r Result) {
	s.env.holds.leave(s.in)
	s.env.holds.ended(s.in)
	s.done(r)
}

func (in *Intent) failed(err error) error {
	return fmt.Errorf("%s %s: %w", in.does(), in.about(), err)
}
