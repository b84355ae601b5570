package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBenchmarksAreReadByNameAndUnit(t *testing.T) {
	t.Parallel()
	got, err := parseBench(`goos: linux
pkg: github.com/plscript/plscript/runtime/xdspool/replay
BenchmarkSync-2                            	       3	1.234e+09 ns/op	       150.6 cpu-ms/op	         0.93 cpu-ms/MB
Benchmark of something that only says so
BenchmarkIdle/streamsPerConnection=1-2     	       3	          17.25 RSS-KB/stream	    123 ns/op
BenchmarkIdle/streamsPerConnection=100-2   	       3	          14 RSS-KB/stream
BenchmarkMemory 	       1	        52.4 KB/proxy
PASS
ok  	github.com/plscript/plscript/runtime/xdspool/replay	80.1s
`)
	if err != nil {
		t.Fatal(err)
	}
	want := figures{
		"Sync":                          {"ns/op": 1.234e9, "cpu-ms/op": 150.6, "cpu-ms/MB": 0.93},
		"Idle/streamsPerConnection=1":   {"RSS-KB/stream": 17.25, "ns/op": 123},
		"Idle/streamsPerConnection=100": {"RSS-KB/stream": 14},
		"Memory":                        {"KB/proxy": 52.4}, // on one processor
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestBrokenFiguresAreErrors(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"BenchmarkSync-2 \t 3\t 150.6 cpu-ms/op\t 0.93", "BenchmarkSync-2 \t 3\t many cpu-ms/op"} {
		if got, err := parseBench(line); err == nil {
			t.Errorf("%q: read as %v", line, got)
		}
	}
	f := figures{"Sync": {"cpu-ms/op": 1}}
	for _, missing := range [][2]string{{"Sync", "cpu-ms/MB"}, {"Idle", "cpu-ms/op"}} {
		if v, err := f.get(missing[0], missing[1]); err == nil {
			t.Errorf("%v was not measured, and is %v", missing, v)
		}
	}
}
