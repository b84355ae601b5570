package main

import (
	"context"

	"github.com/plscript/plscript/runtime/report"
	"github.com/plscript/plscript/runtime/xdspool/oracle"
)

// newAuditor makes what compares proxies with fresh clients, if the scenario wants it.
func (r *session) newAuditor() *oracle.Auditor {
	if !r.scenario.Oracle {
		return nil
	}
	return &oracle.Auditor{Pool: r.pool, Address: r.target.xds, Clock: wallClock{}, Notify: r.signal}
}

// audit compares one proxy of each class with a fresh client.
func (r *session) audit(ctx context.Context, phase string) {
	if r.auditor == nil {
		return
	}
	found, err := r.auditor.Audit(ctx)
	var differences []report.Difference
	for _, d := range found.Differences {
		differences = append(differences, report.Difference{Proxy: d.Proxy, Type: d.Type, Name: d.Name, Problem: string(d.Problem)})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.oracle = append(r.oracle, report.NewOracleCheck(phase, found.At, found.Checked, differences, err))
}
