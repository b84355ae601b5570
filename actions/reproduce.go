package actions

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/capture"
)

//go:embed reproduce.cue
var reproduceCUE string

type reproduce struct {
	File       string      `json:"file"`
	Delay      ir.Duration `json:"delay"`
	ConfigOnly bool        `json:"configOnly"`

	captured *capture.Capture
}

// Check reads the file, once for plan and run.
func (a *reproduce) Check(ctx context.Context, c *runtime.Checker) {
	if a.File == "" {
		return // which lang has reported
	}
	in, err := c.Open(a.File)
	if err != nil {
		c.Errorf("file", "cannot be opened: %v", err)
		return
	}
	defer in.Close()
	if a.captured, err = capture.Read(ctx, in); err != nil {
		c.Errorf("file", "%s %v%s", a.File, err, firstLeft(a.captured))
	}
}

// firstLeft says of a file without a usable object what it has instead.
func firstLeft(c *capture.Capture) string {
	if c == nil || len(c.Left) == 0 {
		return ""
	}
	s := ": " + c.Left[0].String()
	if more := len(c.Left) - 1; more > 0 {
		s += fmt.Sprintf(", and %d more like it", more)
	}
	return s
}

func (a *reproduce) Plan(_ context.Context, p *runtime.Planner) error {
	r, err := a.replay(p.Mesh)
	if err != nil {
		return err
	}
	p.Says(summary(a.captured.Len()+len(a.captured.Left), r))
	for _, intents := range a.parts(p.Mesh, r, time.Time{}) {
		if err := p.Do(intents); err != nil {
			return err
		}
	}
	return nil
}

func (a *reproduce) Run(ctx context.Context, env *runtime.Env) error {
	r, err := a.replay(env.Mesh)
	if err != nil {
		return err
	}
	refused := &refusals{}
	for i, intents := range a.parts(env.Mesh, r, env.Clock.Now()) {
		if i == partUnready {
			err = awaitPods(ctx, env, r.Unready)
		}
		if err == nil {
			err = env.ExecuteEach(ctx, intents, refused.note)
		}
		if err != nil {
			break
		}
	}
	r.Left = append(r.Left, refused.left...)
	return errors.Join(err, a.report(env, r))
}

// awaitPods waits until the pods have started, of which some are then said not to be ready.
func awaitPods(ctx context.Context, env *runtime.Env, pods []capture.Write) error {
	if env.Readiness == nil || len(pods) == 0 {
		return nil
	}
	keys := make([]string, len(pods))
	for i, w := range pods {
		keys[i] = w.Object.GetNamespace() + "/" + w.Object.GetName()
	}
	return env.Readiness.AwaitReady(ctx, keys)
}

// replay makes what was captured fit the target.
func (a *reproduce) replay(m *runtime.Mesh) (*capture.Replay, error) {
	return a.captured.Fit(capture.Options{Cluster: m.Cluster, ConfigOnly: a.ConfigOnly, Address: m.AddMachine})
}

// summary says in a line what comes of a file that holds so many objects.
func summary(objects int, r *capture.Replay) string {
	s := fmt.Sprintf("%d of %d objects", objects-len(r.Left), objects)
	if len(r.Left) > 0 {
		var kinds []string
		for _, k := range capture.CountLeft(r.Left) {
			kinds = append(kinds, fmt.Sprintf("%d %s", k.Count, k.Kind))
		}
		s += "; left out: " + strings.Join(kinds, ", ")
	}
	if len(r.Changed) > 0 {
		s += fmt.Sprintf("; changed: %d", len(r.Changed))
	}
	return s
}

// partUnready is the part of pods that were not ready.
const partUnready = 1

// parts are what is done one after the other: the nodes and the objects in order; the pods that were not ready; the
// proxies.
func (a *reproduce) parts(m *runtime.Mesh, r *capture.Replay, now time.Time) []runtime.Intents {
	return []runtime.Intents{a.objects(m, r, now), writes(r.Unready), a.proxies(m, r.Proxies)}
}

// refusals are the objects that the api-server would not take.
type refusals struct {
	mu   sync.Mutex
	left []capture.Left
}

// note keeps a refusal, and returns every other error: a target that does not answer ends the step.
func (r *refusals) note(in runtime.Intent, err error) error {
	why := refusal(err)
	if why == "" {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = append(r.left, capture.Left{Ref: capture.Ref{Kind: in.Kind, Namespace: in.Namespace, Name: in.Name}, Reason: why})
	return nil
}

// refusal says why the api-server does not take an object, "" if the error is of another nature.
func refusal(err error) string {
	status := apierrors.APIStatus(nil)
	collision := (*runtime.CollisionError)(nil)
	switch {
	case errors.As(err, &collision):
		return "exists already, and is left as it is"
	case meta.IsNoMatchError(err):
		return "is of a kind that the target does not serve"
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsForbidden(err), apierrors.IsAlreadyExists(err), apierrors.IsMethodNotSupported(err),
		apierrors.IsRequestEntityTooLargeError(err), apierrors.IsNotFound(err):
		if errors.As(err, &status) {
			return "was refused: " + status.Status().Message
		}
	}
	return ""
}

// shown is how many of those left out are shown at once; the file lists all.
const shown = 20

// report tells what was left out, and writes the whole list with what was changed.
func (a *reproduce) report(env *runtime.Env, r *capture.Replay) error {
	if len(r.Left)+len(r.Changed) == 0 {
		return nil
	}
	name := listName(env.Step)
	if env.Results != nil {
		for _, l := range r.Left[:min(shown, len(r.Left))] {
			env.Results.Result("left out  " + l.String())
		}
		if more := len(r.Left) - shown; more > 0 {
			env.Results.Result(fmt.Sprintf("left out  %d more, listed in %s", more, name))
		}
	}
	if env.Files == nil {
		return nil
	}
	f, err := env.Files.Create(name, false)
	if err != nil {
		return fmt.Errorf("list what was left out: %w", err)
	}
	return errors.Join(capture.WriteList(f, r.Left, r.Changed), f.Close())
}

// listName is the file of a step's list; a scenario may have several steps that reproduce.
func listName(s *ir.Step) string {
	if s == nil || s.Name == "" || s.Name == s.Kind {
		return "reproduced.txt"
	}
	return "reproduced-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, s.Name) + ".txt"
}
