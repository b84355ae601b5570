package report

import (
	"fmt"
	"strings"
	"time"
)

// maxDifferences bounds the list of differences in an [OracleCheck]; their number is always whole.
const maxDifferences = 100

// OracleCheck compares, at the end of a phase, what proxies hold with what a fresh client gets.
type OracleCheck struct {
	Phase       string       `json:"phase"`
	At          time.Time    `json:"at"`
	Proxies     []string     `json:"proxies"`     // that were compared, one of each class
	Differences []Difference `json:"differences"` // the first 100
	Total       int          `json:"total"`
	Error       string       `json:"error,omitempty"` // nothing could be compared
}

// Difference is one resource that a proxy does not hold as it should.
type Difference struct {
	Proxy   string `json:"proxy"` // namespace/name
	Type    string `json:"type"`  // "EDS"
	Name    string `json:"name"`
	Problem string `json:"problem"` // "lost", "stale" or "never removed"
}

// Istiod is one istiod and the streams open to it.
type Istiod struct {
	Address string `json:"address"`
	Open    int    `json:"open"`
	Failed  int    `json:"failed,omitempty"` // connects that ended before a response
}

// NewOracleCheck is the check of a phase that compared proxies, or could not because of err.
func NewOracleCheck(phase string, at time.Time, proxies []string, all []Difference, err error) OracleCheck {
	c := OracleCheck{Phase: phase, At: at, Proxies: list(proxies), Differences: list(all), Total: len(all)}
	if len(all) > maxDifferences {
		c.Differences = all[:maxDifferences]
	}
	if err != nil {
		c.Error = err.Error()
	}
	return c
}

// oracle says whether proxies held what they should, and where not. The text names a few of the differences.
func (t *text) oracle() {
	const shown = 10
	compared := 0
	for _, c := range t.Oracle {
		compared += len(c.Proxies)
		switch {
		case c.Error != "":
			t.paragraph("! ", fmt.Sprintf("after %s: no proxy could be compared with a fresh client: %s", clean(c.Phase), clean(c.Error)), yellow)
		case c.Total > 0:
			t.paragraph("! ", fmt.Sprintf("after %s: %s resources differ from what a fresh client gets", clean(c.Phase), count(int64(c.Total))), yellow)
		}
		for i, d := range c.Differences {
			if i == shown {
				t.line(fmt.Sprintf("    and %s more, in report.json", count(int64(c.Total-shown))))
				break
			}
			t.line(fmt.Sprintf("    %s: %s %s, %s", clean(d.Proxy), clean(d.Type), clean(d.Name), d.Problem))
		}
	}
	if len(t.Oracle) > 0 && compared > 0 && t.agreed() {
		t.paragraph("✓ ", "after every phase one proxy of each class held what a fresh client gets", green)
	}
}

// agreed reports whether no comparison found or lacked anything.
func (t *text) agreed() bool {
	for _, c := range t.Oracle {
		if c.Error != "" || c.Total > 0 {
			return false
		}
	}
	return true
}

// istiods says how the streams were spread, if there was a choice.
func (t *text) istiods() {
	if len(t.Istiods) < 2 {
		return
	}
	var spread []string
	for _, i := range t.Istiods {
		s := fmt.Sprintf("%s %s", clean(i.Address), count(int64(i.Open)))
		if i.Failed > 0 {
			s += fmt.Sprintf(" (%s connects failed)", count(int64(i.Failed)))
		}
		spread = append(spread, s)
	}
	t.line("  streams by istiod: " + strings.Join(spread, ", "))
}
