package runtime

import "context"

// noWriter refuses every write: of some targets only istiod's address is known.
type noWriter struct{}

// Submit implements [Writer].
func (noWriter) Submit(_ context.Context, op Op) error {
	err := &NoServiceError{Need: "write objects", Hint: "name a cluster with --kubeconfig or --context"}
	if op.Done != nil {
		op.Done(Result{Fate: FateFailed, Err: err})
	}
	return err
}
