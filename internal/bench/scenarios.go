package main

import (
	"fmt"
	"time"
)

// scenarios runs those that are shipped for a first look.
func scenarios(r *rig) (out string, err error) {
	for _, file := range []string{"scenarios/ambient.cue", "scenarios/sidecar.cue", "scenarios/gateway.cue"} {
		section, err := scenario(r, file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		out += section
	}
	return out, nil
}

// scenario runs one scenario on a private sandbox and quotes its report.
func scenario(rig *rig, file string) (string, error) {
	r, err := rig.run(file)
	if err != nil {
		return "", err
	}
	v := reader(r)
	return fmt.Sprintf(`
## %s

One run of %.0f s on a private sandbox with istiod's defaults: %.0f pods, %.0f streams, %.0f endpoint changes.

| | plscript | istiod |
|---|---|---|
| CPU | %.2f s | %.2f s |
| memory | %.0f MB | %.0f MB |

| | p50 | p90 | p99 | max |
|---|---|---|---|---|
| endpoint change, scheduled write to a proxy's ACK | %.0f ms | %.0f ms | %.0f ms | %.0f ms |

Received: %.0f responses, %.0f resources, %.1f MB. Arrivals started late by %.1f ms at p99.
`, "`"+file+"`", time.Duration(r.Run.Duration).Seconds(), v("pods.ready"), v("xds.open"), v("changes.endpoint.count"),
		v("loadgen.cpu"), v("istiod.cpu"), v("loadgen.rss")/1e6, v("istiod.rss")/1e6,
		v("changes.endpoint.p50")*1e3, v("changes.endpoint.p90")*1e3, v("changes.endpoint.p99")*1e3, v("changes.endpoint.max")*1e3,
		v("pushes.responses"), v("pushes.resources"), v("pushes.bytes")/1e6, v("loadgen.lateness")*1e3), nil
}
