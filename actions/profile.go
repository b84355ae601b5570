package actions

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed profile.cue
var profileCUE string

type profile struct {
	Kind     string      `json:"kind"`
	Duration ir.Duration `json:"duration"`
}

// defaultProfile is how long what takes time is profiled.
const defaultProfile = 10 * time.Second

// page is the page of net/http/pprof, which istiod serves below its debug pages, and the suffix of what it answers.
func (a *profile) page() (path, suffix string) {
	switch a.Kind {
	case "cpu":
		path, suffix = "/debug/pprof/profile", ".pb.gz"
	case "trace":
		path, suffix = "/debug/pprof/trace", ".trace"
	default:
		path, suffix = "/debug/pprof/"+a.Kind, ".pb.gz"
	}
	if d := a.duration(); d > 0 {
		path += fmt.Sprintf("?seconds=%d", int(d/time.Second))
	}
	return path, suffix
}

func (a *profile) duration() time.Duration {
	if a.Duration == 0 && (a.Kind == "cpu" || a.Kind == "trace") {
		return defaultProfile
	}
	return a.Duration.Std()
}

func (a *profile) Check(_ context.Context, c *runtime.Checker) {
	if a.Duration.Std()%time.Second != 0 {
		c.Errorf("duration", "%v: istiod profiles for whole seconds", a.Duration)
	}
}

func (a *profile) Plan(_ context.Context, p *runtime.Planner) error {
	p.Says(a.Kind + " of istiod into " + a.file(p.Step))
	p.Takes(a.duration())
	return nil
}

func (a *profile) file(s *ir.Step) string {
	_, suffix := a.page()
	return "profiles/" + stepFile(s) + "-" + a.Kind + suffix
}

func (a *profile) Run(ctx context.Context, env *runtime.Env) error {
	path, suffix := a.page()
	return eachIstiod(env, func(pages runtime.Pages, istiod string) error {
		body, err := pages.Page(ctx, path)
		if err != nil {
			return fmt.Errorf("profile of istiod: %w", err)
		}
		name := strings.TrimSuffix(a.file(env.Step), suffix)
		if istiod != "" {
			name += "-" + istiod
		}
		return writeRunFile(env.Files, name+suffix, body)
	})
}

// eachIstiod does f for all istiods at once, with a name for what f keeps of each: "istiod-0" and so on, but "" for one
// that is alone.
func eachIstiod(env *runtime.Env, f func(pages runtime.Pages, istiod string) error) error {
	if len(env.Istiods) == 0 {
		return noPages()
	}
	var all errgroup.Group
	for i, pages := range env.Istiods {
		name := ""
		if len(env.Istiods) > 1 {
			name = fmt.Sprintf("istiod-%d", i)
		}
		all.Go(func() error {
			err := f(pages, name)
			if err != nil && name != "" {
				return fmt.Errorf("%s: %w", name, err)
			}
			return err
		})
	}
	return all.Wait()
}

func noPages() error {
	return &runtime.NoServiceError{Need: "read istiod's debug pages", Hint: "name istiod's monitoring port with --istiod-address"}
}

// writeRunFile puts a file into the run's folder.
func writeRunFile(files runtime.Files, name string, body []byte) error {
	if files == nil {
		return &runtime.NoServiceError{Need: "keep files"}
	}
	w, err := files.Create(name, false)
	if err != nil {
		return err
	}
	_, err = w.Write(body)
	if err := errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
