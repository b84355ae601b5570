package replay_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	peerBin  = flag.String("peer-bin", "", "the binary of another load tool to run beside the pool")
	peerArgs = flag.String("peer-args", "adsc --pilot-address ADDRESS --auth plaintext --count COUNT", "its arguments")
)

// peerSettles is how long a peer has for its answers once all of its streams are open; the server has them ready.
const peerSettles = 10 * time.Second

// BenchmarkPeer brings 60 sidecars to synced with the pool and with another tool, each against the same server, and prints
// the ratio of the CPU that they take. The tool's figure is that of a whole process.
func BenchmarkPeer(b *testing.B) {
	if *peerBin == "" {
		return // nobody to compare with was named
	}
	const proxies = 60
	s := startServer(b, 0)
	var own, peer time.Duration
	for b.Loop() {
		m := newMesh(b, s.address, 0)
		before := cpu(b)
		m.want(proxies)
		m.until(b, "xds.synced", proxies)
		own += cpu(b) - before
		m.Close()
		s.awaitStreams(b, 0)
		peer += s.runPeer(b, proxies)
		s.awaitStreams(b, 0)
	}
	b.ReportMetric(float64(own)/float64(time.Millisecond)/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(peer)/float64(time.Millisecond)/float64(b.N), "peer-cpu-ms/op")
	b.ReportMetric(float64(peer)/float64(own), "peer/pool")
}

// runPeer runs the other tool until it has what it asked for, and returns the CPU time that it took.
func (s *serverProcess) runPeer(b *testing.B, proxies int) time.Duration {
	b.Helper()
	args := strings.NewReplacer("ADDRESS", s.address, "COUNT", strconv.Itoa(proxies)).Replace(*peerArgs)
	cmd := exec.Command(*peerBin, strings.Fields(args)...)
	cmd.Dir = b.TempDir()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	s.awaitStreams(b, proxies)
	time.Sleep(peerSettles)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		b.Fatal(err)
	}
	_ = cmd.Wait() // how it ends on a signal is its own business
	if cmd.ProcessState == nil {
		b.Fatalf("%s did not end:\n%s", *peerBin, &out)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// awaitStreams waits until the server has so many streams.
func (s *serverProcess) awaitStreams(b *testing.B, want int) {
	b.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		fmt.Fprintln(s.in, "streams")
		n := s.line(b)
		if n == strconv.Itoa(want) {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("the server has %s streams, want %d", n, want)
		}
	}
}
