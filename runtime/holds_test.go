package runtime

import (
	"errors"
	"slices"
	"testing"
)

// TestADeleteWaitsForThePlannedCreate: another step may be told to delete a pod before the one that means to create it has
// come so far.
func TestADeleteWaitsForThePlannedCreate(t *testing.T) {
	t.Parallel()
	create := Intent{Verb: VerbCreate, Kind: "Pod", Namespace: "ns", Name: "a"}
	remove := Intent{Verb: VerbDelete, Kind: "Pod", Namespace: "ns", Name: "a"}
	other := Intent{Verb: VerbDelete, Kind: "Pod", Namespace: "ns", Name: "b"}
	end := Intent{Verb: VerbDelete, Kind: "Namespace", Name: "ns"}
	for name, c := range map[string]struct {
		then func(*holds, func(string) func())
		want []string
	}{
		"created": {func(h *holds, did func(string) func()) { h.enter(create, did("create")) }, []string{"other", "create", "delete", "end"}},
		"with its sidecar": {func(h *holds, did func(string) func()) {
			injected := create
			injected.Injection = InjectDirect
			h.enter(injected, did("create"))
			did("injected")()
			h.leave(injected)
		}, []string{"other", "create", "injected", "delete", "end"}},
		"given up": {func(h *holds, did func(string) func()) { h.release([]Intent{create, remove}) }, []string{"other", "delete", "end"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHolds()
			var log []string
			did := func(what string) func() { return func() { log = append(log, what) } }
			if _, err := h.plan(func() ([]Intent, error) { return []Intent{create}, nil }); err != nil {
				t.Fatal(err)
			}
			h.enter(remove, did("delete"))
			h.enter(end, did("end"))
			h.enter(other, did("other"))
			c.then(h, did)
			if slices.Sort(log[len(log)-2:]); !slices.Equal(log, c.want) { // the two that waited go together
				t.Errorf("order %q, want %q", log, c.want)
			}
			if len(h.pods) > 0 {
				t.Errorf("%d pods are held for good", len(h.pods))
			}
		})
	}
}

func TestReleaseLeavesWhatWasSubmitted(t *testing.T) {
	t.Parallel()
	h := newHolds()
	create := Intent{Verb: VerbCreate, Kind: "Pod", Namespace: "ns", Name: "a", Injection: InjectDirect}
	if _, err := h.plan(func() ([]Intent, error) { return []Intent{create}, nil }); err != nil {
		t.Fatal(err)
	}
	h.enter(create, func() {})
	h.release([]Intent{create})
	if len(h.pods) != 1 {
		t.Error("a pod that is with istiod was let go")
	}
	broken := errors.New("no")
	if _, err := h.plan(func() ([]Intent, error) { return []Intent{create}, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
