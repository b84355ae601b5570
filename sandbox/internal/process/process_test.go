package process

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// roleVariable turns the test binary into one of the programs that the tests need.
const roleVariable = "PROCESS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case "wait":
		time.Sleep(time.Minute) // long enough for any test, short enough if one forgets it
	case "fail":
		fmt.Println("first line\nlast words")
		os.Exit(3)
	case "parent":
		os.Exit(parent())
	}
}

// parent starts a child on a Thread, prints its ID, and waits to be killed.
func parent() int {
	p, err := NewThread().Launch(Spec{Name: "child", Path: os.Args[0], Env: []string{roleVariable + "=wait"}, Log: os.Args[1]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(p.ID); err != nil {
		return 1
	}
	time.Sleep(time.Minute) // to be killed
	return 0
}

func spec(t *testing.T, role string) Spec {
	return Spec{
		Name: role, Path: os.Args[0], Dir: t.TempDir(), Log: filepath.Join(t.TempDir(), "log"),
		Env: []string{roleVariable + "=" + role, "MARK=" + t.Name()},
	}
}

func launchForTest(t *testing.T, s Spec) *Process {
	t.Helper()
	p, err := LaunchDetached(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(context.Background()) })
	return p
}

// awaitDeath polls: the end of a process that is not our child is no event.
func awaitDeath(t *testing.T, id ID) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); id.Alive(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still alive", id.PID)
		}
	}
}

func TestKillEndsTheProcess(t *testing.T) {
	t.Parallel()
	p := launchForTest(t, spec(t, "wait"))
	known := Process{Name: p.Name, ID: p.ID} // as another plscript knows it, which did not start it
	if !p.Alive() || p.Ended() || known.Ended() {
		t.Fatal("not alive after its start")
	}
	if err := p.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Alive() || !p.Ended() || !known.Ended() || p.Exit() != "signal: killed" {
		t.Errorf("after Kill: alive %v, ended %v, %v, exit %q", p.Alive(), p.Ended(), known.Ended(), p.Exit())
	}
	if err := p.Kill(t.Context()); err != nil {
		t.Errorf("killing a dead process: %v", err)
	}
}

func TestReusedProcessIDIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := launchForTest(t, spec(t, "wait"))
	earlier := ID{PID: p.PID, Mark: "began at another time"}
	if earlier.Alive() {
		t.Error("a process that began at another time counts as alive")
	}
	if err := earlier.Kill(); err != nil {
		t.Error(err)
	}
	if !p.Alive() {
		t.Error("a process was killed that only has the same number")
	}
}

func TestProcessFoundAgainFromItsJSON(t *testing.T) {
	t.Parallel()
	p := launchForTest(t, spec(t, "wait"))
	content, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again Process
	if err := json.Unmarshal(content, &again); err != nil {
		t.Fatal(err)
	}
	if !again.Alive() {
		t.Error("not recognised as alive")
	}
	if err := again.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("still alive")
	}
}

func TestEndAndLastWords(t *testing.T) {
	t.Parallel()
	p := launchForTest(t, spec(t, "fail"))
	if p.Exit() != "exit status 3" {
		t.Errorf("exit = %q", p.Exit())
	}
	if p.Alive() {
		t.Error("alive after its end")
	}
	if got := p.Tail(1); len(got) != 1 || got[0] != "last words" {
		t.Errorf("Tail(1) = %q", got)
	}
	if got := p.Tail(9); len(got) != 2 {
		t.Errorf("Tail(9) = %q, want both lines", got)
	}
}

func TestTailOfALongLog(t *testing.T) {
	t.Parallel()
	p := &Process{Log: filepath.Join(t.TempDir(), "log")}
	text := strings.Repeat("noise\n", tailBytes) + "the end\n"
	if err := os.WriteFile(p.Log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.Tail(2); len(got) != 2 || got[0] != "noise" || got[1] != "the end" {
		t.Errorf("Tail(2) = %q", got)
	}
}

func TestLogIsPrivate(t *testing.T) {
	t.Parallel()
	p := launchForTest(t, spec(t, "wait"))
	info, err := os.Stat(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("log's mode = %v", got)
	}
}

func TestChildrenDieWithAKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ties children to their parent")
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], filepath.Join(t.TempDir(), "log"))
	cmd.Env = []string{roleVariable + "=parent"}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var child ID
	if err := json.Unmarshal(line, &child); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Kill() })
	if !child.Alive() {
		t.Fatal("the child is not alive while its parent is")
	}
	cmd.Process.Kill()
	cmd.Wait()
	awaitDeath(t, child)
}

func TestFindByEnv(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows other processes' environment")
	}
	t.Parallel()
	p := launchForTest(t, spec(t, "wait"))
	if found := FindByEnv("MARK", t.Name()); len(found) != 1 || found[0] != p.ID {
		t.Errorf("FindByEnv = %v, want %v", found, p.ID)
	}
	if found := FindByEnv("MARK", t.Name()[:4]); len(found) != 0 {
		t.Errorf("FindByEnv of a mere beginning = %v", found)
	}
}
