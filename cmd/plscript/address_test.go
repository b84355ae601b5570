package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/plscript/plscript/runtime/xdspool/auth"
)

// TestInferAuth: how proxies authenticate follows from the address, unless it is said.
func TestInferAuth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode, address string
		want          auth.Mode
	}{
		{"", "localhost:15010", auth.Plaintext},
		{"", "istiod.istio-system.svc:15010", auth.Plaintext},
		{"", "istiod.istio-system.svc:15012", auth.JWT},
		{"", "[::1]:15010", auth.Plaintext},
		{"", "10.0.0.1:443", auth.JWT},
		{"", "meshconfig.googleapis.com:443", auth.Google},
		{"plaintext", "meshconfig.googleapis.com:443", auth.Plaintext},
		{"mtls", "localhost:15010", auth.MTLS},
		{"google", "localhost:15012", auth.Google},
	} {
		if got, err := checkAuth(c.mode, c.address); err != nil || got != c.want {
			t.Errorf("%q at %s: %s, %v, want %s", c.mode, c.address, got, err, c.want)
		}
	}
	if _, err := checkAuth("basic", "localhost:15010"); err == nil {
		t.Error("--auth basic is taken")
	}
}

func TestPilotAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"": "localhost:15010", "10.96.0.1": "istiod.istio-system.svc:15010"} {
		s := &system{getenv: func(name string) string {
			if name == "KUBERNETES_SERVICE_HOST" {
				return host
			}
			return ""
		}}
		if got := s.pilotAddress(); got != want {
			t.Errorf("with a service host %q: %s, want %s", host, got, want)
		}
	}
}

// TestInferGoogle: the cluster is found by the context's name, or, in a cluster, from the metadata server.
func TestInferGoogle(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"/computeMetadata/v1/project/project-id": "p", "/computeMetadata/v1/instance/attributes/cluster-location": "l", "/computeMetadata/v1/instance/attributes/cluster-name": "c\n",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, ok := values[r.URL.Path]
		if !ok || r.Header.Get("Metadata-Flavor") != "Google" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(v))
	}))
	defer server.Close()
	got, err := inferGoogle(t.Context(), "gke_my-project_europe-west1_prod", false, server.URL)
	if err != nil || *got != (auth.GoogleCluster{Project: "my-project", Location: "europe-west1", Name: "prod"}) {
		t.Errorf("by context: %v, %v", got, err)
	}
	got, err = inferGoogle(t.Context(), "", true, server.URL)
	if err != nil || *got != (auth.GoogleCluster{Project: "p", Location: "l", Name: "c"}) {
		t.Errorf("by the metadata server: %v, %v", got, err)
	}
	if _, err := inferGoogle(t.Context(), "kind-dev", false, server.URL); err == nil {
		t.Error("a cluster that is not Google's is taken for one")
	}
	delete(values, "/computeMetadata/v1/project/project-id")
	if _, err := inferGoogle(t.Context(), "", true, server.URL); err == nil {
		t.Error("a project that is not known is no error")
	}
}
