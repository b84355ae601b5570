package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/plscript/plscript/actions"
	"github.com/plscript/plscript/lang"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/schema"
)

// The reference is Markdown that reads well on a terminal too.

func (r *reference) head(b *bytes.Buffer) {
	b.WriteString("<!-- Written by `plscript docs --all`; `go generate ./cmd/plscript` does it. -->\n\n# Reference\n\n" +
		"Every field, action, measure and template of the language. [language.md](language.md) teaches it.\n\n")
}

func (r *reference) index(b *bytes.Buffer) {
	b.WriteString("Actions\n\n")
	for _, a := range r.Actions {
		fmt.Fprintf(b, "  %-20s %s\n", a.Name, a.Summary())
	}
	b.WriteString("\nTopics\n\n")
	for _, t := range topics {
		fmt.Fprintf(b, "  %-20s %s\n", t.name, t.about)
	}
	b.WriteString("\n`plscript docs NAME` explains one.\n")
}

func (r *reference) scenario(b *bytes.Buffer) {
	for _, d := range r.Scenario {
		definition(b, "##", d)
	}
	b.WriteString("## Durations, rates and other texts\n\n")
	for _, d := range r.Values {
		definition(b, "###", d)
	}
}

func (r *reference) steps(b *bytes.Buffer) {
	b.WriteString("## Steps\n\nEvery step has an `action` and the fields of that action. Besides these it may have:\n\n")
	fields(b, r.Step.Fields)
	b.WriteString("\n")
	for _, a := range r.Actions {
		fmt.Fprintf(b, "- [%s](#%s): %s\n", a.Name, strings.ToLower(a.Name), a.Summary())
	}
}

func (r *reference) action(b *bytes.Buffer, a lang.Action) error {
	definition(b, "##", a.Definition)
	for _, p := range a.Parts {
		definition(b, "###", p)
	}
	if a.Retry {
		b.WriteString("It may be tried again: `onError: \"retry\"`.\n\n")
	}
	examples, err := actions.Examples(a.Name)
	if err != nil {
		return err
	}
	for i, e := range examples {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "```cue\n%s```\n", e.Text)
	}
	return nil
}

func (r *reference) cel(b *bytes.Buffer) {
	b.WriteString("## Expressions\n\nExpressions are CEL, with its standard functions and the extensions for strings, lists, math and sets.\n" +
		"They are checked before anything runs. A number is compared with any other; durations are written duration('300ms').\n" +
		"`namespace` and `package` are reserved words of CEL's, hence `ns`.\n\n### Everywhere\n\n")
	terms(b, standard)
	b.WriteByte('\n')
	for _, v := range r.vocabularies {
		fmt.Fprintf(b, "### In %s\n\n%s\n\n", v.Name, v.Doc)
		terms(b, v.Values)
		if len(v.Functions) > 0 {
			b.WriteString("\nFunctions:\n\n")
			terms(b, v.Functions)
		}
		b.WriteByte('\n')
	}
}

// standard are the functions of CEL itself and its extensions that scenarios use most.
var standard = []runtime.Term{
	{Name: "duration(string)", Type: "duration", Doc: `A length of time: duration("1m30s").`},
	{Name: "size(list)", Type: "int", Doc: "How many elements a list or a map has, or characters a text; also `x.size()`."},
	{Name: "x in list", Type: "bool", Doc: "Whether a list has the element, or a map the key."},
	{Name: "list.all(x, condition)", Type: "bool", Doc: "Whether the condition is true of every element; likewise `exists` and `exists_one`."},
	{Name: "list.filter(x, condition)", Type: "list", Doc: "The elements of which the condition is true."},
	{Name: "list.map(x, value)", Type: "list", Doc: "What becomes of each element."},
	{Name: "has(x.field)", Type: "bool", Doc: "Whether there is the field: a measure without data has none."},
	{Name: "condition ? a : b", Type: "a or b", Doc: "One of two values."},
	{Name: "int(x), double(x), string(x)", Type: "int, double, string", Doc: "The value as another type: `double(pods.ready) / double(pods.desired)`, since int divided by int is an int."},
	{Name: "string.startsWith(string)", Type: "bool", Doc: "Likewise `endsWith`, `contains`, and `matches` with a regular expression (RE2)."},
	{Name: "string.replace(string, string)", Type: "string", Doc: "Likewise `split`, `substring`, `lowerAscii`, `upperAscii`, `trim`, `format`."},
	{Name: "lists.range(int)", Type: "list(int)", Doc: "The numbers from 0 to below n; lists have `sort`, `distinct`, `reverse`, `slice`, `flatten`."},
	{Name: "math.greatest(a, b)", Type: "number", Doc: "Likewise `math.least`, `math.abs`, `math.ceil`, `math.floor`, `math.round`."},
	{Name: "sets.contains(list, list)", Type: "bool", Doc: "Likewise `sets.equivalent` and `sets.intersects`."},
}

func terms(b *bytes.Buffer, list []runtime.Term) {
	for _, t := range list {
		fmt.Fprintf(b, "- `%s` (%s)", t.Name, t.Type)
		if t.Doc != "" {
			fmt.Fprintf(b, ": %s", t.Doc)
		}
		b.WriteByte('\n')
	}
}

func (r *reference) objects(b *bytes.Buffer) {
	fmt.Fprintf(b, "## The object library\n\nTemplates to unify with what should differ, from \"%s/objects\". Import it under another name,\n"+
		"since inside of `apply` the name `objects` means the field: `import obj \"%s/objects\"`, then\n"+
		"`objects: [obj.#VirtualService & {#port: 8080}]`. Fields that start with `#` are parameters; they are not part of the object.\n\n",
		schema.ImportPath, schema.ImportPath)
	for _, d := range r.Objects {
		definition(b, "###", d)
	}
}

// definition writes one definition with its fields.
func definition(b *bytes.Buffer, level string, d lang.Definition) {
	fmt.Fprintf(b, "%s %s\n\n%s\n\n", level, d.Name, d.Doc)
	if d.Type != "" {
		fmt.Fprintf(b, "`%s`\n\n", d.Type)
	}
	if len(d.Fields) > 0 {
		fields(b, d.Fields)
		b.WriteByte('\n')
	}
}

func fields(b *bytes.Buffer, list []lang.Field) {
	for _, f := range list {
		notes := []string{"`" + f.Type + "`"}
		if f.Required {
			notes = append(notes, "required")
		}
		if f.Default != "" {
			notes = append(notes, "default `"+f.Default+"`")
		}
		fmt.Fprintf(b, "- `%s` (%s): %s\n", f.Name, strings.Join(notes, ", "), strings.Join(strings.Fields(f.Doc), " "))
	}
}
