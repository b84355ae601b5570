package xdspool

import (
	"strings"
	"testing"

	"github.com/plscript/plscript/runtime"
)

// TestNumbersAgreeWithTheDeclarations keeps the constants here and the lists in runtime together.
func TestNumbersAgreeWithTheDeclarations(t *testing.T) {
	t.Parallel()
	if len(runtime.XDSTypes) != numTypes || len(runtime.ProxyClasses) != numClasses {
		t.Fatalf("%d types, %d classes", len(runtime.XDSTypes), len(runtime.ProxyClasses))
	}
	for name, typ := range map[string]typ{
		"cds": cds, "eds": eds, "lds": lds, "rds": rds, "sds": sds, "ecds": ecds, "nds": nds, "wds": wds, "wads": wads, "workload": workloads,
	} {
		if runtime.XDSTypes[typ].Short != name || typ.String() != strings.ToUpper(name) {
			t.Errorf("%s is %v", name, runtime.XDSTypes[typ])
		}
		if got, ok := typeOf([]byte(typ.url())); !ok || got != typ {
			t.Errorf("typeOf(%s) = %v", typ.url(), got)
		}
	}
	if _, ok := typeOf([]byte("other")); ok {
		t.Error("an unknown type was found")
	}
	if classIndex("unknown") != classIndex(runtime.ClassClient) || classIndex(runtime.ClassSidecar) != 0 {
		t.Error("classIndex is wrong")
	}
}
