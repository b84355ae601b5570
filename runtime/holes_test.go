package runtime

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
)

// rendered is a template rendered for a pod's scene of the given seed and generation.
func rendered(t *testing.T, seed int64, generation int, tree map[string]any) map[string]any {
	t.Helper()
	l, err := NewLanguage()
	if err != nil {
		t.Fatal(err)
	}
	l.certs.seed = seed
	tpl, problems := l.Template(tree)
	if problems != nil {
		t.Fatal(problems)
	}
	scene, err := sampleScene(ScopePod)
	if err != nil {
		t.Fatal(err)
	}
	scene.Index, scene.Generation = 300, generation
	v, err := tpl.Render(t.Context(), scene.Vars())
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

func TestHoleFunctions(t *testing.T) {
	t.Parallel()
	got := rendered(t, 1, 0, map[string]any{
		"first": "${ip(0)}", "own": "${ip(index)}", "last": "${ip(4194301)}",
		"hash": "${hash('a')}-${hash('a')}", "other": "${hash('b')}", "base64": "${base64('plain')}",
		"pod": "${pod.ip}",
	})
	want := map[string]any{
		"first": "100.64.0.1", "own": "100.64.1.45", "last": "100.127.255.254",
		"hash": "ca978112ca-ca978112ca", "other": "3e23e81600", "base64": "cGxhaW4=", "pod": "10.128.0.2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	secret := map[string]any{
		"crt": "${cert('a.example.com', '*.b.example.com', '10.0.0.1').crt}", "key": "${cert(['a.example.com', '*.b.example.com', '10.0.0.1']).key}",
		"data": "${base64(cert('a.example.com', '*.b.example.com', '10.0.0.1').crt)}",
		"one":  "${cert('a.example.com').crt}",
	}
	first := rendered(t, 1, 0, secret)
	pair, err := tls.X509KeyPair([]byte(first["crt"].(string)), []byte(first["key"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"a.example.com", "x.b.example.com", "10.0.0.1"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, at := range []time.Time{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at}); err != nil {
			t.Error(err)
		}
	}
	if first["data"] != base64.StdEncoding.EncodeToString([]byte(first["crt"].(string))) {
		t.Error("base64 of the certificate is that of another one")
	}
	if diff := cmp.Diff(first, rendered(t, 1, 0, secret)); diff != "" {
		t.Errorf("the same seed and generation gave other certificates:\n%s", diff)
	}
	for what, other := range map[string]map[string]any{"generation": rendered(t, 1, 1, secret), "seed": rendered(t, 2, 0, secret)} {
		for _, part := range []string{"crt", "key", "one"} {
			if other[part] == first[part] {
				t.Errorf("another %s has the same %s", what, part)
			}
		}
	}
}

// TestManyCertificates: what is remembered does not grow, and forgetting changes nothing.
func TestManyCertificates(t *testing.T) {
	t.Parallel()
	i := &issuer{}
	before, err := i.issue([]string{"a"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for g := range maxIssued + 10 {
		if _, err := i.issue([]string{"a"}, g+1); err != nil {
			t.Fatal(err)
		}
	}
	if len(i.issued) > maxIssued {
		t.Errorf("%d certificates are remembered", len(i.issued))
	}
	if after, err := i.issue([]string{"a"}, 0); err != nil || after != before {
		t.Errorf("a forgotten certificate came out differently: %v", err)
	}
}

func TestHoleFunctionMistakes(t *testing.T) {
	t.Parallel()
	for hole, want := range map[string]string{
		"ip(-1)":                          "ip(-1): the addresses have the numbers 0 to 4194301",
		"ip(4194302)":                     "ip(4194302): the addresses have the numbers 0 to 4194301",
		"cert('').crt":                    `cert: "" is not a host`,
		"cert('a b').crt":                 `cert: "a b" is not a host`,
		"cert('a..b').crt":                `cert: "a..b" is not a host`,
		"cert([]).crt":                    "cert: no host is given",
		"cert('a').pem":                   `unknown field "pem"`,
		"cert(5).crt":                     "cert takes (string) or (list(string)), got (int)",
		"cert('a', 5).crt":                "", // refused, in CEL's words
		"rand('3')":                       "rand takes (int), got (string)",
		"rand(0)":                         "rand(0): must be above zero",
		"hash(index)":                     "hash takes (string), got (int)",
		"cert('a')":                       "a certificate cannot be put into an object: name one of its fields, crt, key",
		"app":                             "an app cannot be put into an object: name one of its fields, name, namespace, index, type, host, labels",
		"x${[1]}":                         "a list, map or null cannot be put into the middle of a string",
		"params.x":                        `there is no parameter "x"`,
		"pick([])":                        "pick: the list is empty",
		strings.Repeat("index+", 9) + "z": `unknown name "z"`,
	} {
		text := "${" + hole + "}"
		if strings.HasPrefix(hole, "x") {
			text = hole
		}
		c := sampleOf(t, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}, "data": map[string]any{"a.b": text}})
		if len(c) != 1 || want != "" && c[0].Message != want || c[0].Path != `x.objects[0].data["a.b"]` || c[0].Code != ir.CodeExpression {
			t.Errorf("%s: %+v, want %q", text, c, want)
		}
	}
}

// sampleOf is what validation finds in a template.
func sampleOf(t *testing.T, tree map[string]any) ir.Diagnostics {
	t.Helper()
	l, err := NewLanguage()
	if err != nil {
		t.Fatal(err)
	}
	c := &Checker{step: &ir.Step{Path: "x"}, lang: l}
	if tpl, ok := c.Template("objects[0]", tree); ok {
		c.Sample(t.Context(), "objects[0]", tpl, ScopePod)
	}
	return c.diagnostics
}

func BenchmarkCertificate(b *testing.B) {
	i := &issuer{}
	for g := 0; b.Loop(); g++ {
		if _, err := i.issue([]string{"a.example.com"}, g); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzHole: whatever a hole says, it is refused or rendered, in the end.
func FuzzHole(f *testing.F) {
	for _, seed := range []string{
		"index", "cert('a').crt", "cert(['a', '*.b']).key", "ip(index)", "hash(app.host) + base64('x')", "pick([1, 2])", "rand(3)",
		"lists.range(rand(9)).map(i, 'h' + string(i))", "{'a': [index, {'b': pod.name}]}", "params.x", "'%.3f'.format([1.5])",
		"app.labels.exists(l, l == 'app')", "duration('1s')", "timestamp('2026-01-31T15:04:05Z')", "b'bytes'", "type(1)", "null",
	} {
		f.Add(seed)
	}
	l, err := NewLanguage()
	if err != nil {
		f.Fatal(err)
	}
	scene, err := sampleScene(ScopePod)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, hole string) {
		tpl, problems := l.Template(map[string]any{"whole": "${" + hole + "}", "part": "a${" + hole + "}b"})
		for _, p := range problems {
			if p.Message == "" || p.Offset < 0 || p.Offset > len(hole)+4 {
				t.Errorf("%q: incomplete problem: %+v", hole, p)
			}
		}
		_, failed := tpl.Sample(t.Context(), scene.Vars())
		for _, f := range failed {
			if f.Err == nil || f.Path == "" {
				t.Errorf("%q: incomplete failure: %+v", hole, f)
			}
		}
		if _, err := tpl.Render(t.Context(), scene.Vars()); (err != nil) != (len(failed) > 0) {
			t.Errorf("%q: rendered %v, and in a sample %v", hole, err, failed)
		}
	})
}
