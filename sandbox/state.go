package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/plscript/plscript/sandbox/internal/process"
)

// stateFile is in the folder of every sandbox.
const stateFile = "sandbox.json"

// state is the content of the state file.
type state struct {
	Info
	Ready     bool               `json:"ready"` // its start was completed
	Processes []*process.Process `json:"processes"`
	Istiods   []process.Spec     `json:"istiods"`
}

// save writes the state file. Hold s.mu.
func (s *Sandbox) save() error {
	return saveState(state{Info: s.Info, Ready: s.ready, Processes: s.processes, Istiods: s.istiods})
}

func saveState(st state) error {
	content, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the sandbox's state: %w", err)
	}
	path := filepath.Join(st.Dir, stateFile)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("saving the sandbox's state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("saving the sandbox's state: %w", err)
	}
	return nil
}

// loadState reads the state file of the sandbox in dir. None at all is an empty state: its maker was killed early.
func loadState(dir string) (state, error) {
	content, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return state{Info: Info{Dir: dir}}, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("reading the sandbox's state: %w", err)
	}
	var st state
	if err := json.Unmarshal(content, &st); err != nil {
		return state{}, fmt.Errorf("reading the sandbox's state: %s: %w", dir, err)
	}
	st.Dir = dir // wherever it says it was: what is removed must be what was looked at
	return st, nil
}

func (st state) alive() (alive, dead []*process.Process) {
	for _, p := range st.Processes {
		if p.Alive() {
			alive = append(alive, p)
		} else {
			dead = append(dead, p)
		}
	}
	return alive, dead
}
