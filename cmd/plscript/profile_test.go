package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/sandbox"
)

// TestCheckProfile: ztunnels are refused where istiod serves none; another profile than the scenario's is told.
func TestCheckProfile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		box     sandbox.Info
		asked   ir.Profile
		ztunnel bool
		private bool
		refused string // part of the error; "" for none
		said    string // part of the line; "" for none
	}{
		"as asked":                 {box: sandbox.Info{Profile: "default"}, asked: "default"},
		"left open":                {box: sandbox.Info{Profile: "default"}},
		"another":                  {box: sandbox.Info{Profile: "ambient", Ambient: true}, asked: "default", said: "asks for the default profile, and sandbox dev is installed with the ambient one"},
		"ztunnels":                 {box: sandbox.Info{Profile: "ambient", Ambient: true}, ztunnel: true},
		"ztunnels without ambient": {box: sandbox.Info{Profile: "default"}, ztunnel: true, refused: "sandbox dev is installed with the default profile"},
		"ztunnels by environment":  {box: sandbox.Info{Profile: "default", Ambient: true}, ztunnel: true},
		"not noted":                {asked: "default", ztunnel: true},
		"private":                  {box: sandbox.Info{Profile: "default"}, asked: "ambient", private: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams := map[runtime.ProxyClass]int64{}
			if c.ztunnel {
				streams[runtime.ClassZtunnel] = 2
			}
			var said bytes.Buffer
			r := &session{
				system: &system{stderr: &said},
				loaded: &loaded{
					scenario: &ir.Scenario{Sandbox: ir.Sandbox{Profile: c.asked}},
					plan:     &runtime.Plan{Phases: []*runtime.PhasePlan{{Steps: []*runtime.StepPlan{{}, {Streams: streams}}}}},
				},
				target: &target{about: "sandbox dev", box: &sandbox.Sandbox{Info: c.box}, private: c.private},
			}
			expect(t, r.checkProfile(), c.refused)
			if text := said.String(); !strings.Contains(text, c.said) || c.said == "" && text != "" {
				t.Errorf("said %q, want %q", text, c.said)
			}
		})
	}
	if err := (&session{target: &target{}}).checkProfile(); err != nil {
		t.Errorf("without a sandbox: %v", err)
	}
}

// TestTellUnused: what a scenario asks of istiod is not left out without a word.
func TestTellUnused(t *testing.T) {
	t.Parallel()
	all := ir.Istiod{Env: map[string]string{"GOGC": "400"}, Binary: "/opt/pilot-discovery", Replicas: 2}
	for name, c := range map[string]struct {
		istiod  ir.Istiod
		private bool
		said    string
	}{
		"nothing asked": {istiod: ir.Istiod{Replicas: 1}},
		"all":           {istiod: all, said: "settings (env, binary, replicas) are for a private sandbox: sandbox dev stays"},
		"one":           {istiod: ir.Istiod{Binary: "x", Replicas: 1}, said: "settings (binary) are"},
		"private":       {istiod: all, private: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said bytes.Buffer
			(&session{
				system: &system{stderr: &said},
				loaded: &loaded{scenario: &ir.Scenario{Sandbox: ir.Sandbox{Istiod: c.istiod}}},
				target: &target{about: "sandbox dev", private: c.private},
			}).tellUnused()
			if text := said.String(); !strings.Contains(text, c.said) || c.said == "" && text != "" {
				t.Errorf("said %q, want %q", text, c.said)
			}
		})
	}
}
