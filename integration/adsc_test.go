package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestADSC opens plain streams by istiod's address alone, in both protocols, and ends them in both ways.
func TestADSC(t *testing.T) {
	box := sharedSandbox(t)
	address := []string{"--pilot-address", box.XDSAddress(), "--auth", "plaintext"}
	t.Run("duration", func(t *testing.T) {
		p := run(t, 0, append([]string{"adsc", "--count=3", "--delta=false", "--duration=2s", "--metadata", "TEAM=a,b"}, address...)...)
		r := p.report(t)
		if r.Readings["xds.client.synced"] != 3.0 || r.Readings["xds.cds.responses"] == 0.0 || len(r.Writes) != 0 {
			t.Errorf("readings %v, writes %v", r.Readings, r.Writes)
		}
	})
	t.Run("interrupt", func(t *testing.T) {
		p := start(t, append([]string{"adsc", "--count=2"}, address...)...)
		p.awaitOutput(t, "hold started")
		if err := p.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code := p.wait(t); code != 0 && code != 5 {
			t.Errorf("exit %d\n%s\n%s", code, p.stdout, p.stderr)
		}
		if r := p.report(t); r.Phases[1].Status != "passed" || len(r.Thresholds) != 1 {
			t.Errorf("%+v", r.Phases)
		}
	})
	t.Run("by sandbox", func(t *testing.T) {
		checkSync(t, run(t, 0, "adsc", "--sandbox", box.Name, "--duration=1s").report(t))
	})
}

// TestADSCUnsynced: an interrupt before every stream is synced exits 5. istiod is there and takes connections, but one
// stream is in a namespace of a token it has not.
func TestADSCUnsynced(t *testing.T) {
	box := sharedSandbox(t)
	token, root := credentials(t, "default", "default")
	p := start(t, "adsc", "--pilot-address", box.SecureXDSAddress(), "--token-file", token, "--root-cert", root, "--namespace=elsewhere")
	p.awaitOutput(t, "hold started")
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != 5 {
		t.Errorf("exit %d\n%s\n%s", code, p.stdout, p.stderr)
	}
}

// TestADSCAuth: a token and the mesh's root from files are enough for istiod's secure port, and what does not fit is said.
func TestADSCAuth(t *testing.T) {
	box := sharedSandbox(t)
	token, root := credentials(t, "default", "default")
	secure := []string{"adsc", "--duration=1s", "--pilot-address", box.SecureXDSAddress()}
	plain := []string{"adsc", "--duration=1s", "--pilot-address", box.XDSAddress()}
	run(t, 0, append(secure, "--token-file", token, "--root-cert", root)...)
	run(t, 0, append(secure, "--token-file", token, "--insecure")...)
	run(t, 0, append(secure, "--auth=mtls", "--token-file", token, "--root-cert", root)...)
	run(t, 0, append(plain, "--auth=plaintext-jwt", "--token-file", token)...)
	run(t, 0, append(secure, "--kubeconfig", box.Kubeconfig())...) // the cluster issues the tokens and has the root

	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for what, c := range map[string]struct {
		args []string
		want string
	}{
		"TLS to the plaintext port":        {append(plain, "--token-file", token, "--root-cert", root), "set --auth plaintext"},
		"plaintext to the TLS port":        {append(secure, "--auth", "plaintext"), "does not speak plaintext gRPC"},
		"another root":                     {append(secure, "--token-file", token, "--root-cert", file(otherRoot(t))), "the root certificate does not fit"},
		"a token of nobody":                {append(secure, "--token-file", file("eyJhbGciOiJub25lIn0.eyJhdWQiOiJpc3Rpby1jYSJ9.eA"), "--root-cert", root), "the token does not fit"},
		"a token for somebody else":        {append(secure, "--token-file", file("eyJhbGciOiJub25lIn0.eyJhdWQiOlsieCJdfQ.eA"), "--root-cert", root), `made out to ["x"]`},
		"no token":                         {append(secure, "--token-file", file("hello"), "--root-cert", root), "holds no token"},
		"an old token":                     {append(secure, "--token-file", file("eyJhbGciOiJub25lIn0.eyJhdWQiOiJpc3Rpby1jYSIsImV4cCI6MX0.eA"), "--root-cert", root), "expired at 1970-01-01"},
		"no file of a token":               {append(secure, "--root-cert", root), "--token-file"},
		"no file of a root":                {append(secure, "--token-file", token), "--root-cert"},
		"no certificate":                   {append(secure, "--token-file", token, "--root-cert", file("hello")), "no certificate"},
		"nobody there":                     {[]string{"adsc", "--pilot-address", "127.0.0.1:1"}, "nothing listens there"},
		"a port that speaks HTTP":          {[]string{"adsc", "--auth=plaintext", "--pilot-address", box.MonitoringAddress()}, "it is not istiod's XDS port"},
		"writes without an api-server":     {[]string{"run", "--auth=plaintext", "--pilot-address", box.XDSAddress(), "../scenarios/sidecar.cue"}, "no way to write objects"},
		"impersonate without a target":     {[]string{"impersonate"}, "--sandbox NAME, --kubeconfig FILE or --context CONTEXT"},
		"pods of an istiod by its address": {[]string{"run", "--auth=plaintext", "--pilot-address", box.XDSAddress(), "builtin:impersonate"}, "no way to follow the pods"},
	} {
		t.Run(what, func(t *testing.T) {
			p := run(t, 3, c.args...)
			if text := p.stdout.String() + p.stderr.String(); !strings.Contains(text, c.want) {
				t.Errorf("it does not say %q:\n%s", c.want, text)
			}
		})
	}
}

// credentials makes files of a token for a ServiceAccount of the shared sandbox and of the mesh's root.
func credentials(t *testing.T, namespace, account string) (token, root string) {
	t.Helper()
	c, ctx := client(t, sharedSandbox(t)), t.Context()
	accounts := c.CoreV1().ServiceAccounts(namespace)
	_, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	issued, err := accounts.CreateToken(ctx, account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"istio-ca"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var roots *corev1.ConfigMap
	await(t, "the mesh's root, which istiod publishes a while after its start", func() bool {
		roots, err = c.CoreV1().ConfigMaps("istio-system").Get(ctx, "istio-ca-root-cert", metav1.GetOptions{})
		return err == nil
	})
	dir := t.TempDir()
	token, root = filepath.Join(dir, "token"), filepath.Join(dir, "root.pem")
	for file, text := range map[string]string{token: issued.Status.Token, root: roots.Data["root-cert.pem"]} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return token, root
}

// otherRoot is the certificate of an authority that signed nothing here.
func otherRoot(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
