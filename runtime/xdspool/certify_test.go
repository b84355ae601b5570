package xdspool

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plscript/plscript/runtime"
)

// authority signs when it is told to, and fails as often as it is told.
type authority struct {
	sign  chan struct{}
	fails atomic.Int64
	asked chan runtime.Proxy
}

func (a *authority) Request(ctx context.Context, p runtime.Proxy, key runtime.KeyType) (time.Duration, error) {
	select {
	case <-a.sign:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	a.asked <- p
	switch a.fails.Add(-1) {
	case 1:
		return 0, apierrors.NewNotFound(schema.GroupResource{Resource: "serviceaccounts"}, "account")
	case 0:
		return 0, errors.New("no")
	}
	return 5 * time.Millisecond, nil
}

func TestCertificateComesBeforeTheStream(t *testing.T) {
	t.Parallel()
	ca := &authority{sign: make(chan struct{}), asked: make(chan runtime.Proxy, 10)}
	ca.fails.Store(2)
	stages := &runtime.Stages{}
	f := newFixture(t, func(c *Config) { c.Certificates, c.Stages = ca, stages })
	p := sidecar("p")
	p.CSR, p.ServiceAccount = true, "account"
	f.Want(p)
	f.Want(sidecar("q")) // whose agent is not part of the test
	f.server.accept(t).sidecar(t, nil)
	f.until(t, runtime.Readings{"xds.open": int64(1), "xds.desired": int64(2)})
	ca.sign <- struct{}{} // there is no account yet, which is not counted
	ca.sign <- struct{}{} // refused, and asked for again
	ca.sign <- struct{}{}
	f.server.accept(t).sidecar(t, nil)
	f.until(t, runtime.Readings{"xds.synced": int64(2)})
	for range 3 {
		if got := <-ca.asked; got.ServiceAccount != "account" {
			t.Errorf("asked for %+v", got)
		}
	}
	out := stages.Outcomes()
	if len(out) != 1 || out[0].Count != 1 || out[0].Errors != 1 || out[0].P50 < 5*time.Millisecond || out[0].P50 > 6*time.Millisecond {
		t.Errorf("recorded %+v", out)
	}
}

func TestCertificatesAreRenewedAtHalfOfTheirLives(t *testing.T) {
	t.Parallel()
	p := New(Config{Clock: newClock()})
	start := p.cfg.Clock.Now()
	stay, leave := &client{}, &client{}
	p.certifier.renewLater(leave)
	p.certifier.renewLater(stay)
	leave.closed = true
	c, wait := p.certifier.next(start)
	if half := certificateLife / 2; c != nil || wait < half*98/100 || wait > half*102/100 {
		t.Errorf("%v is due after %v", c, wait)
	}
	if c, _ := p.certifier.next(start.Add(certificateLife * 51 / 100)); c != stay {
		t.Errorf("%v is due", c)
	}
	if c, wait := p.certifier.next(start.Add(certificateLife)); c != nil || wait != 0 {
		t.Errorf("%v is due in %v", c, wait)
	}
}
