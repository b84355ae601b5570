package replay_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/plscript/plscript/runtime/xdspool/replay"
)

// What BenchmarkSteady has a mesh sent.
var (
	steadyStreams = flag.Int("steady-streams", 1000, "how `many` streams there are, each on a connection of its own")
	steadyRate    = flag.Float64("steady-rate", 440, "`responses` that they get a second, in all")
	steadyBytes   = flag.Int("steady-bytes", 89_000, "about how many `bytes` each response has")
)

const (
	steadySettles = 2 * time.Second  // for what comes of opening the streams to end
	steadyFor     = 20 * time.Second // is what is measured
)

// readerVariable makes the test binary a client of a server: "bare" or "pool", the address, and how many streams.
const readerVariable = "PLSCRIPT_TEST_READER"

// BenchmarkSteady has a mesh of sidecars receive responses at a rate: with the pool, and with a reader that does nothing but
// read and acknowledge, which is what no client can do without. Each is a process of its own.
func BenchmarkSteady(b *testing.B) {
	clusters := clustersIn(b, *steadyBytes)
	for _, kind := range []string{"bare", "pool"} {
		if kind == "bare" && !hasBare {
			continue
		}
		b.Run(kind, func(b *testing.B) {
			s := startServer(b, clusters)
			fmt.Fprintln(s.in, "pace", *steadyRate)
			s.line(b)
			var sum taken
			var took time.Duration
			for b.Loop() {
				r := startReader(b, kind, s.address)
				time.Sleep(steadySettles)
				before, began := r.look(b), time.Now()
				time.Sleep(steadyFor)
				after := r.look(b)
				took += time.Since(began)
				sum = taken{sum.responses + after.responses - before.responses, sum.bytes + after.bytes - before.bytes, sum.cpu + after.cpu - before.cpu}
				r.stop(b)
			}
			b.ReportMetric(sum.cpu.Seconds()/took.Seconds(), "cores")
			b.ReportMetric(sum.cpu.Seconds()*1e3/(float64(sum.bytes)/1e6), "cpu-ms/MB")
			b.ReportMetric(float64(sum.responses)/took.Seconds(), "responses/s")
			b.ReportMetric(float64(sum.bytes)/1e6/took.Seconds(), "MB/s")
		})
	}
}

// clustersIn is how many of the recorded clusters have so many bytes together.
func clustersIn(b *testing.B, bytes int) int {
	b.Helper()
	r, err := load(0)
	if err != nil {
		b.Fatal(err)
	}
	all, n := r.Answer(url("cds")).Resources, 0
	for n < len(all) && bytes > 0 {
		bytes -= proto.Size(all[n])
		n++
	}
	if bytes > 0 {
		b.Fatalf("the recording has %d bytes too few", bytes)
	}
	return n
}

// pace pushes the clusters to one stream after the other, at a rate, for good. A round has one cluster that the round before
// did not have.
func pace(s *replay.Server, clusters *discovery.DeltaDiscoveryResponse, rate float64) error {
	const cluster, altStatName = 0, 28 // of envoy.config.cluster.v3.Cluster
	original := clusters.Resources[cluster].Resource.Value
	sent, round, began := 0, 0, time.Now()
	for range time.Tick(5 * time.Millisecond) {
		if streams := s.Streams(); streams > 0 && sent/streams != round {
			round = sent / streams
			name := protowire.AppendTag(slices.Clip(original), altStatName, protowire.BytesType)
			clusters.Resources[cluster].Resource.Value = protowire.AppendString(name, fmt.Sprintf("round-%d", round))
		}
		due := int(time.Since(began).Seconds() * rate)
		if _, err := s.PushInTurn(clusters, due-sent); err != nil {
			return err
		}
		sent = due
	}
	return nil
}

// taken is what a reader has received since it began, and what that took.
type taken struct {
	responses, bytes int
	cpu              time.Duration
}

// readerProcess is a client of its own process, all of whose streams have been answered.
type readerProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startReader(b *testing.B, kind, address string) *readerProcess {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-recording", *recorded)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", readerVariable, kind, address, *steadyStreams))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close() })
	r := &readerProcess{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	if !r.out.Scan() {
		b.Fatalf("the %s reader has ended", kind)
	}
	return r
}

// look asks for what was received so far.
func (r *readerProcess) look(b *testing.B) (t taken) {
	b.Helper()
	fmt.Fprintln(r.in, "look")
	if !r.out.Scan() {
		b.Fatal("the reader has ended")
	}
	if _, err := fmt.Sscan(r.out.Text(), &t.responses, &t.bytes, &t.cpu); err != nil {
		b.Fatal(err)
	}
	return t
}

func (r *readerProcess) stop(b *testing.B) {
	b.Helper()
	r.in.Close()
	if err := r.cmd.Wait(); err != nil {
		b.Fatal(err)
	}
}

// beReader is the other side of [readerProcess].
func beReader(how string) error {
	var kind, address string
	var streams int
	if _, err := fmt.Sscan(how, &kind, &address, &streams); err != nil {
		return err
	}
	if kind == "bare" {
		return beBare(address, streams)
	}
	m := makeMesh(address, 0)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go m.Run(ctx)
	m.want(streams)
	for m.reading("xds.synced") != int64(streams) {
		time.Sleep(20 * time.Millisecond) // a process of its own: nobody is told
	}
	fmt.Println("ready")
	for {
		if more, err := answerFigures(func() (int, int) {
			return int(m.reading("pushes.responses")), int(m.reading("pushes.bytes"))
		}); !more {
			return err
		}
	}
}

// answerFigures waits for a line and answers it with what was received until then and the CPU time of this process. It
// returns false at the end of the input.
func answerFigures(received func() (responses, bytes int)) (more bool, err error) {
	line := make([]byte, 16)
	if _, err := os.Stdin.Read(line); err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return false, err
	}
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return false, err
	}
	responses, bytes := received()
	_, err = fmt.Println(responses, bytes, u.Utime.Nano()+u.Stime.Nano())
	return err == nil, err
}
