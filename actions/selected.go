package actions

import (
	"errors"

	"github.com/plscript/plscript/runtime"
)

// errNoneSelected says that a step's `select` is about something else than what is there. It is a mistake in the plan; in a
// run another step may have taken away what was selected.
var errNoneSelected = errors.New("nothing that was planned before this step is selected")

// some are the intents of a step, which are to be one at least if the step selects.
func some(in runtime.Intents, selects bool) runtime.Intents {
	if !selects {
		return in
	}
	return func(yield func(runtime.Intent, error) bool) {
		none := true
		for intent, err := range in {
			none = false
			if !yield(intent, err) {
				return
			}
		}
		if none {
			yield(runtime.Intent{}, errNoneSelected)
		}
	}
}
