package main

import (
	"fmt"
	"strings"
)

// xds measures the pool of XDS streams: against a sandbox's istiod, and against a server that replays istiod's answers to
// any number of streams.
func xds(r *rig) (string, error) {
	box, err := meshBox(r)
	if err != nil {
		return "", err
	}
	real, recording, err := box.measure()
	if downErr := box.down(); err == nil {
		err = downErr
	}
	if err != nil {
		return "", fmt.Errorf("against istiod: %w", err)
	}
	replayed, err := replayRows(r, recording)
	if err != nil {
		return "", fmt.Errorf("against the replay: %w", err)
	}
	return fmt.Sprintf(`
## The XDS pool

Against istiod: a sandbox's with the default profile, 400 services and 4,000 endpoints that an earlier run wrote. Another process opens the streams
of the 60 sidecars among these pods. All CPU that this process takes is counted, watches, measures and conditions included, from
before the first connect until all are synced. Medians of %d runs, with the least and the most in brackets.

%s
Against a replay: what that istiod answered a sidecar, as `+"`plscript record`"+` writes it, served by a process of its own. The 10,000
streams are of sidecars with %d clusters and listeners each, the others of such with all. Means of %s runs.

%s`, syncRuns, rowTable(real), idleClusters, strings.TrimSuffix(replayTimes, "x"), rowTable(replayed)), nil
}

// row is one figure and what is promised of it, "" for nothing.
type row struct{ what, measured, promised string }

func rowTable(rows []row) string {
	out := "| what | measured | promised |\n|---|---|---|\n"
	for _, r := range rows {
		out += fmt.Sprintf("| %s | %s | %s |\n", r.what, r.measured, r.promised)
	}
	return out
}
