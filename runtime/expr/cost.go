package expr

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// The work that an expression may do, in CEL's units of about 20 ns. Conditions are evaluated whenever something changes
// and templates for each object, so that an expression beyond maxCost would hold up the run.
const (
	maxCost = 200_000_000
	// An expression that may cost more than watchedCost is stopped after maxTime: a cluster may hold more than was guessed.
	// (CEL can count the steps of an evaluation instead, which makes each twenty times as slow.)
	watchedCost = 1_000_000
	maxTime     = 10 * time.Second
)

// Sizes that are not known before the run.
const (
	guessedList = 32     // of lists and maps inside of values: containers, conditions, labels
	guessedText = 100    // characters
	maxRange    = 10_000 // of lists.range
)

// costs estimates sizes and costs of what CEL does not know: the environment's own functions and values.
type costs map[string]Func // by overload

var _ checker.CostEstimator = costs{}

// EstimateSize implements checker.CostEstimator.
func (costs) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	switch n.Type().Kind() {
	case types.StringKind, types.BytesKind:
		return &checker.SizeEstimate{Max: guessedText}
	case types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.DurationKind, types.TimestampKind:
		return nil // CEL knows
	}
	return &checker.SizeEstimate{Max: guessedList}
}

// EstimateCallCost implements checker.CostEstimator.
func (c costs) EstimateCallCost(_, overload string, _ *checker.AstNode, _ []checker.AstNode) *checker.CallEstimate {
	f, ok := c[overload]
	if !ok {
		return nil
	}
	call := &checker.CallEstimate{CostEstimate: checker.CostEstimate{Min: 1, Max: max(f.Cost, 1)}}
	if f.Size > 0 {
		call.ResultSize = &checker.SizeEstimate{Max: f.Size}
	}
	return call
}

// estimateRange is the size of lists.range(n), where n is often computed.
func estimateRange(_ checker.CostEstimator, _ *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	size := uint64(maxRange)
	if len(args) == 1 && args[0].Expr().Kind() == ast.LiteralKind {
		if n, ok := args[0].Expr().AsLiteral().(types.Int); ok && n >= 0 {
			size = uint64(n)
		}
	}
	return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Min: 1, Max: size}, ResultSize: &checker.SizeEstimate{Max: size}}
}

// cost estimates what an evaluation costs at most, and says where if that is too much.
func (e *Env) cost(a *cel.Ast, text string) (uint64, *Problem) {
	estimate, err := e.cel.EstimateCost(a, e.costs)
	if err != nil {
		return 0, &Problem{Message: err.Error()}
	}
	if estimate.Max <= maxCost {
		return estimate.Max, nil
	}
	offset, depth := innermostLoop(a, text)
	p := &Problem{Offset: offset, Message: "takes too much time: " + count(estimate.Max) + " steps, of at most " + count(maxCost)}
	switch {
	case depth > 1:
		p.Message += fmt.Sprintf("; %d loops stand in each other", depth)
	case depth == 1:
		p.Message += "; select fewer objects, or do less with each"
	}
	return estimate.Max, p
}

// innermostLoop finds the most deeply nested all, exists, map or filter.
func innermostLoop(a *cel.Ast, text string) (offset, depth int) {
	native := a.NativeRep()
	var visit func(e ast.NavigableExpr, loops int)
	visit = func(e ast.NavigableExpr, loops int) {
		if e.Kind() == ast.ComprehensionKind {
			if loops++; loops > depth {
				depth = loops
				at := native.SourceInfo().GetStartLocation(e.ID())
				offset = byteOffset(text, at.Line(), at.Column())
			}
		}
		for _, child := range e.Children() {
			visit(child, loops)
		}
	}
	visit(ast.NavigateAST(native), 0)
	// CEL places a loop at its parenthesis; its name stands before that.
	if i := strings.LastIndexByte(text[:min(offset, len(text))], '.'); depth > 0 && i >= 0 {
		offset = i + 1
	}
	return offset, depth
}

// count writes a large number readably.
func count(n uint64) string {
	switch {
	case n == math.MaxUint64:
		return "endless"
	case n >= 1_000_000_000:
		return fmt.Sprintf("%d billion", n/1_000_000_000)
	}
	return fmt.Sprintf("%d million", n/1_000_000)
}
