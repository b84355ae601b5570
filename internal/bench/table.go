package main

import (
	"fmt"
	"slices"
	"strings"
)

// table is figures by what they are of and what they were measured on.
type table struct {
	rows, columns []string
	cells         map[[2]string]string // by row and column
}

func (t *table) set(row, column, value string) {
	if t.cells == nil {
		t.cells = map[[2]string]string{}
	}
	if !slices.Contains(t.rows, row) {
		t.rows = append(t.rows, row)
	}
	if !slices.Contains(t.columns, column) {
		t.columns = append(t.columns, column)
	}
	t.cells[[2]string{row, column}] = value
}

// medians is a table whose cells show the median of what runs measured and, of several, the least and the most.
type medians struct {
	table
	values map[[2]string][]float64 // sorted, by row and column
}

func (x *medians) add(row, column, format string, value float64) {
	if x.values == nil {
		x.values = map[[2]string][]float64{}
	}
	cell := [2]string{row, column}
	v := append(x.values[cell], value)
	slices.Sort(v)
	x.values[cell] = v
	text := fmt.Sprintf(format, v[len(v)/2])
	if plain := strings.Trim(format, "*"); len(v) > 1 {
		text += fmt.Sprintf(" ("+plain+"-"+plain+")", v[0], v[len(v)-1])
	}
	x.set(row, column, text)
}

func (t *table) String() string {
	out := "| | " + strings.Join(t.columns, " | ") + " |\n|---" + strings.Repeat("|---", len(t.columns)) + "|\n"
	for _, row := range t.rows {
		out += "| " + row
		for _, column := range t.columns {
			out += " | " + t.cells[[2]string{row, column}]
		}
		out += " |\n"
	}
	return out
}
