package runtime

import (
	"context"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/plscript/plscript/runtime/expr"
)

// Objects reads API objects for conditions, of any kind.
type Objects interface {
	// List returns the objects of a kind as JSON would hold them. A selector's empty fields select everything.
	List(ctx context.Context, q Query) ([]map[string]any, error)
}

// Query selects API objects.
type Query struct {
	APIVersion, Kind string
	Namespace, Name  string // "" is any
	Labels, Fields   string // selectors as kubectl takes them
}

// Metrics reads istiod's own metrics for conditions.
type Metrics interface {
	// Metric returns the sum of the series of that name whose labels include labels; false if there is none.
	Metric(name string, labels map[string]string) (float64, bool)
}

// kubeObject is the variable `kube`.
var kubeObject = &expr.Object{Name: "plscript.kube"}

// outsideFuncs are the functions of conditions that reach beyond the measures.
func outsideFuncs(istiod *expr.Object) []expr.Func {
	kube, str, labels := kubeObject.Type(), cel.StringType, cel.MapType(cel.StringType, cel.StringType)
	list, object := cel.ListType(cel.DynType), cel.DynType
	const ask, askAll, many = 20_000, 1_000_000, 10_000 // asking the api-server takes its time, and may give many objects
	return []expr.Func{
		{Name: "list", Member: true, Args: []*cel.Type{kube, str, str}, Result: list, Call: kubeList, Cost: askAll, Size: many,
			Doc: `All objects of an API version and kind: kube.list("apps/v1", "Deployment").`},
		{Name: "list", Member: true, Args: []*cel.Type{kube, str, str, labels}, Result: list, Call: kubeList, Cost: askAll, Size: many,
			Doc: `The same, less those left out by "namespace", "name", "labels" or "fields": kube.list("v1", "Pod", {"labels": "app=web"}).`},
		{Name: "get", Member: true, Args: []*cel.Type{kube, str, str, str}, Result: object, Call: kubeGet, Cost: ask,
			Doc: `A cluster-wide object by its name; no data if there is none: kube.get("v1", "Namespace", "mesh-0").`},
		{Name: "get", Member: true, Args: []*cel.Type{kube, str, str, str, str}, Result: object, Call: kubeGet, Cost: ask,
			Doc: `An object by namespace and name; no data if there is none: kube.get("v1", "Service", "mesh-0", "web").`},
		{Name: "metric", Member: true, Args: []*cel.Type{istiod.Type(), str}, Result: cel.DoubleType, Call: istiodMetric,
			Doc: `The sum of a metric of istiod over its series; no data if there is none: istiod.metric("pilot_xds_pushes").`},
		{Name: "metric", Member: true, Args: []*cel.Type{istiod.Type(), str, labels}, Result: cel.DoubleType, Call: istiodMetric,
			Doc: `The same over the series with these labels: istiod.metric("pilot_xds_pushes", {"type": "eds"}).`},
	}
}

func kubeList(args ...ref.Val) ref.Val {
	q := Query{APIVersion: text(args[1]), Kind: text(args[2])}
	if len(args) > 3 {
		for k, v := range stringMap(args[3]) {
			switch k {
			case "namespace":
				q.Namespace = v
			case "name":
				q.Name = v
			case "labels":
				q.Labels = v
			case "fields":
				q.Fields = v
			default:
				return types.NewErr("kube.list: %q is no way to select: use namespace, name, labels or fields", k)
			}
		}
	}
	found, err := query(args[0], q)
	if err != nil {
		return types.WrapErr(err)
	}
	return types.DefaultTypeAdapter.NativeToValue(found)
}

func kubeGet(args ...ref.Val) ref.Val {
	q := Query{APIVersion: text(args[1]), Kind: text(args[2]), Name: text(args[3])}
	if len(args) > 4 {
		q.Namespace, q.Name = text(args[3]), text(args[4])
	}
	found, err := query(args[0], q)
	switch {
	case err != nil:
		return types.WrapErr(err)
	case len(found) == 0:
		return types.WrapErr(expr.ErrNoData)
	}
	return types.DefaultTypeAdapter.NativeToValue(found[0])
}

func query(kube ref.Val, q Query) ([]map[string]any, error) {
	m := kube.(expr.Value).Go().(*moment)
	if m.objects == nil {
		return nil, expr.ErrNoData
	}
	return m.objects.List(m.ctx, q)
}

func istiodMetric(args ...ref.Val) ref.Val {
	m := args[0].(expr.Value).Go().(*moment)
	if m.metrics == nil {
		return types.WrapErr(expr.ErrNoData)
	}
	var labels map[string]string
	if len(args) > 2 {
		labels = stringMap(args[2])
	}
	v, ok := m.metrics.Metric(text(args[1]), labels)
	if !ok {
		return types.WrapErr(expr.ErrNoData)
	}
	return types.Double(v)
}

var stringMapType = reflect.TypeFor[map[string]string]()

func text(v ref.Val) string { return string(v.(types.String)) }

// stringMap reads a map that the checker knows to be one of strings.
func stringMap(v ref.Val) map[string]string {
	native, err := v.ConvertToNative(stringMapType)
	if err != nil {
		return nil
	}
	return native.(map[string]string)
}
