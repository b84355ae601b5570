package runtime

import (
	"testing"
	"time"

	"github.com/plscript/plscript/lang/ir"
)

func TestArrivalsOfAStepAreBounded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		load    Load
		refused bool
	}{
		{Load{Rate: ir.ConstantRate(500), Duration: ir.Duration(24 * time.Hour)}, false},
		{Load{Rate: ir.ConstantRate(1e6), Duration: ir.Duration(time.Hour)}, true},
		{Load{Rate: ir.ConstantRate(1e6), Duration: ir.Duration(time.Hour), Count: 10}, false},
		{Load{Rate: ir.ConstantRate(1), Count: maxArrivals + 1}, true},
	} {
		if err := checkArrivals(tc.load); (err != nil) != tc.refused {
			t.Errorf("%+v: %v", tc.load, err)
		}
	}
}

func TestCreatedObjectsAreBounded(t *testing.T) {
	t.Parallel()
	p := &Planner{step: &StepPlan{writes: map[WriteKey]int64{
		{VerbCreate, "", "Service"}: MaxCreated, {VerbCreate, "", "ConfigMap"}: MaxCreated + 1,
		{VerbCreate, "", "Pod"}: 3 * MaxCreated, {VerbUpdate, "", "ConfigMap"}: 3 * MaxCreated,
	}}}
	for kind, refused := range map[string]bool{"Service": false, "ConfigMap": true, "Pod": false} {
		if err := p.checkCreated(Intent{Verb: VerbCreate, Kind: kind}); (err != nil) != refused {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := p.checkCreated(Intent{Verb: VerbUpdate, Kind: "ConfigMap"}); err != nil {
		t.Errorf("updates: %v", err)
	}
}
