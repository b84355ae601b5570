// Package expr is plscript's one CEL environment: the typed variables that expressions see, their compilation with
// mistakes placed inside the user's string, and their evaluation, in which a value that is not there is never mistaken
// for zero.
package expr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
)

// ErrNoData is the error of an expression that read a value which does not exist (yet).
var ErrNoData = errors.New("no data")

// errTooLong is that of an expression which found far more to look at than was to be expected.
var errTooLong = errors.New("takes too much time: there is too much to look at")

// Var declares a variable of the environment.
type Var struct {
	Name string
	Doc  string
	Type *cel.Type
}

// Func declares a function of the environment. Its Doc is one line.
type Func struct {
	Name   string
	Doc    string
	Member bool // called as arg0.name(args...)
	// Hidden names a variable that stands in for the first argument: the function is written name(rest...), and reaches
	// what only the evaluation knows (a generator, the run) through that variable, as bindings do not see variables.
	Hidden string
	// Variadic says of a hidden function that more than one written argument are put into a list.
	Variadic bool
	// Cost is what a call takes at most, in steps of about 20 ns, and Size how many elements or characters its result has:
	// what is not known before the run is guessed high. 0 is a call as cheap as any.
	Cost, Size uint64

	Args   []*cel.Type
	Result *cel.Type
	Call   func(args ...ref.Val) ref.Val
}

// Env compiles expressions over one set of variables.
type Env struct {
	cel   *cel.Env
	costs costs
	// patience is how long an evaluation may take, of an expression that may take long.
	patience time.Duration
	types    map[string]*Object
	vars     []Var
	funcs    []Func
}

// maxExpression is the longest expression, in characters, that is looked at.
const maxExpression = 10_000

// New returns an environment with vars and funcs; objects are the struct types that they refer to.
func New(vars []Var, objects []*Object, funcs []Func) (*Env, error) {
	reg, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("expression types: %w", err)
	}
	p := &provider{Registry: reg, types: map[string]*Object{}}
	for _, o := range objects {
		p.types[o.Name] = o
	}
	opts := []cel.EnvOption{
		cel.CustomTypeAdapter(p), cel.CustomTypeProvider(p),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxExpression), cel.ParserRecursionLimit(100),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateRegexLiterals(), cel.ValidateComprehensionNestingLimit(3)),
		ext.Strings(), ext.Lists(ext.ListsMaxRangeSize(maxRange)), ext.Math(), ext.Sets(),
		cel.CostEstimatorOptions(checker.OverloadCostEstimate("lists_range", estimateRange)),
	}
	estimates := costs{}
	for _, v := range vars {
		opts = append(opts, cel.Variable(v.Name, v.Type))
	}
	for _, f := range funcs {
		opts = append(opts, f.options()...)
		estimates[f.overload()] = f
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return nil, fmt.Errorf("expression environment: %w", err)
	}
	return &Env{cel: env, costs: estimates, patience: maxTime, types: p.types, vars: vars, funcs: funcs}, nil
}

func (f Func) overload() string {
	id := f.Name
	for _, a := range f.Args {
		id += "_" + a.String()
	}
	return id
}

func (f Func) options() []cel.EnvOption {
	id := f.overload()
	impl := cel.FunctionBinding(f.Call)
	switch len(f.Args) {
	case 1:
		impl = cel.UnaryBinding(func(a ref.Val) ref.Val { return f.Call(a) })
	case 2:
		impl = cel.BinaryBinding(func(a, b ref.Val) ref.Val { return f.Call(a, b) })
	}
	if !f.Member && f.Hidden == "" {
		return []cel.EnvOption{cel.Function(f.Name, cel.Overload(id, f.Args, f.Result, impl))}
	}
	opts := []cel.EnvOption{cel.Function(f.Name, cel.MemberOverload(id, f.Args, f.Result, impl))}
	if f.Hidden != "" {
		opts = append(opts, cel.Variable(f.Hidden, f.Args[0]), cel.Macros(f.macro()))
	}
	return opts
}

// macro writes name(args...) as hidden.name(args...).
func (f Func) macro() cel.Macro {
	expand := func(x cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		if f.Variadic && len(args) > 1 {
			args = []ast.Expr{x.NewList(args...)}
		}
		return x.NewMemberCall(f.Name, x.NewIdent(f.Hidden), args...), nil
	}
	if f.Variadic {
		return cel.GlobalVarArgMacro(f.Name, expand)
	}
	return cel.GlobalMacro(f.Name, len(f.Args)-1, expand)
}

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	Text  string
	Type  *cel.Type
	reads []string
	calls []Call
	prog  cel.Program
	// patience is how long an evaluation may take; 0 for what is cheap whatever it reads.
	patience time.Duration
}

// Reads returns the dotted paths of the values that the expression reads, in order of appearance: "xds.synced".
func (p *Program) Reads() []string { return slices.Clone(p.reads) }

// Compile parses and type-checks text. want is the type it must have; cel.DynType accepts any.
func (e *Env) Compile(text string, want *cel.Type) (*Program, []Problem) {
	ast, iss := e.cel.Compile(text)
	if iss != nil && iss.Err() != nil {
		return nil, e.problems(text, iss)
	}
	if got := ast.OutputType(); want.Kind() != types.DynKind && got.Kind() != types.DynKind && !got.IsExactType(want) {
		return nil, []Problem{{Message: fmt.Sprintf("must be a %s, and is %s", want, withArticle(typeName(got)))}}
	}
	cost, tooMuch := e.cost(ast, text)
	if tooMuch != nil {
		return nil, []Problem{*tooMuch}
	}
	prog, err := e.cel.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(1000))
	if err != nil {
		return nil, []Problem{{Message: err.Error()}}
	}
	p := &Program{Text: text, Type: ast.OutputType(), prog: prog, reads: readPaths(ast), calls: e.callsIn(ast, text)}
	if cost > watchedCost {
		p.patience = e.patience
	}
	return p, nil
}

// Eval evaluates the expression over vars. It returns [ErrNoData] when a value that it needed does not exist.
func (p *Program) Eval(ctx context.Context, vars map[string]any) (ref.Val, error) {
	if p.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, p.patience, errTooLong)
		defer cancel()
	}
	out, _, err := p.prog.ContextEval(ctx, vars)
	if err != nil {
		switch {
		case errors.Is(err, ErrNoData):
			return nil, ErrNoData
		case errors.Is(context.Cause(ctx), errTooLong):
			return nil, errTooLong
		}
		return nil, err
	}
	if types.IsUnknownOrError(out) {
		return nil, fmt.Errorf("%v", out)
	}
	return out, nil
}

// True evaluates a condition: true only if it is a bool, known, and true.
func (p *Program) True(ctx context.Context, vars map[string]any) (bool, error) {
	out, err := p.Eval(ctx, vars)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("is a %s, not a bool", out.Type().TypeName())
	}
	return bool(b), nil
}

// Vars returns the declared variables, for documentation.
func (e *Env) Vars() []Var { return e.vars }

// Funcs returns the declared functions, for documentation.
func (e *Env) Funcs() []Func { return e.funcs }

// Object returns the declared struct type of that name.
func (e *Env) Object(name string) (*Object, bool) {
	o, ok := e.types[name]
	return o, ok
}
