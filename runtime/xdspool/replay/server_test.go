package replay_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/oracle"
	"github.com/plscript/plscript/runtime/xdspool/replay"
)

// recorded is what an istiod sent a sidecar: unless another recording is named, the pinned one in a mesh of 400 services
// with ten endpoints each.
var recorded = flag.String("recording", "testdata/sidecar.rec.gz", "serve this `file`, which \"plscript record\" has written")

// serverVariable makes the test binary a replay server, so that a benchmark measures its client alone. Its value is how
// many clusters and listeners are served, 0 for all.
const serverVariable = "PLSCRIPT_TEST_REPLAY"

func TestMain(m *testing.M) {
	if limit := os.Getenv(serverVariable); limit != "" {
		flag.Parse()
		if err := beServer(limit); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if how := os.Getenv(readerVariable); how != "" {
		flag.Parse()
		if err := beReader(how); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func load(limit int) (*replay.Recording, error) {
	f, err := os.Open(*recorded)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := replay.Read(f)
	if err != nil || limit == 0 {
		return r, err
	}
	kept := map[string]bool{} // EDS resources are called as clusters are
	for _, a := range r.Answers {
		switch a.TypeUrl {
		case url("eds"):
			a.Resources = slices.DeleteFunc(a.Resources, func(x *discovery.Resource) bool { return !kept[x.Name] })
		case url("cds"), url("lds"):
			n := 0
			a.Resources = slices.DeleteFunc(a.Resources, func(x *discovery.Resource) bool { n++; return n > limit })
		}
		for _, x := range a.Resources {
			kept[x.Name] = true
		}
	}
	return r, nil
}

func url(short string) string {
	i := slices.IndexFunc(runtime.XDSTypes, func(t runtime.XDSType) bool { return t.Short == short })
	return runtime.XDSTypes[i].URL
}

// beServer prints the address, and then for each line that it reads, how many streams there are; unless that is what the
// line asks for, or that clusters be pushed at a pace, it pushes one endpoint of an assignment to them.
func beServer(limit string) error {
	var n int
	if _, err := fmt.Sscan(limit, &n); err != nil {
		return err
	}
	r, err := load(n)
	if err != nil {
		return err
	}
	s, err := replay.NewServer(r)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go s.Serve(context.Background(), l)
	fmt.Println(l.Addr())
	eds := r.Answer(url("eds"))
	in := bufio.NewScanner(os.Stdin)
	for i := 0; in.Scan(); i++ {
		if in.Text() == "streams" {
			fmt.Println(s.Streams())
			continue
		}
		var rate float64
		if _, err := fmt.Sscanf(in.Text(), "pace %g", &rate); err == nil {
			go pace(s, r.Answer(url("cds")), rate)
			fmt.Println("pacing")
			continue
		}
		changed := eds.Resources[0]
		changed.Resource.Value = append(changed.Resource.Value[:len(changed.Resource.Value):len(changed.Resource.Value)], eds.Resources[1+i%(len(eds.Resources)-1)].Resource.Value...)
		n, err := s.Push(&discovery.DeltaDiscoveryResponse{TypeUrl: eds.TypeUrl, Resources: []*discovery.Resource{changed}})
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
	return in.Err()
}

// serverProcess is a replay server of its own process.
type serverProcess struct {
	address string
	in      io.WriteCloser
	out     *bufio.Scanner
}

func startServer(t testing.TB, limit int) *serverProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-recording", *recorded)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", serverVariable, limit))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	s := &serverProcess{in: in, out: bufio.NewScanner(out)}
	s.address = s.line(t)
	return s
}

func (s *serverProcess) line(t testing.TB) string {
	t.Helper()
	if !s.out.Scan() {
		t.Fatal("the server has ended")
	}
	return s.out.Text()
}

// wallClock is the clock of benchmarks.
type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (wallClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

type notifier chan struct{}

func (n notifier) Notify() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// mesh is a running pool.
type mesh struct {
	*xdspool.Pool
	wake   notifier
	wanted int
}

// makeMesh is newMesh, which does not run yet.
func makeMesh(address string, perConnection int) *mesh {
	m := &mesh{wake: make(notifier, 1)}
	m.Pool = xdspool.New(xdspool.Config{
		Addresses: []string{address}, ConnectRate: 1e6, Clock: wallClock{}, Notify: m.wake, StreamsPerConnection: perConnection, IstioVersion: "1.31.0",
	})
	return m
}

func newMesh(t testing.TB, address string, perConnection int) *mesh {
	t.Helper()
	m := makeMesh(address, perConnection)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return m
}

func (m *mesh) want(n int) {
	for range n {
		m.wanted++
		m.Want(runtime.Proxy{
			Class: runtime.ClassSidecar, Namespace: "ns", Name: fmt.Sprintf("app-%d", m.wanted), IP: fmt.Sprintf("10.%d.%d.1", m.wanted/250, m.wanted%250),
			ServiceAccount: "app", App: "app", Node: "node", Labels: map[string]string{"app": "app"},
		})
	}
}

// until waits until a reading has a value.
func (m *mesh) until(t testing.TB, path string, want int) {
	t.Helper()
	deadline := time.After(10 * time.Minute)
	for {
		r := runtime.Readings{}
		m.Read(r)
		if r[path] == int64(want) {
			return
		}
		select {
		case <-m.wake:
			time.Sleep(time.Millisecond) // a benchmark is not about reading
		case <-deadline:
			t.Fatalf("%s = %v, want %d", path, r[path], want)
		}
	}
}

func (m *mesh) reading(path string) int64 {
	r := runtime.Readings{}
	m.Read(r)
	n, _ := r[path].(int64)
	return n
}

// TestPoolAgreesOnTheRecording compares what the scanner makes of istiod's real answers with what the generated types do.
func TestPoolAgreesOnTheRecording(t *testing.T) {
	const clusters = 100
	r, err := load(clusters)
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, clusters)
	m := newMesh(t, s.address, 0)
	m.want(3)
	m.until(t, "xds.synced", 3)
	got, err := oracle.Check(t.Context(), m, s.address, wallClock{})
	if err != nil {
		t.Fatal(err)
	}
	want := []oracle.Difference{{Proxy: "ns/app-1", Type: "CDS", Name: "own", Problem: oracle.Stale}, {Proxy: "ns/app-1", Type: "LDS", Name: "own", Problem: oracle.Stale}} // each client's own
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("differences (-want +got):\n%s", d)
	}
	if n, want := m.reading("xds.eds.resources"), 3*len(r.Answer(url("eds")).Resources); n != int64(want) {
		t.Errorf("%d assignments, want %d", n, want)
	}
	pushes := 0
	for pushed := ""; pushed != "3"; pushes++ { // the server may take a moment to see that the fresh client is gone
		fmt.Fprintln(s.in, "push")
		if pushed = s.line(t); pushed != "3" && pushed != "4" {
			t.Fatalf("pushed to %s", pushed)
		}
	}
	m.until(t, "xds.eds.responses", 3+3*pushes)
	if got := strings.TrimSpace(fmt.Sprint(m.reading("xds.synced"))); got != "3" {
		t.Errorf("%s synced after a push", got)
	}
}
