package runtime

import (
	"errors"
	"io"
)

var errNoInputs = errors.New("no files can be opened here")

// Open opens a file that the step names: see [Inputs]. It is closed by the caller.
func (c *Checker) Open(name string) (io.ReadCloser, error) {
	if c.Inputs == nil {
		return nil, errNoInputs
	}
	return c.Inputs.Open(c.step.Pos.File, name)
}
