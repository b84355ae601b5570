package main

import (
	"log/slog"
	"net"
	"strings"

	"github.com/urfave/cli/v2"
)

// runOptions are the flags of `run`, checked.
type runOptions struct {
	target   targetOptions
	out      string
	metrics  string // host:port where Prometheus finds the measures, "" for nowhere
	writer   string // "api", "store" or ""
	keep     bool
	live     bool // the run starts pods in a cluster that is in use: what runs there is no obstacle, and istiod is not needed
	quiet    bool
	level    slog.Level
	jsonLogs bool
}

// The values of --writer.
const (
	writerAPI   = "api"
	writerStore = "store"
)

func (s *system) runOptions(c *cli.Context) (runOptions, error) {
	opt := runOptions{out: c.String("out"), keep: c.Bool("keep"), quiet: c.Bool("quiet")}
	var err error
	if opt.target, err = s.targetOptions(c); err != nil {
		return opt, err
	}
	if err := opt.level.UnmarshalText([]byte(strings.ToUpper(c.String("log-level")))); err != nil {
		return opt, usage("--log-level %s: want debug, info, warn or error", c.String("log-level"))
	}
	switch opt.writer = c.String("writer"); {
	case opt.writer != "" && opt.writer != writerAPI && opt.writer != writerStore:
		return opt, usage("--writer %s: want api or store", opt.writer)
	case opt.writer == writerStore && opt.target.cluster():
		return opt, usage("--writer store: only a sandbox's store may be written to; leave out --kubeconfig and --context")
	}
	switch f := c.String("log-format"); f {
	case "text":
	case "json":
		opt.jsonLogs = true
	default:
		return opt, usage("--log-format %s: want text or json", f)
	}
	if opt.metrics = c.String("metrics-address"); opt.metrics != "" {
		if _, _, err := net.SplitHostPort(opt.metrics); err != nil {
			return opt, usage("--metrics-address %s: want host:port, as in 127.0.0.1:9464", opt.metrics)
		}
	}
	if opt.out == "" {
		return opt, usage("--out: want a folder")
	}
	return opt, nil
}
