package oracle

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool"
)

// Audit is one comparison of proxies with fresh clients.
type Audit struct {
	At          time.Time
	Checked     []string     // the proxies that were compared, by class: "namespace/name"
	Differences []Difference // that lasted
}

// Auditor checks a pool again and again, and counts what it finds. It is a [runtime.Meter].
type Auditor struct {
	Pool    Pool
	Address string // of an istiod, host:port
	Clock   runtime.Clock
	Notify  runtime.Notifier // told of each audit; may be nil

	mu                   sync.Mutex
	audits               int
	checked, differences int
}

// Proxies get as long to be synced before an audit. Those that are not by then are left out: what they still wait for is
// no finding.
const (
	settleTries    = 50
	settleInterval = 100 * time.Millisecond
)

// Audit waits until the proxies that are wanted are synced, or for 5 s, and compares one of each class with a fresh client.
func (a *Auditor) Audit(ctx context.Context) (Audit, error) {
	out := Audit{At: a.Clock.Now()}
	for range settleTries {
		if !slices.ContainsFunc(a.Pool.List(), func(p xdspool.ProxyStatus) bool { return p.Wanted && !p.Synced }) {
			break
		}
		if err := a.Clock.Sleep(ctx, settleInterval); err != nil {
			return out, err
		}
	}
	var err error
	out.Checked, out.Differences, err = check(ctx, a.Pool, a.Address, a.Clock)
	if err != nil {
		return out, err
	}
	a.mu.Lock()
	a.audits++
	a.checked += len(out.Checked)
	a.differences += len(out.Differences)
	a.mu.Unlock()
	if a.Notify != nil {
		a.Notify.Notify()
	}
	return out, nil
}

// Read implements [runtime.Meter]. Before the first audit there is no data.
func (a *Auditor) Read(out runtime.Readings) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.audits > 0 {
		out["oracle.checked"] = int64(a.checked)
		out["oracle.differences"] = int64(a.differences)
	}
}

// String is the difference in words: "ns/pod: EDS outbound|80||a is stale".
func (d Difference) String() string {
	is := "was " + string(d.Problem)
	if d.Problem == Stale {
		is = "is stale"
	}
	return fmt.Sprintf("%s: %s %s %s", d.Proxy, d.Type, d.Name, is)
}
