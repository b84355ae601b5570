package report

import (
	"fmt"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/plscript/plscript/runtime"
)

// usageMaxAge is how long one reading of the process serves. Conditions are evaluated at every change, thousands of
// times a second in a busy run; asking the kernel each time would show up in the very figure.
const usageMaxAge = 200 * time.Millisecond

// Usage is what a process has cost so far.
type Usage struct {
	CPU time.Duration // since the process started, user and system
	RSS int64         // resident memory in bytes
}

// SelfMeter sets loadgen.cpu and loadgen.rss: what plscript itself costs. While usage cannot be read there is no data.
type SelfMeter struct {
	clock runtime.Clock
	read  func() (Usage, error)

	mu    sync.Mutex
	base  time.Duration // CPU at the start
	last  Usage
	taken time.Time
	err   error
}

// NewSelfMeter returns a meter that counts CPU from now on. read asks for the usage, see [ProcessUsage].
func NewSelfMeter(clock runtime.Clock, read func() (Usage, error)) (*SelfMeter, error) {
	u, err := read()
	if err != nil {
		return nil, fmt.Errorf("reading what plscript costs: %w", err)
	}
	return &SelfMeter{clock: clock, read: read, base: u.CPU, last: u, taken: clock.Now()}, nil
}

// Read implements [runtime.Meter].
func (m *SelfMeter) Read(r runtime.Readings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.clock.Now(); now.Sub(m.taken) >= usageMaxAge {
		m.last, m.err = m.read()
		m.taken = now
	}
	if m.err != nil {
		return
	}
	r["loadgen.cpu"] = (m.last.CPU - m.base).Seconds()
	r["loadgen.rss"] = m.last.RSS
}

// ProcessUsage returns a func that reads the usage of the process with the given id.
func ProcessUsage(pid int32) (func() (Usage, error), error) {
	p, err := process.NewProcess(pid)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return func() (Usage, error) {
		t, err := p.Times()
		if err != nil {
			return Usage{}, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		mem, err := p.MemoryInfo()
		if err != nil {
			return Usage{}, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		return Usage{CPU: time.Duration((t.User + t.System) * float64(time.Second)), RSS: int64(mem.RSS)}, nil
	}, nil
}
