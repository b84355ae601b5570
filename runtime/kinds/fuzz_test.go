package kinds

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
)

// FuzzCheck: no object makes Check panic, change the object, or let through what clients cannot decode. Since few random
// bytes are JSON, the object that the text holds is also changed at random places, as the seed says.
func FuzzCheck(f *testing.F) {
	for _, obj := range samples(f) {
		text, err := json.Marshal(obj)
		if err != nil {
			f.Fatal(err)
		}
		for seed := range uint64(20) {
			f.Add(text, seed)
		}
	}
	f.Add([]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"a":null}},"spec":{"containers":[null,{"ports":[{"containerPort":1e3}]}]}}`), uint64(0))
	f.Add([]byte(`{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":[],"spec":{"http":[null,{"timeout":"-1h","route":[[]]}]}}`), uint64(0))
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		var obj map[string]any
		if kjson.UnmarshalCaseSensitivePreserveInts(text, &obj) != nil {
			return
		}
		if r := rand.New(rand.NewPCG(seed, 0)); seed > 0 {
			for range 1 + r.IntN(3) {
				mutate(r, obj)
			}
		}
		before, err := json.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		got := Check(obj)
		if after, err := json.Marshal(obj); err != nil || string(after) != string(before) {
			t.Fatalf("the object was changed to %s: %v", after, err)
		}
		if again := Check(obj); !slices.Equal(got, again) {
			t.Fatalf("a second check differs: %+v, %+v", got, again)
		}
		if !slices.IsSortedFunc(got, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) }) {
			t.Fatalf("not sorted: %+v", got)
		}
		for _, p := range got {
			if p.Message == "" || p.Suggestion == p.Path && p.Path != "" || strings.HasPrefix(p.Message, "cannot be decoded") {
				t.Fatalf("a problem that does not help: %+v", p)
			}
		}
		apiVersion, _ := obj["apiVersion"].(string)
		kind, _ := obj["kind"].(string)
		cat, err := known()
		if err != nil {
			t.Fatal(err)
		}
		typ := cat.types[schema.FromAPIVersionAndKind(apiVersion, kind)]
		if got != nil || typ == nil {
			return
		}
		if unknown, err := kjson.UnmarshalStrict(before, reflect.New(typ).Interface()); err != nil || unknown != nil {
			t.Fatalf("passes, but cannot be decoded: %v %v", err, unknown)
		}
	})
}

// oddities are values that fields do not expect.
var oddities = []any{nil, true, "", "text", "1", "-5s", "1Gi", "ALLOW", int64(0), int64(-1), int64(1 << 40), 0.5, 1e300,
	[]any{}, []any{nil}, []any{map[string]any{}}, map[string]any{}, map[string]any{"name": "a"}, map[string]any{"free": nil}}

// mutate puts an oddity, or another part of the object, in a random place below m.
func mutate(r *rand.Rand, m map[string]any) {
	for names := sortedKeys(m); len(names) > 0; names = sortedKeys(m) {
		name := names[r.IntN(len(names))]
		if child, ok := descend(m[name]); ok && r.IntN(4) > 0 {
			m = child
			continue
		}
		switch r.IntN(4) {
		case 0:
			m[name+"x"] = m[name]
		case 1:
			m[name] = []any{m[name]}
		default:
			text, _ := json.Marshal(oddities[r.IntN(len(oddities))]) // so that no two places share a map
			var odd any
			if kjson.UnmarshalCaseSensitivePreserveInts(text, &odd) == nil {
				m[name] = odd
			}
		}
		return
	}
}

// descend returns the struct that v is or whose list it is the first of.
func descend(v any) (map[string]any, bool) {
	for {
		switch w := v.(type) {
		case map[string]any:
			return w, len(w) > 0
		case []any:
			if len(w) == 0 {
				return nil, false
			}
			v = w[0]
		default:
			return nil, false
		}
	}
}

// TestDecodeIsTheLastWord: what the walk would let through is still found, at its path.
func TestDecodeIsTheLastWord(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind, path string
		value      any
		wantPath   string
	}{
		{"Service", "spec.ports[0].nodeport", int64(1), "spec.ports[0].nodeport"},
		{"Service", "spec.clusterIP", int64(1), "spec.clusterIP"},
		{"VirtualService", "spec.hosts", "a", "spec"},
	} {
		obj := clone(t, samples(t)[tc.kind])
		cat, err := known()
		if err != nil {
			t.Fatal(err)
		}
		set(t, obj, tc.path, tc.value)
		c := &checker{}
		c.decode(cat.types[schema.FromAPIVersionAndKind(obj["apiVersion"].(string), obj["kind"].(string))], obj)
		if got := c.problems(); len(got) != 1 || got[0].Path != tc.wantPath {
			t.Errorf("%s: %s: got %+v, want one problem at %q", tc.kind, tc.path, got, tc.wantPath)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for kind, obj := range samples(b) {
		if kind != "VirtualService" && kind != "Pod" && kind != "HTTPRoute" {
			continue
		}
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := Check(obj); got != nil {
					b.Fatal(got)
				}
			}
		})
	}
}
