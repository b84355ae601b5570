package main

import "fmt"

const (
	replayPackage = "./runtime/xdspool/replay"
	replayTimes   = "3x" // that each benchmark runs
	idleClusters  = 20   // BenchmarkIdle's
)

// replayRows runs the benchmarks of the replay on a recording.
func replayRows(r *rig, recording string) ([]row, error) {
	pattern, args := "Benchmark(Sync|Memory|Idle)", []string{"-recording", recording}
	if r.peer.binary != "" {
		pattern = "Benchmark(Sync|Memory|Idle|Peer)"
		args = append(args, "-peer-bin", r.peer.binary)
		if r.peer.args != "" {
			args = append(args, "-peer-args", r.peer.args)
		}
	}
	f, err := goBench(replayPackage, pattern, replayTimes, args...)
	if err != nil {
		return nil, err
	}
	q := quoter{figures: f}
	rows := q.replay()
	if r.peer.binary != "" {
		rows = append(rows, q.peer()...)
	}
	return rows, q.err
}

// quoter puts figures into words.
type quoter struct {
	figures
	err error // the first figure that is missing
}

// say formats figures of a benchmark, one for each verb.
func (q *quoter) say(format, name string, units ...string) string {
	values := make([]any, len(units))
	for i, u := range units {
		v, err := q.get(name, u)
		if err != nil && q.err == nil {
			q.err = err
		}
		values[i] = v
	}
	return fmt.Sprintf(format, values...)
}

func (q *quoter) replay() []row {
	const own, shared = "Idle/streamsPerConnection=1", "Idle/streamsPerConnection=100"
	pushed := "%.0f ms; %.0f ms"
	return []row{
		{"CPU of the client while 60 sidecars sync, plaintext", q.say("%.0f ms", "Sync", "cpu-ms/op"), ""},
		{"a MB; a sidecar", q.say("%.2f ms; %.1f ms", "Sync", "cpu-ms/MB", "cpu-ms/proxy"), ""},
		{"live heap and stacks of a sidecar on a connection of its own, slope from 500 to 1,000", q.say("%.0f KB", "Memory", "KB/proxy"), "75 KB"},
		{"streams held, each on a connection of its own; 100 on a connection", q.say("%.0f", own, "streams") + "; " + q.say("%.0f", shared, "streams"), "10,000"},
		{"resident memory of an idle stream on a connection of its own", q.say("%.1f KB", own, "RSS-KB/stream"), "60 KB"},
		{"the same, 100 on a connection", q.say("%.1f KB", shared, "RSS-KB/stream"), "20 KB"},
		{"cores that 10,000 idle streams take, on connections of their own; 100 on a connection", q.say("%.3f", own, "idle-cores") + "; " + q.say("%.3f", shared, "idle-cores"), "0.1"},
		{"a push of one changed endpoint to all 10,000, on connections of their own: CPU of the client; time to the last", q.say(pushed, own, "push-cpu-ms", "push-ms"), ""},
		{"the same, 100 on a connection", q.say(pushed, shared, "push-cpu-ms", "push-ms"), ""},
	}
}

// peer is what another tool takes for what BenchmarkSync does.
func (q *quoter) peer() []row {
	return []row{
		{"CPU of another tool's process while its 60 sidecars sync; beside it the pool's", q.say("%.0f ms; %.0f ms", "Peer", "peer-cpu-ms/op", "cpu-ms/op"), ""},
		{"the ratio of the two", q.say("%.1f", "Peer", "peer/pool"), ""},
	}
}
