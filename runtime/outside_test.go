package runtime_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/expr"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// objects is an api-server with two pods, one of which runs after a while.
type objects struct {
	began time.Time
	asked []runtime.Query
}

func (o *objects) List(_ context.Context, q runtime.Query) ([]map[string]any, error) {
	o.asked = append(o.asked, q)
	if q.Kind != "Pod" {
		return nil, errors.New("no such kind")
	}
	if q.Name == "none" {
		return nil, nil
	}
	phase := "Pending"
	if time.Since(o.began) > time.Minute {
		phase = "Running"
	}
	return []map[string]any{
		{"metadata": map[string]any{"name": "a"}, "status": map[string]any{"phase": "Running"}},
		{"metadata": map[string]any{"name": "b"}, "status": map[string]any{"phase": phase}},
	}, nil
}

func (o *objects) Metric(name string, labels map[string]string) (float64, bool) {
	return float64(len(labels)) + 0.5, name == "pilot_xds_pushes"
}

func TestConditionsReadObjectsAndMetrics(t *testing.T) {
	for _, tc := range []struct {
		text   string
		fails  string // "" for a condition that comes true
		noData bool
	}{
		{text: "kube.list('v1', 'Pod').all(p, p.status.phase == 'Running')"},
		{text: "kube.list('v1', 'Pod', {'namespace': 'x', 'labels': 'a=b', 'fields': 'spec.nodeName=n'}).size() == 2"},
		{text: "kube.get('v1', 'Pod', 'x', 'a').metadata.name == 'a'"},
		{text: "istiod.metric('pilot_xds_pushes', {'type': 'eds'}) == 1.5 && istiod.metric('pilot_xds_pushes') < 1.0"},
		{text: "kube.get('v1', 'Pod', 'x', 'none').status.phase == 'Running'", noData: true},
		{text: "istiod.metric('nothing') > 0.0", noData: true},
		{text: "kube.list('example.com/v1', 'Podd').size() == 0", fails: "no such kind"},
		{text: "kube.list('v1', 'Pod', {'node': 'x'}).size() == 0", fails: `"node" is no way to select`},
		{text: "phase('b') == 'passed'", fails: `no phase is called "b"`},
	} {
		t.Run(tc.text, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &objects{began: time.Now()}
				s := runtimetest.Scenario(act(func(ctx context.Context, env *runtime.Env) error {
					cond, problems := language(t).Condition(tc.text)
					if problems != nil {
						t.Fatal(problems)
					}
					_, _, err := env.Test(ctx, cond)
					if errors.Is(err, expr.ErrNoData) != tc.noData {
						t.Errorf("test: %v", err)
					}
					return env.Await(ctx, cond)
				}))
				s.Phases[0].Steps[0].Timeout = ir.Duration(2 * time.Minute)
				out := run(t, s, func(p *runtime.Parts) { p.Objects, p.Metrics = o, o })
				switch {
				case tc.noData:
					if out.Err == nil || !strings.Contains(out.Err.Error(), "timed out") {
						t.Errorf("no data ended as %v", out.Err)
					}
				case tc.fails == "" && out.Err != nil, tc.fails != "" && (out.Err == nil || !strings.Contains(out.Err.Error(), tc.fails)):
					t.Errorf("%v", out.Err)
				}
			})
		})
	}
}

func language(t *testing.T) *runtime.Language {
	t.Helper()
	l, err := runtime.NewLanguage()
	if err != nil {
		t.Fatal(err)
	}
	return l
}
