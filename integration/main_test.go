package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/runtime/report"
	"github.com/plscript/plscript/sandbox"
)

// binary is plscript, built for the tests.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0)
	}
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "plscript-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "plscript")
	cmd := exec.Command("go", "build", "-o", binary, "../cmd/plscript")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build plscript: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	if name := sharedName(); name != "" {
		if err := sandbox.Down(context.Background(), name, ""); err != nil && !errors.Is(err, sandbox.ErrNotFound) {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// shared is a named sandbox for the tests that do not need one of their own; nil before the first of them. Tests that use
// it run one at a time and leave it empty.
var shared *sandbox.Sandbox

// sharedName differs between two runs of the tests on one machine.
func sharedName() string { return fmt.Sprintf("test-%d", os.Getpid()) }

func sharedSandbox(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	if shared == nil {
		box, err := sandbox.Up(context.Background(), sharedName(), sandbox.Config{Progress: func(e sandbox.Event) {
			if e.Done || strings.HasPrefix(e.Stage, "building") {
				fmt.Fprintln(os.Stderr, e)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		shared = box
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		// What a failed test leaves behind must not fail the next one.
		if err := sandbox.Down(context.Background(), sharedName(), ""); err != nil && !errors.Is(err, sandbox.ErrNotFound) {
			t.Error(err)
		}
		shared = nil
	})
	return shared
}

func client(t *testing.T, box *sandbox.Sandbox) *kubernetes.Clientset {
	t.Helper()
	cfg, err := box.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// process is a plscript under way.
type process struct {
	*exec.Cmd
	out    string // the folder of its reports
	stdout *buffer
	stderr *buffer
	done   chan struct{}
}

// buffer is what a process has printed so far.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs plscript in the background; it is killed when the test ends before it.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(binary, args...), out: t.TempDir(), stdout: &buffer{}, stderr: &buffer{}, done: make(chan struct{})}
	if slices.Contains([]string{"run", "adsc", "impersonate", "prober"}, args[0]) {
		p.Args = append(p.Args, "--out", p.out)
	}
	p.Stdout, p.Stderr = p.stdout, p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // the tests look at the exit code
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
	})
	return p
}

// patience bounds what a test waits for; it is no measurement.
const patience = 4 * time.Minute

func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("plscript did not end\n%s", p.stderr)
	}
	return p.ProcessState.ExitCode()
}

// run runs plscript to its end and fails the test unless it exits with want.
func run(t *testing.T, want int, args ...string) *process {
	t.Helper()
	p := start(t, args...)
	if code := p.wait(t); code != want {
		t.Fatalf("plscript %s: exit %d, want %d\n%s\n%s", strings.Join(args, " "), code, want, p.stdout, p.stderr)
	}
	return p
}

// awaitOutput waits until stderr shows text.
func (p *process) awaitOutput(t *testing.T, text string) {
	t.Helper()
	await(t, "output "+text, func() bool {
		ended := false
		select {
		case <-p.done:
			ended = true
		default:
		}
		all := p.stderr.String() + p.stdout.String()
		if ended && !strings.Contains(all, text) {
			t.Fatalf("plscript ended with exit %d and without output %s\n%s", p.ProcessState.ExitCode(), text, all)
		}
		return strings.Contains(all, text)
	})
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(50 * time.Millisecond) // what is waited for is another process, which cannot call back
	}
}

// runID is the id that the run printed first.
func (p *process) runID(t *testing.T) string {
	t.Helper()
	var id string
	await(t, "the run's id", func() bool {
		_, err := fmt.Sscanf(p.stdout.String(), "run %s", &id)
		return err == nil
	})
	return id
}

// report reads report.json of the one run in p.out.
func (p *process) report(t *testing.T) *report.Report {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.out, "*", "report.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("reports: %v, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	r := &report.Report{}
	if err := json.Unmarshal(content, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// scenario writes a scenario file.
func scenario(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "scenario.cue")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
