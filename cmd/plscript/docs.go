package main

import (
	"bytes"
	"errors"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

func (s *system) docsCommand() *cli.Command {
	return &cli.Command{
		Name:      "docs",
		Usage:     "explain the language: an action, a topic, or what there is",
		ArgsUsage: "[ACTION|scenario|cel|objects]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "print the whole reference"},
			&cli.StringFlag{Name: "out", Usage: "write to `FILE` instead of stdout"},
		},
		Action:       s.docs,
		OnUsageError: usageError,
	}
}

func (s *system) docs(c *cli.Context) error {
	if c.NArg() > 1 || c.NArg() == 1 && c.Bool("all") {
		return usage("docs takes one action or topic")
	}
	r, err := newReference()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	switch topic := c.Args().First(); {
	case c.Bool("all"):
		err = r.all(&b)
	case topic == "":
		r.index(&b)
	default:
		err = r.topic(&b, topic)
	}
	if err != nil {
		return err
	}
	return s.output(c.String("out"), b.Bytes())
}

// output writes to a file, or to stdout if it has no name.
func (s *system) output(file string, content []byte) error {
	if file != "" {
		return os.WriteFile(file, content, 0o644)
	}
	_, err := s.stdout.Write(content)
	return err
}

// reference holds all that is documented.
type reference struct {
	lang.Reference
	vocabularies []runtime.Vocabulary
}

func newReference() (*reference, error) {
	r, err := lang.Describe(actions.All())
	if err != nil {
		return nil, err
	}
	l, err := runtime.NewLanguage()
	if err != nil {
		return nil, err
	}
	return &reference{r, l.Describe()}, nil
}

// topics are those besides the actions, with what each is about.
var topics = []struct{ name, about string }{
	{"scenario", "The fields of a scenario, its phases, thresholds and sizes; durations and rates."},
	{"cel", "What conditions, selectors and the ${} of templates can read and call."},
	{"objects", "The library of object templates to apply."},
}

func (r *reference) topic(b *bytes.Buffer, name string) error {
	switch name {
	case "scenario":
		r.scenario(b)
		return nil
	case "cel":
		r.cel(b)
		return nil
	case "objects":
		r.objects(b)
		return nil
	}
	var names []string
	for _, a := range r.Actions {
		if a.Name == name {
			return r.action(b, a)
		}
		names = append(names, a.Name)
	}
	for _, t := range topics {
		names = append(names, t.name)
	}
	slices.Sort(names)
	if near := ir.Nearest(name, names); near != "" {
		return usage("there is no action or topic %q (did you mean %q?)", name, near)
	}
	return usage("there is no action or topic %q: `plscript docs` lists them", name)
}

func (r *reference) all(b *bytes.Buffer) error {
	r.head(b)
	r.scenario(b)
	r.steps(b)
	errs := make([]error, 0, len(r.Actions))
	for _, a := range r.Actions {
		b.WriteByte('\n')
		errs = append(errs, r.action(b, a))
	}
	b.WriteByte('\n')
	r.cel(b)
	b.WriteByte('\n')
	r.objects(b)
	return errors.Join(errs...)
}
