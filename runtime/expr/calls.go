package expr

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// Call is a call of one of the environment's functions in an expression.
type Call struct {
	Func string
	Args []Literal // those written between the parentheses
	With Literal   // what the result is compared with by == or !=
}

// Literal is an argument of a [Call].
type Literal struct {
	Text   string // of a string that is written out
	Known  bool   // it is such a string
	Offset int    // where it stands in the expression, in bytes
}

// Calls returns the calls of the environment's functions, in order of appearance, so that arguments that are written out
// can be checked before the expression is evaluated.
func (p *Program) Calls() []Call { return p.calls }

// callsIn lists the calls of functions of e.
func (e *Env) callsIn(a *cel.Ast, text string) []Call {
	native := a.NativeRep()
	var calls []Call
	ast.PreOrderVisit(ast.NavigateAST(native), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.CallKind || !e.has(x.AsCall().FunctionName()) {
			return
		}
		c := Call{Func: x.AsCall().FunctionName()}
		for _, arg := range x.AsCall().Args() {
			c.Args = append(c.Args, literal(native, arg, text))
		}
		if other := comparedWith(x); other != nil {
			c.With = literal(native, other, text)
		}
		calls = append(calls, c)
	}))
	return calls
}

func literal(a *ast.AST, x ast.Expr, text string) Literal {
	at := a.SourceInfo().GetStartLocation(x.ID())
	l := Literal{Offset: byteOffset(text, at.Line(), at.Column())}
	if x.Kind() == ast.LiteralKind {
		if s, ok := x.AsLiteral().(types.String); ok {
			l.Text, l.Known = string(s), true
		}
	}
	return l
}

// comparedWith is the other side of the == or != that x is one side of, or nil.
func comparedWith(x ast.Expr) ast.Expr {
	at, ok := x.(ast.NavigableExpr)
	if !ok {
		return nil
	}
	parent, ok := at.Parent()
	if !ok || parent.Kind() != ast.CallKind {
		return nil
	}
	if op := parent.AsCall().FunctionName(); op != operators.Equals && op != operators.NotEquals {
		return nil
	}
	for _, side := range parent.AsCall().Args() {
		if side.ID() != x.ID() {
			return side
		}
	}
	return nil
}

func (e *Env) has(function string) bool {
	for _, f := range e.funcs {
		if f.Name == function {
			return true
		}
	}
	return false
}
