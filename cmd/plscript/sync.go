package main

import (
	"context"
	"time"

	"github.com/plscript/plscript/runtime/report"
	"github.com/plscript/plscript/runtime/xdspool"
)

// A mesh under churn is never quite still, so the comparison is tried for a while before it is recorded as a mismatch.
const (
	syncFor   = 5 * time.Second
	syncEvery = 200 * time.Millisecond
)

// phaseEnded compares what plscript believes at the end of a phase with what istiod says.
func (r *session) phaseEnded(ctx context.Context, phase string) {
	r.checkSync(ctx, phase)
	r.audit(ctx, phase)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.istiods = nil
	for _, a := range r.pool.Addresses() {
		r.istiods = append(r.istiods, report.Istiod{Address: a.Address, Open: a.Open, Failed: a.Failed})
	}
}

// checkSync compares, at the end of a phase, the pool's streams with istiod's own list of them.
func (r *session) checkSync(ctx context.Context, phase string) {
	if r.target.istiod == nil || r.shared {
		return
	}
	var check report.SyncCheck
	for end := time.Now().Add(syncFor); ; {
		check = r.compareSync(ctx, phase)
		if check.OK || !time.Now().Before(end) || (wallClock{}).Sleep(ctx, syncEvery) != nil {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sync = append(r.sync, check)
}

func (r *session) compareSync(ctx context.Context, phase string) report.SyncCheck {
	open := append(openProxies(r.pool), r.openGateways()...)
	proxies, err := r.target.fleet().Syncz(ctx)
	if err != nil {
		return report.FailedSync(phase, time.Now(), len(open), err)
	}
	listed := make([]report.SyncedProxy, 0, len(proxies))
	for _, p := range proxies {
		sp := report.SyncedProxy{ID: p.ID, Nonces: map[string]report.Nonces{}}
		for url, st := range p.Types {
			sp.Nonces[url] = report.Nonces{Sent: st.Sent, Acked: st.Acked}
		}
		listed = append(listed, sp)
	}
	return report.CompareSync(phase, time.Now(), open, listed)
}

// openProxies are the pool's open streams, as syncz names them.
func openProxies(pool *xdspool.Pool) []string {
	var ids []string
	for _, p := range pool.List() {
		if p.Connected {
			ids = append(ids, p.ProxyID)
		}
	}
	return ids
}
