package main

import (
	"fmt"
	"time"
)

// apiBackend compares the writer with the least that writes through an api-server.
func apiBackend(*rig) (string, error) {
	all, err := goBench("./integration/store", "BenchmarkAPIBackend", "1x")
	if err != nil {
		return "", err
	}
	m := all["APIBackend"]
	return fmt.Sprintf(`
## The writer against a bare loop

Pods created through the sandbox's api-server in turns: by 64 goroutines that call client-go with protobuf, and by the writer with
as many requests in flight, its journal, ownership, retries and statistics. Medians of 7 turns.

| | a bare loop | the writer | promised |
|---|---|---|---|
| throughput, the loop's = 1 | 1 | %.2f (%.0f a second) | at least 0.95 |
| CPU of the client a write | %.0f us | %.0f us | |
`, m["ratio"], m["writes/s"], m["bare-cpu-us/write"], m["own-cpu-us/write"]), nil
}

// openLoopText replaces pods at a rate for a minute.
const openLoopText = `name: "open-loop"
maxLateness: "10m"
phases: [
	{name: "mesh", steps: [
		{action: "createNamespaces", count: 10, apps: [{name: "app", replicas: 5, pods: 10}]},
		{action: "wait", until: "pods.ready == pods.desired"},
	]},
	{name: "churn", steps: [{action: "churnPods", rate: "200/s", duration: "1m"}]},
]
`

// openLoop measures how far arrivals start from when they are due.
func openLoop(r *rig) (string, error) {
	out := `
## Open loop at 200 a second

Pods are replaced for a minute at 200 a second, planned in advance: nothing, the store or the api-server takes the writes.

| writes go to | planned | started | dropped | late at p50 | p99 | most | promised |
|---|---|---|---|---|---|---|---|
`
	all, err := goBench("./integration/store", "BenchmarkOpenLoop", "1x")
	if err != nil {
		return "", err
	}
	m := all["OpenLoop"]
	out += fmt.Sprintf("| nothing | %.0f | %.0f | %.0f | %.2f ms | %.2f ms | %.1f ms | p99 of 5 ms |\n",
		m["planned"], m["started"], m["dropped"], m["p50-ms"], m["p99-ms"], m["max-ms"])
	file, err := r.write("openloop", openLoopText)
	if err != nil {
		return "", err
	}
	for _, writer := range []string{"store", "api"} {
		rep, err := r.run(file, "--writer", writer)
		if err != nil {
			return "", fmt.Errorf("%s: %w", writer, err)
		}
		a := rep.Arrivals
		if a == nil {
			return "", fmt.Errorf("%s: the report has no arrivals", writer)
		}
		ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
		out += fmt.Sprintf("| %s | %d | %d | %d | %.2f ms | %.2f ms | %.1f ms | |\n", writer, a.Planned, a.Started, a.Dropped,
			ms(time.Duration(a.Lateness.P50)), ms(time.Duration(a.Lateness.P99)), ms(time.Duration(a.Lateness.Max)))
	}
	return out, nil
}
