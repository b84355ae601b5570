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
		"created": {func(h *holds, did func(string) func()) {
			h.enter(&create, did("create"))
			h.ended(&create)
		}, []string{"other", "create", "delete", "end"}},
		"with its sidecar": {func(h *holds, did func(string) func()) {
			injected := create
			injected.Injection = InjectDirect
			h.enter(&injected, did("create"))
			did("injected")()
			h.leave(&injected)
			h.ended(&injected)
		}, []string{"other", "create", "injected", "delete", "end"}},
		"given up": {func(h *holds, did func(string) func()) { h.release([]Intent{create, remove}) }, []string{"other", "delete", "end"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHolds()
			var log []string
			did := func(what string) func() { return func() { log = append(log, what) } }
			if _, err := h.plan(&Env{}, func() ([]Intent, error) { return []Intent{create}, nil }); err != nil {
				t.Fatal(err)
			}
			h.enter(&remove, did("delete"))
			h.enter(&end, did("end"))
			h.enter(&other, did("other"))
			c.then(h, did)
			if slices.Sort(log[len(log)-2:]); !slices.Equal(log, c.want) { // the two that waited go together
				t.Errorf("order %q, want %q", log, c.want)
			}
			if len(h.objects) > 0 {
				t.Errorf("%d objects are held for good", len(h.objects))
			}
		})
	}
}

func TestReleaseLeavesWhatWasSubmitted(t *testing.T) {
	t.Parallel()
	h := newHolds()
	create := Intent{Verb: VerbCreate, Kind: "Pod", Namespace: "ns", Name: "a", Injection: InjectDirect}
	if _, err := h.plan(&Env{}, func() ([]Intent, error) { return []Intent{create}, nil }); err != nil {
		t.Fatal(err)
	}
	h.enter(&create, func() {})
	h.release([]Intent{create})
	if len(h.objects) != 1 {
		t.Error("a pod that is with istiod was let go")
	}
	broken := errors.New("no")
	if _, err := h.plan(&Env{}, func() ([]Intent, error) { return []Intent{create}, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// TestANamespaceEndsBehindWhatIsMadeInIt: its delete waits for its own create, and for those of what is in it until they
// have ended; what is made elsewhere does not hold it up.
func TestANamespaceEndsBehindWhatIsMadeInIt(t *testing.T) {
	t.Parallel()
	h, step := newHolds(), &Env{}
	var log []string
	did := func(what string) func() { return func() { log = append(log, what) } }
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(log, want) {
			t.Errorf("%q, want %q", log, want)
		}
	}
	create := func(kind, ns, name string) Intent {
		return Intent{Verb: VerbCreate, Kind: kind, Namespace: ns, Name: name}
	}
	made, svc, elsewhere := create("Namespace", "", "ns"), create("Service", "ns", "a"), create("Service", "other", "a")
	end := Intent{Verb: VerbDelete, Kind: "Namespace", Name: "ns"}
	for _, in := range []Intent{made, svc} {
		if _, err := h.plan(step, func() ([]Intent, error) { return []Intent{in}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	h.enter(&elsewhere, did("elsewhere"))
	h.enter(&end, did("end"))
	expect("elsewhere")
	h.enter(&made, did("namespace"))
	h.ended(&made)
	expect("elsewhere", "namespace")
	h.enter(&svc, did("service"))
	expect("elsewhere", "namespace", "service") // it is under way
	h.ended(&svc)
	expect("elsewhere", "namespace", "service", "end")
	h.ended(&elsewhere)
	if len(h.objects)+len(h.filling) > 0 {
		t.Errorf("held for good: %v, %v", h.objects, h.filling)
	}
}

// TestAStepThatEndsGivesUpWhatItReserved: it may have failed between the choice and the write.
func TestAStepThatEndsGivesUpWhatItReserved(t *testing.T) {
	t.Parallel()
	h, step, other := newHolds(), &Env{}, &Env{}
	create := func(name string) Intent { return Intent{Verb: VerbCreate, Kind: "Pod", Namespace: "ns", Name: name} }
	for _, x := range []struct {
		owner *Env
		name  string
	}{{step, "a"}, {step, "b"}, {other, "c"}} {
		if _, err := h.plan(x.owner, func() ([]Intent, error) { return []Intent{create(x.name)}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	var deleted []string
	for _, name := range []string{"a", "b", "c"} {
		h.enter(&Intent{Verb: VerbDelete, Kind: "Pod", Namespace: "ns", Name: name}, func() { deleted = append(deleted, name) })
	}
	h.releaseAll(step)
	if slices.Sort(deleted); !slices.Equal(deleted, []string{"a", "b"}) || len(h.objects) != 1 {
		t.Errorf("deleted %q; %d objects are still reserved", deleted, len(h.objects))
	}
}
