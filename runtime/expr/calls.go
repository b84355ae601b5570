package expr

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// Call is a call of one of the environment's functions in an expression.
type Call struct {
	Func string
	Args []Literal // those written between the parentheses
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
			at := native.SourceInfo().GetStartLocation(arg.ID())
			l := Literal{Offset: byteOffset(text, at.Line(), at.Column())}
			if arg.Kind() == ast.LiteralKind {
				if s, ok := arg.AsLiteral().(types.String); ok {
					l.Text, l.Known = string(s), true
				}
			}
			c.Args = append(c.Args, l)
		}
		calls = append(calls, c)
	}))
	return calls
}

func (e *Env) has(function string) bool {
	for _, f := range e.funcs {
		if f.Name == function {
			return true
		}
	}
	return false
}
