package replay_test

import (
	"fmt"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// cpu is the CPU time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// live is the heap that is in use after a collection, and the stacks, in bytes.
func live() float64 {
	goruntime.GC()
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// rss is the resident memory of this process, in bytes, once the runtime has given back what it has no use for; buffer pools
// are emptied by the second collection.
func rss(b *testing.B) float64 {
	b.Helper()
	debug.FreeOSMemory()
	debug.FreeOSMemory()
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		b.Fatal(err)
	}
	m, err := p.MemoryInfo()
	if err != nil {
		b.Fatal(err)
	}
	return float64(m.RSS)
}

// BenchmarkSync brings 60 sidecars from nothing to synced.
func BenchmarkSync(b *testing.B) {
	s := startServer(b, 0)
	var used time.Duration
	var bytes int64
	const proxies = 60
	for b.Loop() {
		m := newMesh(b, s.address, 0)
		before := cpu(b)
		m.want(proxies)
		m.until(b, "xds.synced", proxies)
		used += cpu(b) - before
		bytes += m.reading("pushes.bytes")
		m.Close()
	}
	b.ReportMetric(float64(used)/float64(time.Millisecond)/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(used)/float64(time.Millisecond)/(float64(bytes)/1e6), "cpu-ms/MB")
	b.ReportMetric(float64(used)/float64(time.Millisecond)/float64(b.N)/proxies, "cpu-ms/proxy")
}

// BenchmarkMemory is what a sidecar adds: the slope from 500 to 1,000.
func BenchmarkMemory(b *testing.B) {
	s := startServer(b, 0)
	var each float64
	for b.Loop() {
		m := newMesh(b, s.address, 0)
		m.want(500)
		m.until(b, "xds.synced", 500)
		before := live()
		m.want(500)
		m.until(b, "xds.synced", 1000)
		each += (live() - before) / 500
		m.Close()
	}
	b.ReportMetric(each/float64(b.N)/1024, "KB/proxy")
}

// BenchmarkIdle holds streams that have nothing to do, and then pushes one changed assignment to all of them.
func BenchmarkIdle(b *testing.B) {
	const streams, idle = 10_000, 10 * time.Second
	for _, per := range []int{1, 100} {
		b.Run(fmt.Sprintf("streamsPerConnection=%d", per), func(b *testing.B) {
			s := startServer(b, 20)
			var memory float64
			var held int64
			var resting, pushed, took time.Duration
			for b.Loop() {
				base := rss(b)
				m := newMesh(b, s.address, per)
				m.want(streams)
				m.until(b, "xds.synced", streams)
				memory += (rss(b) - base) / streams
				before := cpu(b)
				time.Sleep(idle) // what the streams take meanwhile is the question
				resting += cpu(b) - before
				held += m.reading("xds.synced")
				responses := int(m.reading("xds.eds.responses"))
				before, start := cpu(b), time.Now()
				fmt.Fprintln(s.in, "push")
				if n := strings.TrimSpace(s.line(b)); n != fmt.Sprint(streams) {
					b.Fatalf("pushed to %s", n)
				}
				m.until(b, "xds.eds.responses", responses+streams)
				pushed, took = pushed+cpu(b)-before, took+time.Since(start)
				m.Close()
			}
			n := float64(b.N)
			b.ReportMetric(float64(held)/n, "streams")
			b.ReportMetric(memory/n/1024, "RSS-KB/stream")
			b.ReportMetric(resting.Seconds()/idle.Seconds()/n, "idle-cores")
			b.ReportMetric(pushed.Seconds()*1000/n, "push-cpu-ms")
			b.ReportMetric(took.Seconds()*1000/n, "push-ms")
		})
	}
}
