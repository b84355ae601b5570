package runtime

// Scope is what templates are rendered for.
type Scope string

// The scopes.
const (
	ScopeCluster   Scope = "cluster" // once
	ScopeNamespace Scope = "namespace"
	ScopeApp       Scope = "app"
	ScopePod       Scope = "pod"
)
