package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime/expr"
	"github.com/plscript/plscript/runtime/kinds"
)

// Language compiles the expressions of scenarios. One is made for each compile and shared by all its steps.
type Language struct {
	conditions *expr.Env
	selectors  *expr.Env
	templates  *expr.Env
	roots      map[string]*expr.Object // the measures' top-level groups
	certs      issuer                  // of the certificates in templates
	phases     []string                // names, if all are known
}

var sprintf = fmt.Sprintf

// NewLanguage builds the environments.
func NewLanguage() (*Language, error) {
	l := &Language{roots: map[string]*expr.Object{}}
	var err error
	if l.conditions, err = l.conditionEnv(); err != nil {
		return nil, err
	}
	app, pod, node, ns := meshObjects()
	selector := []expr.Var{
		{Name: "app", Doc: "The app.", Type: app.Type()},
		{Name: "pod", Doc: "The pod.", Type: pod.Type()},
		{Name: "node", Doc: "The node the pod is on.", Type: node.Type()},
		{Name: "ns", Doc: "The namespace.", Type: ns.Type()},
	}
	objects := []*expr.Object{app, pod, node, ns}
	if l.selectors, err = expr.New(selector, objects, nil); err != nil {
		return nil, err
	}
	l.templates, err = expr.New(append(selector,
		expr.Var{Name: "index", Doc: "Place of the object among those of its step, from 0.", Type: cel.IntType},
		expr.Var{Name: "generation", Doc: "How often churnConfig has written the object again, 0 when it is applied.", Type: cel.IntType},
		expr.Var{Name: "params", Doc: "The scenario's parameters.", Type: cel.MapType(cel.StringType, cel.DynType)},
	), append(objects, rngObject, sceneObject, certObject), holeFuncs(&l.certs))
	return l, err
}

// Condition compiles a condition over the measures.
func (l *Language) Condition(text string) (*expr.Program, []expr.Problem) {
	p, problems := l.conditions.Compile(text, cel.BoolType)
	if p == nil {
		return nil, problems
	}
	for _, call := range p.Calls() {
		problems = append(problems, l.wrongCall(call)...)
	}
	if problems != nil {
		return nil, problems
	}
	return p, nil
}

// statusNames are what phase(name) returns.
var statusNames = []string{
	string(StatusPending), string(StatusRunning), string(StatusPassed), string(StatusFailed), string(StatusCancelled),
}

// wrongCall finds what is wrong with arguments that are written out: a phase that there is not, a kind of objects that is
// a near miss of a known one.
func (l *Language) wrongCall(c expr.Call) []expr.Problem {
	switch c.Func {
	case "phase":
		var problems []expr.Problem
		if name := c.Args[0]; name.Known && len(l.phases) > 0 && !slices.Contains(l.phases, name.Text) {
			problems = append(problems, expr.Problem{Offset: name.Offset, Message: fmt.Sprintf("unknown phase %q", name.Text), Suggestion: ir.Nearest(name.Text, l.phases)})
		}
		if is := c.With; is.Known && !slices.Contains(statusNames, is.Text) {
			problems = append(problems, expr.Problem{Offset: is.Offset, Suggestion: ir.Nearest(is.Text, statusNames),
				Message: fmt.Sprintf("a phase is never %q; it is one of %s", is.Text, strings.Join(statusNames, ", "))})
		}
		return problems
	case "list", "get":
		version, kind := c.Args[0], c.Args[1]
		if !version.Known || !kind.Known {
			return nil
		}
		var problems []expr.Problem
		for _, p := range kinds.Check(map[string]any{"apiVersion": version.Text, "kind": kind.Text, "metadata": map[string]any{"name": "a"}}) {
			switch p.Path {
			case "apiVersion":
				problems = append(problems, expr.Problem{Offset: version.Offset, Message: p.Message, Suggestion: p.Suggestion})
			case "kind":
				problems = append(problems, expr.Problem{Offset: kind.Offset, Message: p.Message, Suggestion: p.Suggestion})
			}
		}
		return problems
	}
	return nil
}

// Selector compiles a selector over app, pod, node and ns.
func (l *Language) Selector(text string) (*Selector, []expr.Problem) {
	p, problems := l.selectors.Compile(text, cel.BoolType)
	if problems != nil {
		return nil, problems
	}
	return &Selector{prog: p}, nil
}

// Template compiles the holes of an object template.
func (l *Language) Template(tree any) (*expr.Template, []expr.TemplateProblem) {
	return l.templates.CompileTemplate(tree)
}

// conditionEnv declares a variable for each top-level group of measures, with the groups below as nested types.
func (l *Language) conditionEnv() (*expr.Env, error) {
	groups := map[string]*expr.Object{}
	var objects []*expr.Object
	var vars []expr.Var
	group := func(path string) *expr.Object {
		g := groups[path]
		if g == nil {
			g = &expr.Object{Name: "plscript." + path}
			groups[path] = g
			objects = append(objects, g)
			if !strings.Contains(path, ".") {
				vars = append(vars, expr.Var{Name: path, Type: g.Type()})
				l.roots[path] = g
			}
		}
		return g
	}
	nested := map[string]bool{}
	for _, m := range Measures() {
		dot := strings.LastIndexByte(m.Path, '.')
		addField(group(m.Path[:dot]), m)
		for p := m.Path[:dot]; strings.Contains(p, "."); {
			up := strings.LastIndexByte(p, '.')
			if !nested[p] {
				nested[p] = true
				inner := group(p)
				outer := group(p[:up])
				outer.Fields = append(outer.Fields, expr.ObjectField{Name: p[up+1:], Type: inner.Type(),
					Get: func(v any) (any, error) { return inner.Value(v), nil }})
			}
			p = p[:up]
		}
	}
	vars = append(vars,
		expr.Var{Name: "elapsed", Doc: "Time since the run began.", Type: cel.DurationType})
	vars = append(vars, expr.Var{Name: "kube", Doc: "The api-server's objects, of any kind, as they are now.", Type: kubeObject.Type()})
	return expr.New(vars, append(objects, runObject, kubeObject), append(outsideFuncs(l.roots["istiod"]), expr.Func{
		Name: "phase", Hidden: "__run", Doc: "Status of a phase: pending, running, passed, failed, ...",
		Args: []*cel.Type{runObject.Type(), cel.StringType}, Result: cel.StringType, Call: phaseStatus,
	}))
}

func addField(g *expr.Object, m Measure) {
	t := map[MeasureType]*cel.Type{Int: cel.IntType, Double: cel.DoubleType, Duration: cel.DurationType}[m.Type]
	g.Fields = append(g.Fields, expr.ObjectField{
		Name: m.Path[strings.LastIndexByte(m.Path, '.')+1:], Doc: m.Doc, Type: t,
		Get: func(v any) (any, error) {
			if x, ok := v.(*moment).readings[m.Path]; ok {
				return x, nil
			}
			return nil, expr.ErrNoData
		},
	})
}

// moment is what an evaluation sees: the readings and phases of one instant.
type moment struct {
	readings Readings
	elapsed  time.Duration
	phase    func(name string) (Status, bool)
	ctx      context.Context // of the evaluation, for what it has to ask of others
	objects  Objects         // nil in a run without an api-server
	metrics  Metrics         // nil without an istiod to ask
}

// vars are the variables of a condition at that moment.
func (l *Language) vars(m *moment) map[string]any {
	vars := map[string]any{"elapsed": m.elapsed, "__run": runObject.Value(m), "kube": kubeObject.Value(m)}
	for name, g := range l.roots {
		vars[name] = g.Value(m)
	}
	return vars
}

var runObject = &expr.Object{Name: "plscript.run"}

func phaseStatus(args ...ref.Val) ref.Val {
	m := args[0].(expr.Value).Go().(*moment)
	s, ok := m.phase(string(args[1].(types.String)))
	if !ok {
		return types.NewErr("no phase is called %q", args[1].Value())
	}
	return types.String(s)
}

// Values formats what the condition read at moment m, for messages.
func values(ctx context.Context, cond *expr.Program, m *moment) map[string]string {
	out := map[string]string{}
	for _, path := range cond.Reads() {
		switch v, ok := m.readings[path]; {
		case ok:
			out[path] = FormatValue(v)
		case path == "elapsed":
			out[path] = FormatValue(m.elapsed)
		case isMeasure(path):
			out[path] = "no data"
		}
	}
	return out
}

// FormatValue prints a reading for people.
func FormatValue(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return roundDuration(v).String()
	case float64:
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprint(v)
}

// roundDuration keeps three significant digits or so.
func roundDuration(d time.Duration) time.Duration {
	for unit := time.Duration(1); ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}

func isMeasure(path string) bool {
	for _, m := range Measures() {
		if m.Path == path {
			return true
		}
	}
	return false
}
