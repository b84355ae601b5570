package actions

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

// TestServicesComeBeforePods: all that stands around the pods of a namespace is written before them, up to a pause that a
// copy of an app asks for.
func TestServicesComeBeforePods(t *testing.T) {
	t.Parallel()
	app := func(name string, replicas int, grace time.Duration) appSpec {
		return appSpec{Name: name, Type: runtime.AppPlain, Replicas: replicas, Pods: 2, ServiceAccount: name, GracePeriod: ir.Duration(grace)}
	}
	external := appSpec{Name: "api", Type: runtime.AppExternal, Replicas: 1, Pods: 1, ServiceAccount: "default"}
	for name, tt := range map[string]struct {
		apps []appSpec
		want []string
	}{
		"at once": {[]appSpec{app("a", 2, 0), app("b", 1, 0)}, []string{
			"ServiceAccount a", "Service a-0", "Service a-1", "ServiceAccount b", "Service b",
			"Pod of a-0", "Pod of a-0", "Pod of a-1", "Pod of a-1", "Pod of b", "Pod of b",
		}},
		"with pauses": {[]appSpec{app("a", 2, time.Second), app("b", 1, 0)}, []string{
			"ServiceAccount a", "Service a-0", "Pod of a-0", "Pod of a-0", "pause of 1s",
			"Service a-1", "ServiceAccount b", "Pod of a-1", "Pod of a-1", "pause of 1s",
			"Service b", "Pod of b", "Pod of b",
		}},
		"beside an app outside": {[]appSpec{app("a", 1, 0), external}, []string{
			"ServiceAccount a", "Service a", "ServiceEntry api", "Pod of a", "Pod of a",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := runtime.NewMesh(1, false)
			if _, err := m.AddNode(runtime.Node{Name: "node"}); err != nil {
				t.Fatal(err)
			}
			ns, err := m.AddNamespace("mesh", 0)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			f := &filler{createNamespaces: &createNamespaces{Apps: tt.apps}, mesh: m, choose: alone, yield: func(in runtime.Intent, err error) bool {
				switch {
				case err != nil:
					t.Error(err)
				case in.Pause > 0:
					got = append(got, "pause of "+in.Pause.String())
				case in.Kind == "Pod":
					got = append(got, "Pod of "+in.Build().GetLabels()["app"])
				default:
					got = append(got, in.Kind+" "+in.Name)
				}
				return err == nil
			}}
			f.contents(t.Context(), ns)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
