package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/plscript/plscript/sandbox/internal/process"
)

// ErrNoGo says that something must be built and there is no go command to build it with.
var ErrNoGo = errors.New("no go command on PATH")

// interruptGrace is how long an interrupted command may take to remove its temporary files before it is killed.
const interruptGrace = 5 * time.Second

// runner runs programs in one folder. They die with this process, and they are interrupted, with all their children, when their
// context ends.
type runner struct {
	dir    string
	thread *process.Thread
	env    []string // added to the environment of this process
}

// run runs a program to its end and returns what it wrote to stdout. watch, if not nil, is called with the number of lines written
// to stderr so far, as they come.
func (r runner) run(ctx context.Context, watch func(lines int), name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	stdout, stderr := &bytes.Buffer{}, &lineCounter{watch: watch}
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.dir, stdout, stderr
	cmd.Env = append(os.Environ(), r.env...)
	if err := r.thread.Start(cmd); err != nil {
		return nil, fmt.Errorf("running %s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.tail())
		}
		return stdout.Bytes(), nil
	case <-ctx.Done():
	}
	// The whole group: the go command runs compilers, and cleans up behind them when it is interrupted rather than killed.
	group := -cmd.Process.Pid
	syscall.Kill(group, syscall.SIGINT)
	select {
	case <-ended:
	case <-time.After(interruptGrace):
		syscall.Kill(group, syscall.SIGKILL)
		<-ended
	}
	return nil, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), context.Cause(ctx))
}

// goVersion asks for the Go that would build in the runner's folder, which the pins' go line may have chosen.
func (r runner) goVersion(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", ErrNoGo
	}
	out, err := r.run(ctx, nil, "go", "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

// moduleDir returns the folder of a pinned module's sources, downloading them if need be.
func (r runner) moduleDir(ctx context.Context, module string) (string, error) {
	out, err := r.run(ctx, nil, "go", "mod", "download", "-json", module)
	if err != nil {
		return "", err
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return "", fmt.Errorf("reading where %s is: %w", module, err)
	}
	return downloaded.Dir, nil
}

// tailLines is how much of a failed command's stderr is shown.
const tailLines = 20

// lineCounter counts what a command says, and keeps the last of it in case the command fails.
type lineCounter struct {
	mu    sync.Mutex
	lines int
	last  []byte
	watch func(lines int)
}

func (c *lineCounter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines += bytes.Count(p, []byte("\n"))
	c.last = append(c.last, p...)
	if keep := 16 << 10; len(c.last) > keep {
		c.last = append([]byte(nil), c.last[len(c.last)-keep:]...)
	}
	if c.watch != nil {
		c.watch(c.lines)
	}
	return len(p), nil
}

func (c *lineCounter) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(c.last)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
