package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/sandbox/internal/process"
)

// These tests run the real programs. What is not in the cache of the machine is built, which takes minutes the first time.

func integration(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real sandbox")
	}
}

// background is for programs that this binary plays: they have no test, and thus no context, to take one from.
func background() context.Context { return context.Background() }

func playPrivate(stateDir string) error {
	s, err := Start(background(), Config{StateDir: stateDir})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(s.PIDs()); err != nil {
		return err
	}
	time.Sleep(time.Minute) // to be killed
	return nil
}

func playNamed(stateDir, name string) error {
	_, err := Up(background(), name, Config{StateDir: stateDir})
	return err
}

// play starts this binary as another program.
func play(t *testing.T, role string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// newStateDir makes a state folder whose path is short enough for sockets.
func newStateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sbx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func startForTest(t *testing.T) *Sandbox {
	t.Helper()
	s, err := Start(t.Context(), Config{StateDir: newStateDir(t), Progress: func(e Event) { t.Log(e) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func clientOf(t *testing.T, s *Sandbox) *cluster {
	t.Helper()
	config, err := s.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCluster(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// page fetches one of istiod's pages.
func page(t *testing.T, url string) string {
	t.Helper()
	text, err := get(t.Context(), loopbackClient(""), url)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPrivateSandbox(t *testing.T) {
	integration(t)
	t.Parallel()
	s := startForTest(t)
	c := clientOf(t, s)
	t.Run("api-server", func(t *testing.T) { checkAPIServer(t, s, c) })
	t.Run("istiod", func(t *testing.T) { checkIstiod(t, s, c.client) })
	t.Run("injection", func(t *testing.T) { checkInjection(t, c.client) })
	t.Run("files", func(t *testing.T) { checkFiles(t, s) })
	t.Run("addresses", func(t *testing.T) { checkListeners(t, s) })
	t.Run("restart", func(t *testing.T) { checkRestart(t, s) })
	t.Run("death", func(t *testing.T) { checkDeath(t, s) })
	t.Run("stop", func(t *testing.T) { checkStop(t, s) })
}

func checkAPIServer(t *testing.T, s *Sandbox, c *cluster) {
	v, err := c.client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := version.ParseSemantic(v.GitVersion); err != nil || parsed.Major() != 1 || v.GitVersion != s.KubernetesVersion {
		t.Errorf("version %q (%v), and the sandbox says %q", v.GitVersion, err, s.KubernetesVersion)
	}
	if v.Major != "1" || v.Minor == "" {
		t.Errorf("major %q, minor %q", v.Major, v.Minor)
	}
	crds := map[string]bool{
		"virtualservices.networking.istio.io": true, "authorizationpolicies.security.istio.io": true,
		"gateways.gateway.networking.k8s.io": true, "httproutes.gateway.networking.k8s.io": true,
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.awaitEstablished(ctx, crds); err != nil {
		t.Error(err)
	}
	for _, namespace := range []string{"default", istioNamespace} {
		if _, err := c.client.CoreV1().ServiceAccounts(namespace).Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
	if _, err := get(t.Context(), &http.Client{}, s.APIServerURL()+"/version"); err == nil {
		t.Error("the api-server answered someone who does not know its authority")
	}
}

func checkIstiod(t *testing.T, s *Sandbox, client kubernetes.Interface) {
	page(t, "http://"+s.HTTPAddress()+"/ready")
	for _, address := range []string{s.HTTPAddress(), s.MonitoringAddress()} {
		if got := strings.TrimSpace(page(t, "http://"+address+"/debug/syncz")); got != "null" && got != "[]" {
			t.Errorf("syncz of a new sandbox at %s: %q", address, got)
		}
	}
	if !strings.Contains(page(t, "http://"+s.MonitoringAddress()+"/metrics"), "istio_build{") {
		t.Error("no istio_build among the metrics")
	}
	if s.IstioVersion == "" || strings.Contains(s.IstioVersion, "unknown") {
		t.Errorf("istiod's version = %q", s.IstioVersion)
	}
	// It runs on the rights of its own chart: nothing was denied, and an administrator's rights it does not have.
	log, err := os.ReadFile(s.logFile(nameIstiod))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), "forbidden") {
		t.Error("istiod's log speaks of something forbidden")
	}
	config, err := os.ReadFile(s.istiodKubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(config), "client-key-data") || !strings.Contains(string(config), "token:") {
		t.Error("istiod's kubeconfig holds no token, or a client certificate")
	}
}

// checkInjection creates a pod in a namespace with injection: the api-server must call istiod and trust it.
func checkInjection(t *testing.T, client kubernetes.Interface) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "injected", Labels: map[string]string{"istio-injection": "enabled"}}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: corev1.PodSpec{
		ServiceAccountName: "default",
		Containers:         []corev1.Container{{Name: "app", Image: "app"}},
	}}
	created, err := client.CoreV1().Pods(namespace.Name).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, container := range append(created.Spec.Containers, created.Spec.InitContainers...) {
		if container.Name == "istio-proxy" {
			return
		}
	}
	t.Error("the pod has no istio-proxy")
}

func checkFiles(t *testing.T, s *Sandbox) {
	err := filepath.WalkDir(s.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch perm := info.Mode().Perm(); {
		case entry.IsDir() && perm != 0o700:
			t.Errorf("%s has mode %v", path, perm)
		case entry.Type().IsRegular() && perm&0o077 != 0:
			t.Errorf("%s has mode %v", path, perm)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // etcd may remove a file of its own meanwhile
		t.Error(err)
	}
}

func checkRestart(t *testing.T, s *Sandbox) {
	before := s.PIDs()
	if err := s.RestartIstiod(t.Context()); err != nil {
		t.Fatal(err)
	}
	page(t, "http://"+s.HTTPAddress()+"/ready")
	if after := s.PIDs(); after.Istiod == before.Istiod || after.Etcd != before.Etcd || after.APIServer != before.APIServer {
		t.Errorf("PIDs before: %+v, after: %+v", before, after)
	}
	if done, err := s.check(); done {
		t.Errorf("a restart was reported: %v", err)
	}
}

func checkDeath(t *testing.T, s *Sandbox) {
	id, err := process.Identify(s.PIDs().Etcd)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Kill(); err != nil {
		t.Fatal(err)
	}
	var ended *ProcessError
	if err := s.Wait(t.Context()); !errors.As(err, &ended) || ended.Name != nameEtcd || ended.Exit != "signal: killed" || len(ended.Log) == 0 {
		t.Errorf("Wait = %v", err)
	}
}

func checkStop(t *testing.T, s *Sandbox) {
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := process.FindByEnv(markVariable, s.Dir); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	if exists(s.Dir) {
		t.Errorf("%s is still there", s.Dir)
	}
}

func TestNamedSandboxOutlivesItsMaker(t *testing.T) {
	integration(t)
	t.Parallel()
	stateDir := newStateDir(t)
	t.Cleanup(func() { Down(context.Background(), "mesh", stateDir) })
	if err := play(t, roleNamed, stateDir, "mesh").Run(); err != nil {
		t.Fatal(err)
	}
	if got := conditionOf(t, stateDir, "mesh"); got != Running {
		t.Fatalf("it is %s", got)
	}
	if _, err := Up(t.Context(), "mesh", Config{StateDir: stateDir}); !errors.Is(err, ErrExists) {
		t.Errorf("Up again = %v, want ErrExists", err)
	}
	s, err := Open(t.Context(), "mesh", stateDir)
	if err != nil {
		t.Fatal(err)
	}
	page(t, "http://"+s.HTTPAddress()+"/ready")
	if err := s.RestartIstiod(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), "mesh", stateDir)
	if err != nil {
		t.Fatal(err)
	}
	if again.PIDs() != s.PIDs() {
		t.Errorf("after a restart: %+v, and opened again: %+v", s.PIDs(), again.PIDs())
	}
	if err := Down(t.Context(), "mesh", stateDir); err != nil {
		t.Fatal(err)
	}
	checkStop(t, s)
}

func TestProcessesDieWithAKilledOwner(t *testing.T) {
	integration(t)
	t.Parallel()
	stateDir := newStateDir(t)
	owner := play(t, rolePrivate, stateDir)
	stdout, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pids PIDs
	if err := json.Unmarshal(line, &pids); err != nil {
		t.Fatal(err)
	}
	var ids []process.ID
	for _, pid := range []int{pids.Etcd, pids.APIServer, pids.Istiod} {
		id, err := process.Identify(pid)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if swept, err := Sweep(t.Context(), stateDir, nil); err != nil || len(swept) > 0 {
		t.Errorf("a living owner's sandbox was swept: %v, %v", swept, err)
	}
	owner.Process.Kill()
	owner.Wait()
	for _, id := range ids {
		awaitDeath(t, id)
	}
	if swept, err := Sweep(t.Context(), stateDir, nil); err != nil || len(swept) != 1 {
		t.Errorf("Sweep = %v, %v, want the one folder", swept, err)
	}
}

// awaitDeath polls: the end of a process that is not our child is no event.
func awaitDeath(t *testing.T, id process.ID) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); id.Alive(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still alive", id.PID)
		}
	}
}

func TestInterruptedStartLeavesNothing(t *testing.T) {
	integration(t)
	t.Parallel()
	for at, name := range map[string]string{"starting etcd": "", "starting kube-apiserver": "mesh", "applying": "", "starting istiod": "mesh"} {
		t.Run(at, func(t *testing.T) {
			stateDir := newStateDir(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			interrupted := errors.New("interrupted")
			var dir string
			_, err := start(ctx, Config{StateDir: stateDir, Progress: func(e Event) {
				if strings.HasPrefix(e.Stage, at) && !e.Done {
					dirs, err := store{dir: stateDir}.dirs()
					if err != nil || len(dirs) != 1 {
						t.Errorf("folders while it starts: %v, %v", dirs, err)
						return
					}
					dir = dirs[0]
					cancel(interrupted)
				}
			}}, name)
			if !errors.Is(err, interrupted) && !errors.Is(err, context.Canceled) {
				t.Errorf("start = %v", err)
			}
			if exists(dir) {
				t.Errorf("%s is still there", dir)
			}
			if left := process.FindByEnv(markVariable, dir); len(left) > 0 {
				t.Errorf("processes left: %v", left)
			}
		})
	}
}
