package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/plscript/plscript/runtime"
)

// maxMismatches bounds the list of differences in a [SyncCheck]; their number is always whole.
const maxMismatches = 20

// SyncCheck compares, at the end of a phase, what plscript believes with what istiod's syncz says: that istiod lists
// exactly the open streams, and that each has acknowledged the last push of every type.
type SyncCheck struct {
	Phase           string     `json:"phase"`
	At              time.Time  `json:"at"`
	OK              bool       `json:"ok"`
	ProxiesListed   int        `json:"proxiesListed"` // by istiod
	XDSOpen         int        `json:"xdsOpen"`       // by plscript
	Types           []SyncType `json:"types"`
	Mismatches      []string   `json:"mismatches"` // the first 20, one sentence each
	MismatchesTotal int        `json:"mismatchesTotal"`
	Error           string     `json:"error,omitempty"` // syncz could not be read; nothing else is known then
}

// SyncType counts the proxies subscribed to one resource type by where their pushes stand.
type SyncType struct {
	Type       string `json:"type"`       // "EDS", or the whole URL of a type plscript does not know
	Sent       int    `json:"sent"`       // proxies that were sent a response
	Acked      int    `json:"acked"`      // proxies that have acknowledged some response
	Matched    int    `json:"matched"`    // proxies whose last acknowledged nonce is the last one sent
	Unanswered int    `json:"unanswered"` // proxies that subscribed and were sent nothing
}

// SyncedProxy is one proxy as istiod lists it.
type SyncedProxy struct {
	ID     string            // "pod.namespace"
	Nonces map[string]Nonces // by type URL
}

// Nonces are the last nonce sent and the last acknowledged, "" for none.
type Nonces struct{ Sent, Acked string }

// CompareSync checks the proxies that istiod lists against open, the ids ("pod.namespace") of plscript's open streams.
func CompareSync(phase string, at time.Time, open []string, listed []SyncedProxy) SyncCheck {
	c := SyncCheck{Phase: phase, At: at, ProxiesListed: len(listed), XDSOpen: len(open), Types: []SyncType{}, Mismatches: []string{}}
	c.comparePresence(open, listed)
	c.compareNonces(listed)
	c.OK = c.MismatchesTotal == 0
	return c
}

// FailedSync is the check that could not be made because of err.
func FailedSync(phase string, at time.Time, open int, err error) SyncCheck {
	return SyncCheck{Phase: phase, At: at, XDSOpen: open, Types: []SyncType{}, Mismatches: []string{}, Error: err.Error()}
}

// comparePresence finds streams that only one side knows. An id may be open more than once, so ids are counted.
func (c *SyncCheck) comparePresence(open []string, listed []SyncedProxy) {
	surplus := map[string]int{}
	for _, id := range open {
		surplus[id]++
	}
	for _, p := range listed {
		surplus[p.ID]--
	}
	for _, id := range slices.Sorted(maps.Keys(surplus)) {
		switch n := surplus[id]; {
		case n > 0:
			c.mismatch("%s: open here, not listed by istiod", id)
		case n < 0:
			c.mismatch("%s: listed by istiod, not open here", id)
		}
	}
}

func (c *SyncCheck) compareNonces(listed []SyncedProxy) {
	counts := map[string]*SyncType{}
	for _, p := range listed {
		for _, url := range slices.Sorted(maps.Keys(p.Nonces)) {
			n, st := p.Nonces[url], counts[url]
			if st == nil {
				st = &SyncType{Type: typeName(url)}
				counts[url] = st
			}
			st.add(n)
			if n.Sent != n.Acked {
				c.mismatch("%s: %s sent %s, acked %s", p.ID, st.Type, nonce(n.Sent), nonce(n.Acked))
			}
		}
	}
	for _, st := range counts {
		c.Types = append(c.Types, *st)
	}
	slices.SortFunc(c.Types, func(a, b SyncType) int {
		return cmp.Or(cmp.Compare(typeRank(a.Type), typeRank(b.Type)), cmp.Compare(a.Type, b.Type))
	})
}

func (st *SyncType) add(n Nonces) {
	if n.Sent == "" {
		st.Unanswered++
	} else {
		st.Sent++
	}
	if n.Acked != "" {
		st.Acked++
	}
	if n.Sent != "" && n.Sent == n.Acked {
		st.Matched++
	}
}

func (c *SyncCheck) mismatch(format string, args ...any) {
	c.MismatchesTotal++
	if len(c.Mismatches) < maxMismatches {
		c.Mismatches = append(c.Mismatches, fmt.Sprintf(format, args...))
	}
}

func nonce(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// typeName is the short name of a type URL, or the URL of one that no proxy of ours subscribes to.
func typeName(url string) string {
	for _, t := range runtime.XDSTypes {
		if t.URL == url {
			return t.Name
		}
	}
	return url
}

// typeRank orders types as [runtime.XDSTypes] does, unknown ones last.
func typeRank(name string) int {
	for i, t := range runtime.XDSTypes {
		if t.Name == name {
			return i
		}
	}
	return len(runtime.XDSTypes)
}
