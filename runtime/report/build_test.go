package report

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/runtime"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		outcome runtime.Outcome
		cleanup error
		want    Result
		exit    int
	}{
		{"pass", runtime.Outcome{}, nil, ResultPass, 0},
		{"left something", runtime.Outcome{}, errors.New("2 left"), ResultFail, 7},
		{"threshold beats cleanup", runtime.Outcome{Exit: runtime.ExitThreshold}, errors.New("2 left"), ResultFail, 5},
		{"could not keep up", runtime.Outcome{Exit: runtime.ExitInvalid}, nil, ResultInvalid, 6},
		{"target", runtime.Outcome{Exit: runtime.ExitTarget}, nil, ResultError, 3},
		{"interrupted", runtime.Outcome{Exit: runtime.ExitInterrupted, Interrupted: true}, errors.New("x"), ResultInterrupted, 130},
	} {
		got := Build(Input{Outcome: &tc.outcome, Cleanup: tc.cleanup}).Verdict
		if got.Result != tc.want || got.Exit != tc.exit {
			t.Errorf("%s: %s, exit %d; want %s, exit %d", tc.name, got.Result, got.Exit, tc.want, tc.exit)
		}
		if (tc.cleanup != nil) != slices.ContainsFunc(got.Reasons, func(r string) bool { return strings.HasPrefix(r, "cleanup: ") }) {
			t.Errorf("%s: reasons %q", tc.name, got.Reasons)
		}
	}
	if got := Build(Input{}).Verdict; got.Result != ResultError {
		t.Errorf("a run without outcome is a %s", got.Result)
	}
}

func TestCompareSync(t *testing.T) {
	t.Parallel()
	eds, wds := runtime.XDSTypes[1].URL, runtime.XDSTypes[7].URL
	listed := []SyncedProxy{
		{"a.x", map[string]Nonces{eds: {"1", "1"}, "type.example/New": {"", ""}}},
		{"b.x", map[string]Nonces{eds: {"2", "1"}}},
		{"c.x", map[string]Nonces{wds: {"3", ""}}},
	}
	got := CompareSync("churn", start, []string{"a.x", "b.x", "b.x"}, listed)
	want := SyncCheck{
		Phase: "churn", At: start, ProxiesListed: 3, XDSOpen: 3, MismatchesTotal: 4,
		Types: []SyncType{
			{Type: "EDS", Sent: 2, Acked: 2, Matched: 1}, {Type: "WDS", Sent: 1}, {Type: "type.example/New", Unanswered: 1},
		},
		Mismatches: []string{
			"b.x: open here, not listed by istiod", "c.x: listed by istiod, not open here",
			"b.x: EDS sent 2, acked 1", "c.x: WDS sent 3, acked nothing",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("check (-want +got):\n%s", diff)
	}

	if got := CompareSync("p", start, []string{"a.x"}, listed[:1]); !got.OK {
		t.Errorf("an agreeing syncz is not OK: %v", got.Mismatches)
	}
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("p%02d.x", i))
	}
	if got := CompareSync("p", start, many, nil); got.OK || got.MismatchesTotal != 100 || len(got.Mismatches) != maxMismatches {
		t.Errorf("100 missing proxies: total %d, listed %d", got.MismatchesTotal, len(got.Mismatches))
	}
	if got := FailedSync("p", start, 1, errors.New("no")); got.OK {
		t.Error("a check that could not be made is OK")
	}
}

func TestSelfMeter(t *testing.T) {
	t.Parallel()
	clock := &testClock{now: start}
	usage, reads := Usage{CPU: 10 * time.Second, RSS: 1000}, 0
	var fail error
	m, err := NewSelfMeter(clock, func() (Usage, error) { reads++; return usage, fail })
	if err != nil {
		t.Fatal(err)
	}
	read := func() runtime.Readings {
		r := runtime.Readings{}
		m.Read(r)
		return r
	}
	usage = Usage{CPU: 12500 * time.Millisecond, RSS: 2000}
	if diff := cmp.Diff(runtime.Readings{"loadgen.cpu": 0.0, "loadgen.rss": int64(1000)}, read()); diff != "" || reads != 1 {
		t.Errorf("%d reads within the age of one (-want +got):\n%s", reads, diff)
	}
	clock.now = start.Add(usageMaxAge)
	if diff := cmp.Diff(runtime.Readings{"loadgen.cpu": 2.5, "loadgen.rss": int64(2000)}, read()); diff != "" {
		t.Errorf("readings (-want +got):\n%s", diff)
	}
	fail = errors.New("gone")
	clock.now = start.Add(2 * usageMaxAge)
	if got := read(); len(got) != 0 {
		t.Errorf("readings of a process that cannot be read: %v", got)
	}
	if _, err := NewSelfMeter(clock, func() (Usage, error) { return Usage{}, fail }); !errors.Is(err, fail) {
		t.Errorf("NewSelfMeter: %v", err)
	}
}

func TestProcessUsageOfThisProcess(t *testing.T) {
	t.Parallel()
	read, err := ProcessUsage(int32(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	u, err := read()
	if err != nil || u.RSS < 1<<20 {
		t.Errorf("usage %+v, %v", u, err)
	}
	if _, err := ProcessUsage(1 << 30); err == nil {
		t.Error("no error for a process that does not exist")
	}
}
