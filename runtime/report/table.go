package report

import "strings"

// style is the SGR code of a colour or weight; "" is plain.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// paint wraps s in st where colour is wanted.
func paint(s string, st style, colour bool) string {
	if !colour || st == plain || s == "" {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[0m"
}

// cell is one entry of a table. Its text may hold line breaks.
type cell struct {
	text  string
	style style
}

// column is one column of a table.
type column struct {
	head  string
	right bool // aligned to the right, for figures
	flex  bool // gives way when the table is too wide; its cells are wrapped
}

const (
	columnGap  = "  "
	minFlex    = 12 // a flexible column never gets narrower than this
	tableInset = "  "
)

// table is text in columns. It has no lines: alignment is enough.
type table struct {
	columns []column
	rows    [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// render prints the table within limit columns, as far as its fixed columns allow.
func (t *table) render(b *strings.Builder, limit int, colour bool) {
	widths := t.widths(limit)
	head := make([]cell, len(t.columns))
	titled := false
	for i, c := range t.columns {
		head[i] = cell{c.head, dim}
		titled = titled || c.head != ""
	}
	if titled {
		t.renderRow(b, head, widths, colour)
	}
	for _, row := range t.rows {
		t.renderRow(b, row, widths, colour)
	}
}

// widths gives each column what its widest cell needs, and takes what is too much from the flexible ones, always from
// the one that is widest.
func (t *table) widths(limit int) []int {
	widths := make([]int, len(t.columns))
	total := cells(tableInset) - len(columnGap)
	for i, c := range t.columns {
		widths[i] = cells(c.head)
		for _, row := range t.rows {
			for line := range strings.SplitSeq(row[i].text, "\n") {
				widths[i] = max(widths[i], cells(line))
			}
		}
		total += widths[i] + len(columnGap)
	}
	for ; total > limit; total-- {
		widest := -1
		for i, c := range t.columns {
			if c.flex && widths[i] > minFlex && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// renderRow prints a row on as many lines as its tallest cell needs.
func (t *table) renderRow(b *strings.Builder, row []cell, widths []int, colour bool) {
	lines := make([][]string, len(row))
	height := 1
	for i, c := range row {
		lines[i] = strings.Split(c.text, "\n")
		if t.columns[i].flex {
			lines[i] = wrap(c.text, widths[i])
		}
		height = max(height, len(lines[i]))
	}
	for y := range height {
		pad := tableInset
		for i, c := range row {
			text := ""
			if y < len(lines[i]) {
				text = lines[i][y]
			}
			gap := strings.Repeat(" ", max(0, widths[i]-cells(text)))
			if t.columns[i].right {
				pad += gap
			}
			if text != "" { // so that no line ends in spaces
				b.WriteString(pad + paint(text, c.style, colour))
				pad = ""
			}
			if !t.columns[i].right {
				pad += gap
			}
			pad += columnGap
		}
		b.WriteByte('\n')
	}
}
