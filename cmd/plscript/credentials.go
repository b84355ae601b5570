package main

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/runtime/xdspool/auth"
)

// Where the injector mounts a pod's token for istiod and the mesh's root (Istio
// manifests/charts/istio-control/istio-discovery/files/injection-template.yaml).
const (
	podTokenFile = "/var/run/secrets/tokens/istio-token"
	podRootFile  = "/var/run/secrets/istio/root-cert.pem"
)

// tokens finds the source of the tokens that proxies show: a file, or the cluster's TokenRequest API.
func (r *session) tokens(mode auth.Mode) (auth.Tokens, error) {
	file := r.opt.target.tokenFile
	if r.target.google != nil && (file != "" || !r.hasAPI()) {
		return nil, errors.New("--auth google exchanges tokens of the cluster: name it with --kubeconfig or --context, and leave out --token-file")
	}
	if file == "" && !r.hasAPI() {
		if !exists(podTokenFile) {
			return nil, fmt.Errorf("--auth %s needs a token: name one with --token-file FILE, or the cluster that issues them with --kubeconfig or --context", mode)
		}
		file = podTokenFile
	}
	clock := wallClock{}
	if file != "" {
		return fileTokens{file}, checkToken(file, time.Now())
	}
	client, err := kubernetes.NewForConfig(r.target.rest)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if g := r.target.google; g != nil {
		return auth.Cached(auth.Exchange(auth.KubeTokens(client, g.WorkloadPool(), clock), *g, googleClient, ""), clock), nil
	}
	return auth.Cached(auth.KubeTokens(client, tokenAudience, clock), clock), nil
}

// roots finds what istiod is verified with: a file, the system's own for Google's istiod, or the mesh's root in the
// cluster. It is nil where only --insecure is left.
func (r *session) roots(mode auth.Mode) (auth.Roots, error) {
	file := r.opt.target.rootCert
	switch {
	case mode == auth.PlaintextJWT || r.opt.target.insecure && file == "" && !r.hasAPI():
		return nil, nil
	case file == "" && r.target.google != nil:
		return systemRoots{}, nil
	case file == "" && !r.hasAPI():
		if !exists(podRootFile) {
			return nil, fmt.Errorf("--auth %s needs the mesh's root: name it with --root-cert FILE, or trust anybody with --insecure", mode)
		}
		file = podRootFile
	}
	if file != "" {
		_, err := fileRoots{file}.Roots(context.Background())
		return fileRoots{file}, err
	}
	client, err := kubernetes.NewForConfig(r.target.rest)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return auth.KubeRoots(client, istioSystem), nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// fileTokens reads the token from a file each time, as the kubelet renews it there. It is the same for every proxy.
type fileTokens struct{ file string }

// Token implements [auth.Tokens].
func (t fileTokens) Token(context.Context, auth.Identity) (string, error) {
	b, err := os.ReadFile(t.file)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// checkToken finds what is wrong with a token without asking anybody, as istiod only says that it refuses one.
func checkToken(file string, now time.Time) error {
	text, err := fileTokens{file}.Token(context.Background(), auth.Identity{})
	if err != nil {
		return err
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return fmt.Errorf("--token-file %s: holds no token (a JWT: three parts with dots between them)", file)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return fmt.Errorf("--token-file %s: holds no token: %w", file, err)
	}
	var claims struct {
		Audience audiences `json:"aud"`
		Expires  int64     `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return fmt.Errorf("--token-file %s: holds no token: %w", file, err)
	}
	if at := time.Unix(claims.Expires, 0); claims.Expires != 0 && now.After(at) {
		return fmt.Errorf("--token-file %s: the token expired at %s", file, at.UTC().Format(time.RFC3339))
	}
	if !slices.Contains(claims.Audience, tokenAudience) {
		return fmt.Errorf("--token-file %s: the token is made out to %q, and istiod wants one for %q: kubectl create token NAME --audience %s",
			file, []string(claims.Audience), tokenAudience, tokenAudience)
	}
	return nil
}

// audiences is one or a list (RFC 7519, section 4.1.3).
type audiences []string

// UnmarshalJSON reads either.
func (a *audiences) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audiences{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// fileRoots reads the mesh's root from a file.
type fileRoots struct{ file string }

// Roots implements [auth.Roots].
func (f fileRoots) Roots(context.Context) (*x509.CertPool, error) {
	b, err := os.ReadFile(f.file)
	if err != nil {
		return nil, fmt.Errorf("--root-cert: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("--root-cert %s: holds no certificate in PEM", f.file)
	}
	return pool, nil
}

// systemRoots are those that the machine trusts.
type systemRoots struct{}

// Roots implements [auth.Roots].
func (systemRoots) Roots(context.Context) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, errors.Join(errors.New("the machine's own roots cannot be read"), err)
	}
	return pool, nil
}
