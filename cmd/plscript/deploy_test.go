package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/plscript/plscript/runtime/report"
)

// manifests decodes the objects of a file strictly: an unknown or doubled field is an error.
func manifests(t *testing.T, file string) []k8sruntime.Object {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	docs := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	var out []k8sruntime.Object
	for {
		doc := make([]byte, len(text))
		n, err := docs.Read(doc)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		o, _, err := decoder.Decode(doc[:n], nil, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", file, err, doc[:n])
		}
		out = append(out, o)
	}
}

// TestDeployManifests: what is applied fits together, and the Job's command line is one that plscript takes.
func TestDeployManifests(t *testing.T) {
	var role *rbacv1.ClusterRole
	var binding *rbacv1.ClusterRoleBinding
	var account *corev1.ServiceAccount
	var config *corev1.ConfigMap
	var job *batchv1.Job
	for _, o := range append(manifests(t, "plscript.yaml"), manifests(t, "rbac.yaml")...) {
		switch o := o.(type) {
		case *rbacv1.ClusterRole:
			role = o
		case *rbacv1.ClusterRoleBinding:
			binding = o
		case *corev1.ServiceAccount:
			account = o
		case *corev1.ConfigMap:
			config = o
		case *batchv1.Job:
			job = o
		}
	}
	if role == nil || binding == nil || account == nil || config == nil || job == nil {
		t.Fatal("an object is missing")
	}
	pod := job.Spec.Template.Spec
	if s := binding.Subjects[0]; binding.RoleRef.Name != role.Name || s.Name != account.Name || s.Namespace != account.Namespace || pod.ServiceAccountName != account.Name {
		t.Errorf("binding %+v, account %s/%s, pod's %s", binding, account.Namespace, account.Name, pod.ServiceAccountName)
	}
	kubeconfig, err := clientcmd.Load([]byte(config.Data["kubeconfig.yaml"]))
	if err != nil || clientcmd.Validate(*kubeconfig) != nil && !strings.Contains(clientcmd.Validate(*kubeconfig).Error(), "/var/run/secrets") {
		t.Errorf("kubeconfig: %v, %v", err, clientcmd.Validate(*kubeconfig))
	}
	args := pod.Containers[0].Args
	if !slices.Contains(args, "--yes-this-cluster="+kubeconfig.CurrentContext) {
		t.Errorf("the context is %q, and the Job says %q", kubeconfig.CurrentContext, args)
	}
	file := filepath.Join("..", "..", "deploy", filepath.Base(args[1]))
	if got := plscript(t, "plscript", "plan", "--rbac", file); got != readDeploy(t, "rbac.yaml") {
		t.Errorf("rbac.yaml is not what `plscript plan --rbac deploy/scenario.cue` prints:\n%s", got)
	}
	// With --help-params a run checks its flags and runs nothing.
	plscript(t, append([]string{"plscript", "run", file, "--help-params"}, args[2:]...)...)
}

func readDeploy(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDashboard: each panel asks for metrics that plscript has, or that are not its own.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		Title      string `json:"title"`
		Templating struct {
			List []struct {
				Name string `json:"name"`
			} `json:"list"`
		} `json:"templating"`
		Panels []struct {
			ID      int    `json:"id"`
			Type    string `json:"type"`
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	text := readDeploy(t, "dashboard.json")
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	known := slices.Collect(maps.Values(report.MetricNames()))
	known = append(known, "plscript_run_info")
	ours := regexp.MustCompile(`plscript_[a-z0-9_]+`)
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d %q: has another's number, or asks for nothing", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			for _, name := range ours.FindAllString(target.Expr, -1) {
				if !slices.Contains(known, name) {
					t.Errorf("panel %q asks for %s, which plscript does not have", p.Title, name)
				}
			}
			if strings.Count(target.Expr, "(") != strings.Count(target.Expr, ")") || strings.Count(target.Expr, "{") != strings.Count(target.Expr, "}") {
				t.Errorf("panel %q: %s", p.Title, target.Expr)
			}
		}
	}
	if len(ids) < 20 {
		t.Errorf("%d panels", len(ids))
	}
}
