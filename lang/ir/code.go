package ir

// Code says what kind of mistake a [Diagnostic] is, for programs that read diagnostics.
type Code string

// The kinds of mistakes. The comment says what the user did.
const (
	CodeUnreadable    Code = "unreadable"     // the file is missing, too large, or not text
	CodeSyntax        Code = "syntax"         // not CUE
	CodeImport        Code = "import"         // an import that a scenario may not have, is unused, or leads nowhere
	CodeAttribute     Code = "attribute"      // an attribute that is not understood: @embed, @if, a bad @tag
	CodeUnknownName   Code = "unknown-name"   // an expression names what is not there
	CodeContradiction Code = "contradiction"  // the file's own values exclude each other
	CodeEvaluation    Code = "evaluation"     // an expression of the file cannot be computed
	CodeNoValue       Code = "no-value"       // a field has a type but no value
	CodeUnknownField  Code = "unknown-field"  // a field that does not exist
	CodeMissingField  Code = "missing-field"  // a required field is not there
	CodeType          Code = "type"           // a value of the wrong type
	CodeValue         Code = "value"          // a value of the right type that is not allowed
	CodeUnknownAction Code = "unknown-action" // an action that does not exist
	CodeUnknownPhase  Code = "unknown-phase"  // "after" names a phase that does not exist
	CodeCycle         Code = "cycle"          // phases that wait for each other
	CodeDuplicate     Code = "duplicate"      // a name used twice
	CodeEmpty         Code = "empty"          // no phases, no steps, an empty file
	CodeRule          Code = "rule"           // fields that are each right but do not go together
	CodeParam         Code = "param"          // -t, or the field that it sets
	CodeTooExpensive  Code = "too-expensive"  // loading would take too much time or memory
	CodeInternal      Code = "internal"       // not the user's mistake: a defect of plscript or of CUE
	CodeExpression    Code = "expression"     // a CEL expression or hole that does not compile or has the wrong type
	CodePlan          Code = "plan"           // an action refuses its fields
)
