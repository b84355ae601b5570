package actions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
)

// routeMeter measures how long routes take to be ready.
type routeMeter struct {
	env     *runtime.Env
	limit   time.Duration
	traffic *traffic // nil for none
}

// held is that the gateways have a route, took after its write; or that no gateway's stream is open.
type held struct {
	took     time.Duration
	observed bool
}

var (
	errNoGateway = errors.New("no gateway's XDS stream is open")
	errTooLate   = errors.New("not ready within the limit")
)

// unmeasured is the number of a route whose time is not recorded.
const unmeasured = 0

// measure adds a route, the nth, and waits until it is ready or has taken too long, which is no failure of the step.
func (m *routeMeter) measure(ctx context.Context, r probeRoute, n int) error {
	told := make(chan held, 1)
	began := m.env.Clock.Now()
	if err := m.env.Execute(ctx, one(r.intent(func(took time.Duration, ok bool) { told <- held{took, ok} }))); err != nil {
		return err
	}
	var both sync.WaitGroup
	defer both.Wait()
	if m.env.Changes != nil {
		both.Go(func() {
			took, err := m.awaitXDS(ctx, told)
			m.record(ctx, runtime.StageProbeXDS, n, took, err)
		})
	}
	if m.traffic != nil {
		both.Go(func() {
			err := m.traffic.await(ctx, r, m.limit)
			m.record(ctx, runtime.StageProbeHTTP, n, m.env.Clock.Now().Sub(began), err)
		})
	}
	return nil
}

// record notes how a route did, unless it was the run that ended.
func (m *routeMeter) record(ctx context.Context, stage runtime.Stage, n int, took time.Duration, err error) {
	if ctx.Err() == nil && n != unmeasured {
		m.env.Stages.RecordAt(stage, n, took, err)
	}
}

func (m *routeMeter) awaitXDS(ctx context.Context, told <-chan held) (time.Duration, error) {
	late, stop := m.env.Clock.After(m.limit)
	defer stop()
	select {
	case h := <-told:
		if !h.observed {
			return 0, errNoGateway
		}
		return h.took, nil
	case <-late:
		return 0, errTooLate
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// traffic asks a gateway for routes.
type traffic struct {
	address string
	clock   runtime.Clock
	client  *http.Client
}

// The pauses between requests grow with the time that a route has taken, so that they stay a tenth of it.
const (
	requestTimeout = 500 * time.Millisecond
	firstPoll      = 2 * time.Millisecond
	longestPoll    = 250 * time.Millisecond
	pollShare      = 10
)

// maxProbeAnswer bounds what is read of an answer, in bytes.
const maxProbeAnswer = 64 << 10

func newTraffic(address string, clock runtime.Clock) *traffic {
	return &traffic{address: address, clock: clock, client: &http.Client{
		Timeout:       requestTimeout,
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: requestTimeout}).DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// reach fails if nothing takes connections at the address: else each route would wait for its limit in vain.
func (t *traffic) reach(ctx context.Context) error {
	dialer := net.Dialer{Timeout: 10 * requestTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return fmt.Errorf("the gateway at %s cannot be reached: %w", t.address, err)
	}
	return conn.Close()
}

// await asks for the route until it answers.
func (t *traffic) await(ctx context.Context, r probeRoute, limit time.Duration) error {
	began := t.clock.Now()
	var last error
	for {
		if last = t.ask(ctx, r); last == nil {
			return nil
		}
		waited := t.clock.Now().Sub(began)
		if waited >= limit {
			return fmt.Errorf("%w: %w", errTooLate, last)
		}
		if err := t.clock.Sleep(ctx, min(max(waited/pollShare, firstPoll), longestPoll)); err != nil {
			return err
		}
	}
}

// ask makes one request, and fails unless it is the route that answers.
func (t *traffic) ask(ctx context.Context, r probeRoute) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.address+"/", nil)
	if err != nil {
		return err
	}
	req.Host = r.host
	resp, err := t.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProbeAnswer))
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK || !strings.Contains(string(body), r.answer):
		return fmt.Errorf("the gateway answers %s", resp.Status)
	}
	return nil
}
