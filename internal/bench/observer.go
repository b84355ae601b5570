package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	observeEvery = 200 * time.Millisecond
	tick         = 10 * time.Millisecond // the unit of CPU time in /proc: USER_HZ is 100 on every Linux that Go runs on
)

// observer follows a process and its children: plscript and its sandbox's servers. It reads /proc, and sees nothing on
// other systems than Linux.
type observer struct {
	root int
	quit chan struct{}
	wg   sync.WaitGroup
	all  []sample
	// total is the CPU time of the root alone, from its start to its end.
	total time.Duration
}

// sample is what every process had used at one moment, by name; plscript's own is that of the root.
type sample struct {
	at  time.Time
	cpu map[string]time.Duration
	rss map[string]int64 // bytes
}

func observe(root int) *observer {
	o := &observer{root: root, quit: make(chan struct{})}
	o.wg.Go(func() {
		for {
			if s := o.look(); len(s.cpu) > 0 {
				o.all = append(o.all, s)
			}
			select {
			case <-time.After(observeEvery):
			case <-o.quit:
				return
			}
		}
	})
	return o
}

// stop ends the observation. What was seen may be read from then on.
func (o *observer) stop() {
	close(o.quit)
	o.wg.Wait()
}

func (o *observer) look() sample {
	s := sample{at: time.Now(), cpu: map[string]time.Duration{}, rss: map[string]int64{}}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return s
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		name, fields, ok := parseStat(string(raw))
		if !ok {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parent := number(fields[1])
		switch {
		case pid == o.root:
			name = "plscript"
		case int(parent) != o.root:
			continue
		}
		s.cpu[name] += time.Duration(number(fields[11])+number(fields[12])) * tick
		s.rss[name] += number(fields[21]) * int64(os.Getpagesize())
	}
	return s
}

// parseStat splits a line of /proc/PID/stat into the process's name and the fields from its state on (proc(5)).
func parseStat(line string) (name string, fields []string, ok bool) {
	from, to := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if from < 0 || to < from {
		return "", nil, false
	}
	fields = strings.Fields(line[to+1:])
	return line[from+1 : to], fields, len(fields) > 21
}

// number reads a field that the kernel wrote as one.
func number(field string) int64 {
	n, _ := strconv.ParseInt(field, 10, 64)
	return n
}

// between is the CPU time that a process used from one moment to another, as far as it was seen.
func (o *observer) between(name string, from, to time.Time) time.Duration {
	var first, last time.Duration
	began := false
	for _, s := range o.all {
		used, there := s.cpu[name]
		if !there || s.at.Before(from) || s.at.After(to) {
			continue
		}
		if !began {
			first, began = used, true
		}
		last = used
	}
	return last - first
}

// peak is the most memory that a process was seen to hold, in bytes.
func (o *observer) peak(name string) (most int64) {
	for _, s := range o.all {
		most = max(most, s.rss[name])
	}
	return most
}
