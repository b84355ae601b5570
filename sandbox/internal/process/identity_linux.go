package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// bootID tells one boot from the next: start times count from the boot, so they repeat.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(id))
})

// inspect reads when a process began, in clock ticks since the boot (proc(5), /proc/PID/stat field 22), and whether it is a zombie.
func inspect(pid int) (mark string, zombie bool, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false, err
	}
	// The second field is the program's name in brackets and may itself hold brackets and blanks; what follows the last one does not.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const state, started = 0, 19 // fields 3 and 22 of the whole line
	if len(fields) <= started {
		return "", false, fmt.Errorf("unreadable /proc/%d/stat", pid)
	}
	return bootID() + ":" + fields[started], fields[state] == "Z" || fields[state] == "X", nil
}

// FindByEnv returns the processes that were started with the variable key=value in their environment. Processes whose
// environment may not be read are passed over: they are another user's.
func FindByEnv(key, value string) []ID {
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil // only a malformed pattern fails
	}
	want := []byte(key + "=" + value)
	var found []ID
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err != nil || !containsVariable(env, want) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		if id, err := Identify(pid); err == nil {
			found = append(found, id)
		}
	}
	return found
}

func containsVariable(env, want []byte) bool {
	for variable := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.Equal(variable, want) {
			return true
		}
	}
	return false
}
