package actions

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	return p.Do(a.intents(p.Mesh, r, time.Time{}))
}

func (a *reproduce) Run(ctx context.Context, env *runtime.Env) error {
	r, err := a.replay(env.Mesh)
	if err != nil {
		return err
	}
	refused := &refusals{}
	err = env.ExecuteEach(ctx, a.intents(env.Mesh, r, env.Clock.Now()), refused.note)
	r.Left = append(r.Left, refused.left...)
	if len(refused.left) > 0 && env.Log != nil {
		env.Log.Warn("not all that was captured could be reproduced", "refused", len(refused.left), "first", refused.left[0].String())
	}
	return errors.Join(err, a.report(env, r))
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

// intents are the nodes, the objects in order, and then the proxies, each after the delay.
func (a *reproduce) intents(m *runtime.Mesh, r *capture.Replay, now time.Time) runtime.Intents {
	return func(yield func(runtime.Intent, error) bool) {
		for _, n := range r.Nodes {
			made, err := capturedNode(m, n, now)
			if err != nil {
				yield(runtime.Intent{}, err)
				return
			}
			for _, in := range made {
				if !yield(in, nil) {
					return
				}
			}
		}
		m.AddFound(r.Population)
		for _, w := range r.Writes {
			if !yield(capturedIntent(w), nil) || w.Settle && !yield(runtime.Intent{Pause: settle}, nil) {
				return
			}
		}
		for i, p := range r.Proxies {
			if i > 0 && a.Delay > 0 && !yield(runtime.Intent{Pause: a.Delay.Std()}, nil) {
				return
			}
			want := runtime.Intent{
				Kind: string(p.Class), Namespace: p.Namespace, Name: p.Name, Class: p.Class, CSR: m.Certify,
				Want: func() runtime.Proxy { p.CSR = m.Certify; return p },
			}
			if !yield(want, nil) {
				return
			}
		}
	}
}

// settle is how long the api-server's allocators may take to see a new range of Service addresses.
const settle = 500 * time.Millisecond

func capturedIntent(w capture.Write) runtime.Intent {
	return runtime.Intent{
		Verb: runtime.VerbCreate, Group: w.Group, Kind: w.Kind, Namespace: w.Object.GetNamespace(), Name: w.Object.GetName(), Barrier: w.Barrier,
		// The writer labels what it is given.
		Build: func() runtime.Object { return w.Object.DeepCopyObject().(runtime.Object) },
	}
}

// capturedNode plans a Node of the captured cluster: with its name, its labels and its address.
func capturedNode(m *runtime.Mesh, from capture.Node, now time.Time) ([]runtime.Intent, error) {
	n, err := m.AddNode(runtime.Node{Name: from.Name, Zone: from.Labels[corev1.LabelTopologyZone], Region: from.Labels[corev1.LabelTopologyRegion]})
	if err != nil {
		return nil, err
	}
	spec := plainNode
	spec.Labels = from.Labels
	out := nodeIntents(n, spec, now)
	build := out[0].Build
	out[0].Build = func() runtime.Object {
		o := build()
		node, ok := o.(*corev1.Node)
		if !ok {
			return o
		}
		for key, v := range node.Labels {
			if v == "" && from.Labels[key] == "" {
				delete(node.Labels, key) // it was in no zone
			}
		}
		for i := range node.Status.Addresses {
			if a := &node.Status.Addresses[i]; a.Type == corev1.NodeInternalIP && from.IP != "" {
				a.Address = from.IP
			}
		}
		return node
	}
	return out, nil
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

// report writes the list of what was left out and changed.
func (a *reproduce) report(env *runtime.Env, r *capture.Replay) error {
	if env.Files == nil || len(r.Left)+len(r.Changed) == 0 {
		return nil
	}
	f, err := env.Files.Create(listName(env.Step), false)
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
