package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/plscript/plscript/sandbox/internal/process"
)

// dummy starts a process that stands for one of a sandbox's, and does nothing.
func dummy(t *testing.T, dir, name string) *process.Process {
	t.Helper()
	p, err := process.LaunchDetached(process.Spec{
		Name: name, Path: os.Args[0], Dir: t.TempDir(), Log: filepath.Join(t.TempDir(), name+".log"),
		Env: []string{roleVariable + "=" + roleIdle, markVariable + "=" + dir},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(context.Background()) })
	return p
}

// fake makes a sandbox of dummies in a state folder, as if Start (name empty) or Up had made it, and its maker were gone.
func fake(t *testing.T, stateDir, name string, ready bool) (dir string, processes []*process.Process) {
	t.Helper()
	dir, owner, err := store{dir: stateDir}.claim(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{nameEtcd, nameAPIServer, nameIstiod} {
		processes = append(processes, dummy(t, dir, name))
	}
	err = saveState(state{Info: Info{Name: name, Dir: dir}, Ready: ready, Processes: processes})
	if err != nil {
		t.Fatal(err)
	}
	owner.Release()
	return dir, processes
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func conditionOf(t *testing.T, stateDir, name string) Condition {
	t.Helper()
	all, err := List(t.Context(), stateDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range all {
		if status.Name == name {
			return status.Condition
		}
	}
	return "absent"
}

func TestSweepRemovesOnlyTheDead(t *testing.T) {
	t.Parallel()
	stateDir := t.TempDir()
	running, _ := fake(t, stateDir, "running", true)
	broken, brokenProcesses := fake(t, stateDir, "broken", true)
	dead, deadProcesses := fake(t, stateDir, "dead", true)
	half, halfProcesses := fake(t, stateDir, "half", false) // its maker was killed while it started
	private, privateProcesses := fake(t, stateDir, "", true)
	ownedDir, owner, err := store{dir: stateDir}.claim(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Release()
	if err := killAll(t.Context(), append(deadProcesses, brokenProcesses[0])); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Condition{"running": Running, "broken": Broken, "dead": Dead, "half": Dead, "none": "absent"} {
		if got := conditionOf(t, stateDir, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}

	swept, err := Sweep(t.Context(), stateDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(swept)
	if want := []string{filepath.Base(private), "dead", "half"}; !slices.Equal(swept, want) {
		t.Errorf("swept %v, want %v", swept, want)
	}
	for dir, want := range map[string]bool{running: true, broken: true, ownedDir: true, dead: false, half: false, private: false} {
		if exists(dir) != want {
			t.Errorf("%s exists: %v, want %v", dir, !want, want)
		}
	}
	for _, p := range append(halfProcesses, privateProcesses...) {
		if p.Alive() {
			t.Errorf("%s of a swept sandbox still lives", p.Name)
		}
	}
	if !brokenProcesses[1].Alive() {
		t.Error("a process of a broken sandbox was killed")
	}
}

func TestSweepFindsProcessesThatTheStateDoesNotName(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(string) error{
		"missing":    os.Remove,
		"unreadable": func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
	} {
		stateDir := t.TempDir()
		dir, processes := fake(t, stateDir, "", false)
		if err := spoil(filepath.Join(dir, stateFile)); err != nil {
			t.Fatal(err)
		}
		if _, err := Sweep(t.Context(), stateDir, nil); err != nil {
			t.Fatal(err)
		}
		for _, p := range processes {
			if p.Alive() {
				t.Errorf("state %s: %s still lives", name, p.Name)
			}
		}
		if exists(dir) {
			t.Errorf("state %s: the folder is still there", name)
		}
	}
}

func TestSweepLeavesProcessesAloneThatOnlyHaveTheSameNumber(t *testing.T) {
	t.Parallel()
	stateDir := t.TempDir()
	dir, _, err := store{dir: stateDir}.claim(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	other := dummy(t, "not a sandbox", "bystander")
	reused := &process.Process{Name: nameEtcd, ID: process.ID{PID: other.PID, Mark: "before the last boot"}}
	if err := saveState(state{Info: Info{Dir: dir}, Ready: true, Processes: []*process.Process{reused}}); err != nil {
		t.Fatal(err)
	}
	if err := eraseAll(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if !other.Alive() {
		t.Error("a bystander was killed")
	}
}

func TestClaimRefusesALivingName(t *testing.T) {
	t.Parallel()
	stateDir := t.TempDir()
	_, processes := fake(t, stateDir, "mesh", true)
	if _, _, err := (store{dir: stateDir}).claim(t.Context(), "mesh"); !errors.Is(err, ErrExists) {
		t.Errorf("claim of a running name = %v, want ErrExists", err)
	}
	if err := killAll(t.Context(), processes); err != nil {
		t.Fatal(err)
	}
	_, owner, err := store{dir: stateDir}.claim(t.Context(), "mesh")
	if err != nil {
		t.Fatalf("claim of a dead name = %v", err)
	}
	defer owner.Release()
	if got := conditionOf(t, stateDir, "mesh"); got != Starting {
		t.Errorf("a claimed name is %s, want %s", got, Starting)
	}
	if _, _, err := (store{dir: stateDir}).claim(t.Context(), "mesh"); !errors.Is(err, ErrExists) {
		t.Errorf("claim of a name being started = %v, want ErrExists", err)
	}
	if err := Down(t.Context(), "mesh", stateDir); !errors.Is(err, ErrExists) {
		t.Errorf("Down of a name being started = %v, want ErrExists", err)
	}
}

func TestDownEndsProcessesAndRemovesFiles(t *testing.T) {
	t.Parallel()
	stateDir := t.TempDir()
	dir, processes := fake(t, stateDir, "mesh", true)
	if err := Down(t.Context(), "mesh", stateDir); err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if p.Alive() {
			t.Errorf("%s still lives", p.Name)
		}
	}
	if exists(dir) {
		t.Error("the folder is still there")
	}
	if err := Down(t.Context(), "mesh", stateDir); !errors.Is(err, ErrNotFound) {
		t.Errorf("Down again = %v, want ErrNotFound", err)
	}
}

func TestNamesThatLeadElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	stateDir := filepath.Join(t.TempDir(), "state")
	const name = "../../x"
	if _, err := Up(t.Context(), name, Config{StateDir: stateDir}); err == nil {
		t.Error("Up took it")
	}
	if err := Down(t.Context(), name, stateDir); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Down = %v, want the name to be refused", err)
	}
	if _, err := Open(t.Context(), name, stateDir); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Open = %v, want the name to be refused", err)
	}
}

func TestStateIsPrivateAndComesBack(t *testing.T) {
	t.Parallel()
	stateDir := t.TempDir()
	dir, processes := fake(t, stateDir, "mesh", true)
	info, err := os.Stat(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode of the state file = %v", got)
	}
	s, err := Open(t.Context(), "mesh", stateDir)
	if err != nil {
		t.Fatal(err)
	}
	want := PIDs{Etcd: processes[0].PID, APIServer: processes[1].PID, Istiod: processes[2].PID}
	if got := s.PIDs(); got != want || s.Name != "mesh" || s.Dir != dir {
		t.Errorf("Open = %s in %s with %+v, want %+v", s.Name, s.Dir, got, want)
	}
}

func TestWaitReportsADeathThatNobodyWanted(t *testing.T) {
	t.Parallel()
	stateDir := t.TempDir()
	_, processes := fake(t, stateDir, "mesh", true)
	s, err := Open(t.Context(), "mesh", stateDir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.KillIstiod(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done, err := s.check(); done {
		t.Errorf("after KillIstiod: %v", err)
	}
	if got := s.PIDs().Istiod; got != 0 {
		t.Errorf("PID of a killed istiod = %d", got)
	}
	if err := processes[0].Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	var ended *ProcessError
	if err := s.Wait(t.Context()); !errors.As(err, &ended) || ended.Name != nameEtcd {
		t.Errorf("Wait = %v, want the end of etcd", err)
	}
	if _, err := Open(t.Context(), "mesh", stateDir); err == nil {
		t.Error("a broken sandbox could be opened")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(t.Context()); err != nil {
		t.Errorf("Wait after Stop = %v", err)
	}
	if got := conditionOf(t, stateDir, "mesh"); got != "absent" {
		t.Errorf("after Stop it is %s", got)
	}
}
