package ir

import "testing"

func TestJoinPath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ path, name, want string }{
		{"", "spec", "spec"},
		{"spec", "hosts", "spec.hosts"},
		{"metadata.labels", "app.kubernetes.io/name", `metadata.labels["app.kubernetes.io/name"]`},
		{"data", "tls.crt", `data["tls.crt"]`},
		{"", "a-b", `["a-b"]`},
		{"spec.portLevelMtls", "8080", `spec.portLevelMtls["8080"]`},
		{"x", "", `x[""]`},
		{"x", "größe_1", "x.größe_1"},
	} {
		if got := JoinPath(tc.path, tc.name); got != tc.want {
			t.Errorf("%q and %q: %s, want %s", tc.path, tc.name, got, tc.want)
		}
	}
}
