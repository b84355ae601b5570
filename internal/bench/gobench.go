package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// figures are what benchmarks measured, by their name and unit: {"Sync": {"cpu-ms/op": 151}}.
type figures map[string]map[string]float64

// benchLine is the line of one benchmark: its name, the number of processors it may use, its runs, and its figures.
var benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-[0-9]+)?[ \t]+[0-9]+[ \t]+(\S.*)$`)

// parseBench reads the output of `go test -bench`. What is not a benchmark's line is passed over.
func parseBench(output string) (figures, error) {
	out := figures{}
	for _, line := range benchLine.FindAllStringSubmatch(output, -1) {
		fields := strings.Fields(line[2])
		if len(fields)%2 != 0 {
			return nil, fmt.Errorf("benchmark %s: a value without a unit in %q", line[1], line[2])
		}
		units := map[string]float64{}
		for i := 0; i < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("benchmark %s: %w", line[1], err)
			}
			units[fields[i+1]] = v
		}
		out[line[1]] = units
	}
	return out, nil
}

// get returns a figure. One that was not measured is an error: it is not 0.
func (f figures) get(name, unit string) (float64, error) {
	v, ok := f[name][unit]
	if !ok {
		return 0, fmt.Errorf("benchmark %s has printed no %s", name, unit)
	}
	return v, nil
}

// goBench runs the benchmarks of a package of this repository that match pattern, each as often as times says ("1x").
// args go to the test binary.
func goBench(pkg, pattern, times string, args ...string) (figures, error) {
	line := []string{"test", pkg, "-run", "^$", "-bench", "^" + pattern + "$", "-benchtime", times, "-timeout", "30m"}
	if len(args) > 0 {
		line = append(append(line, "-args"), args...)
	}
	text, err := exec.Command("go", line...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return parseBench(string(text))
}
