package actions

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/runtimetest"
)

// file is the one file of a test.
type file string

func (f file) Open(_, name string) (io.ReadCloser, error) {
	if name != "mesh.yaml" {
		return nil, errors.New("no such file")
	}
	return io.NopCloser(strings.NewReader(string(f))), nil
}

// folder keeps what a run writes.
type folder map[string]*bytes.Buffer

type closed struct{ *bytes.Buffer }

func (closed) Close() error { return nil }

func (f folder) Create(name string, _ bool) (io.WriteCloser, error) {
	f[name] = &bytes.Buffer{}
	return closed{f[name]}, nil
}

const mesh = `
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1}}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, clusterIP: 10.96.0.9, ports: [{port: 80}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: app, image: a}, {name: istio-proxy, image: p, args: [proxy, sidecar]}]}
status: {phase: Running, podIP: 10.1.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: app, image: a}, {name: istio-proxy, image: p, args: [proxy, sidecar]}]}
status: {phase: Running, podIP: 10.1.0.2, conditions: [{type: Ready, status: "False"}]}
---
{apiVersion: networking.istio.io/v1beta1, kind: DestinationRule, metadata: {name: web, namespace: shop}, spec: {host: web}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: all}}
`

// replayed runs a reproduce step on a recording writer.
func replayed(t *testing.T, a *reproduce, w *runtimetest.Writer, files folder) (out *runtime.Outcome, plan *runtime.Plan, proxies *runtimetest.Proxies) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := runtimetest.Scenario(a)
		s.Cluster = ir.ClusterSandbox
		g, ds := runtime.Compile(t.Context(), s, file(mesh))
		if ds != nil {
			t.Fatal(ds)
		}
		if plan, ds = g.Plan(t.Context()); ds != nil {
			t.Fatal(ds)
		}
		proxies = &runtimetest.Proxies{}
		out = g.Run(t.Context(), runtime.Parts{
			RunID: "r", Clock: runtimetest.Clock{}, Writer: w, Proxies: proxies, Signal: &runtime.Signal{}, Services: runtime.Services{Files: files},
		})
	})
	return out, plan, proxies
}

func TestReproduce(t *testing.T) {
	t.Parallel()
	w, files := &runtimetest.Writer{Latency: time.Millisecond}, folder{}
	out, plan, proxies := replayed(t, &reproduce{File: "mesh.yaml", Delay: ir.Duration(time.Second)}, w, files)
	if out.Exit != runtime.ExitPass {
		t.Fatal(out.Err)
	}
	planned := map[runtime.WriteKey]int64{}
	writes, _ := plan.Totals()
	for _, c := range writes {
		planned[c.WriteKey] = c.Count
	}
	if diff := cmp.Diff(planned, w.Counts()); diff != "" {
		t.Errorf("planned and written differ:\n%s", diff)
	}
	var order []string
	for _, x := range w.Writes() {
		order = append(order, string(x.Verb)+" "+x.Kind+" "+x.Name)
		switch o := x.Object.(type) {
		case *corev1.Node:
			if o.Status.Addresses[0].Address != "192.168.0.1" || o.Labels[corev1.LabelTopologyZone] != "z1" || o.Labels[runtime.LabelClass] == "" {
				t.Errorf("node %v %v", o.Labels, o.Status.Addresses)
			}
		case *corev1.Pod:
			if x.Verb == runtime.VerbCreate && o.Annotations[runtime.AnnotationIP] == "" {
				t.Errorf("pod %s has no address", o.Name)
			}
		}
	}
	want := "create Node n1, create Lease n1, create Namespace shop, create Service web, create DestinationRule web, create Pod web-1, create Pod web-2, status Pod web-2"
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("written:\n%s\nwant:\n%s", got, want)
	}
	for _, p := range proxies.Wanted() {
		if p.Class != runtime.ClassSidecar || !p.Pod || p.Zone != "z1" || p.Node != "n1" || !strings.HasPrefix(p.IP, "10.1.0.") {
			t.Errorf("proxy %+v", p)
		}
	}
	if len(proxies.Wanted()) != 2 || plan.Proxies[runtime.ClassSidecar] != 2 || plan.Population.Pods != 1 {
		t.Errorf("%d proxies, planned %v of %+v", len(proxies.Wanted()), plan.Proxies, plan.Population)
	}
	if d := plan.Expected(); d != time.Second {
		t.Errorf("takes %v: one second between two proxies", d)
	}
	if list := files["reproduced-a.txt"]; list == nil || !strings.Contains(list.String(), "left out  ClusterRole all (line 22): would give rights away") {
		t.Errorf("the list:\n%s", list)
	}
}

// TestReproduceGoesOn: what the api-server refuses, or has already, is listed and does not end the step.
func TestReproduceGoesOn(t *testing.T) {
	t.Parallel()
	w, files := &runtimetest.Writer{Fail: func(op runtime.Op) error {
		switch kind := runtimetest.GroupKind(op.Object).Kind; kind {
		case "Service":
			return &runtime.CollisionError{Kind: kind, Name: "web"}
		case "DestinationRule":
			return apierrors.NewBadRequest("the host is wrong")
		}
		return nil
	}}, folder{}
	out, _, _ := replayed(t, &reproduce{File: "mesh.yaml"}, w, files)
	if out.Exit != runtime.ExitPass {
		t.Fatal(out.Err)
	}
	for _, line := range []string{"left out  Service shop/web: exists already", "left out  DestinationRule shop/web: was refused: the host is wrong"} {
		if !strings.Contains(files["reproduced-a.txt"].String(), line) {
			t.Errorf("%q is not in the list:\n%s", line, files["reproduced-a.txt"])
		}
	}
}

// TestReproduceEnds: a target that does not answer ends the step.
func TestReproduceEnds(t *testing.T) {
	t.Parallel()
	w := &runtimetest.Writer{Fail: func(runtime.Op) error { return errors.New("connection refused") }}
	if out, _, _ := replayed(t, &reproduce{File: "mesh.yaml"}, w, folder{}); out.Exit != runtime.ExitAction {
		t.Errorf("exit %d: %v", out.Exit, out.Err)
	}
}

func TestReproduceConfigOnly(t *testing.T) {
	t.Parallel()
	w := &runtimetest.Writer{}
	out, plan, proxies := replayed(t, &reproduce{File: "mesh.yaml", ConfigOnly: true}, w, folder{})
	if out.Exit != runtime.ExitPass || len(w.Writes()) != 3 || len(proxies.Wanted()) != 0 || plan.Population.Nodes+plan.Population.Pods != 0 {
		t.Errorf("%v: %d writes, %d proxies, %+v", out.Err, len(w.Writes()), len(proxies.Wanted()), plan.Population)
	}
}

// TestReproduceUnreadable: a file that cannot be read is a mistake in the scenario, found before anything runs.
func TestReproduceUnreadable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"{": "is not JSON", "a: b": "no object that istiod reads"} {
		_, ds := runtime.Compile(t.Context(), runtimetest.Scenario(&reproduce{File: "mesh.yaml"}), file(text))
		if len(ds) != 1 || ds[0].Path != "phases[0].steps[0].file" || !strings.Contains(ds[0].Message, want) {
			t.Errorf("%q: %v", text, ds)
		}
	}
	if _, ds := runtime.Compile(t.Context(), runtimetest.Scenario(&reproduce{File: "other.yaml"}), file("")); len(ds) != 1 {
		t.Errorf("no such file: %v", ds)
	}
}
