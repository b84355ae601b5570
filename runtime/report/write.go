package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The names of the files that [Report.WriteFiles] writes.
const (
	FileJSON  = "report.json"
	FileJUnit = "junit.xml"
	FileHTML  = "report.html"
)

// WriteFiles writes the report in every format, each into the writer that create returns for its name. A format that
// fails does not keep the others from being written; the error tells of all.
func (r *Report) WriteFiles(create func(name string) (io.WriteCloser, error)) error {
	var errs []error
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{FileJSON, r.WriteJSON}, {FileJUnit, r.WriteJUnit}, {FileHTML, r.WriteHTML}} {
		if err := writeFile(create, f.name, f.write); err != nil {
			errs = append(errs, fmt.Errorf("writing %s: %w", f.name, err))
		}
	}
	return errors.Join(errs...)
}

func writeFile(create func(string) (io.WriteCloser, error), name string, write func(io.Writer) error) error {
	w, err := create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(w), w.Close())
}

// WriteJSON writes report.json.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
