package report

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// callingPlan asks istiod for 1,500 injections and two certificates.
func callingPlan() *runtime.Plan {
	step := &runtime.StepPlan{Name: "mesh", Kind: "createNamespaces", Calls: map[runtime.Stage]int64{runtime.StageInjection: 1500, runtime.StageCertificate: 2}}
	return &runtime.Plan{Scenario: &ir.Scenario{Name: "x"}, Phases: []*runtime.PhasePlan{{Name: "a", Steps: []*runtime.StepPlan{step}}}}
}

// TestPlannedCalls: what istiod is asked for besides streams is in the plan, and in the rights that it needs.
func TestPlannedCalls(t *testing.T) {
	t.Parallel()
	var text, js, role strings.Builder
	p := callingPlan()
	for _, err := range []error{WritePlanText(&text, p), WritePlanJSON(&js, p), WriteClusterRole(&role, p)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"    calls    2 certificates, 1,500 injection\n", "istiod calls 2 certificates, 1,500 injection\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	var plan struct {
		Phases []struct {
			Steps []struct{ Calls map[string]int }
		}
	}
	if err := json.Unmarshal([]byte(js.String()), &plan); err != nil || plan.Phases[0].Steps[0].Calls["injection"] != 1500 {
		t.Errorf("%v\n%s", err, js.String())
	}
	for _, want := range []string{"mutatingwebhookconfigurations", "serviceaccounts/token"} {
		if !strings.Contains(role.String(), want) {
			t.Errorf("no %s in\n%s", want, role.String())
		}
	}
}
