package main

import (
	"log/slog"
	"strings"

	"github.com/urfave/cli/v2"
)

// runOptions are the flags of `run`, checked.
type runOptions struct {
	target   targetOptions
	out      string
	keep     bool
	quiet    bool
	level    slog.Level
	jsonLogs bool
}

func (s *system) runOptions(c *cli.Context) (runOptions, error) {
	opt := runOptions{out: c.String("out"), keep: c.Bool("keep"), quiet: c.Bool("quiet")}
	var err error
	if opt.target, err = s.targetOptions(c); err != nil {
		return opt, err
	}
	if err := opt.level.UnmarshalText([]byte(strings.ToUpper(c.String("log-level")))); err != nil {
		return opt, usage("--log-level %s: want debug, info, warn or error", c.String("log-level"))
	}
	switch f := c.String("log-format"); f {
	case "text":
	case "json":
		opt.jsonLogs = true
	default:
		return opt, usage("--log-format %s: want text or json", f)
	}
	if opt.out == "" {
		return opt, usage("--out: want a folder")
	}
	return opt, nil
}
