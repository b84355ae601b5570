package kinds

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/lang/ir"
)

// pair makes a certificate and its key, both PEM.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func TestTLSSecret(t *testing.T) {
	t.Parallel()
	cert, key := pair(t)
	_, other := pair(t)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	const noCert, noKey = `want a certificate in PEM, "-----BEGIN CERTIFICATE-----"`, `want a private key in PEM, "-----BEGIN PRIVATE KEY-----"`
	garbled := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no")}))
	for name, tc := range map[string]struct {
		plain, data map[string]any
		want        []Problem
	}{
		"plain":         {plain: map[string]any{"tls.crt": cert, "tls.key": key}},
		"base64":        {data: map[string]any{"tls.crt": b64(cert), "tls.key": b64(key)}},
		"chain":         {plain: map[string]any{"tls.crt": cert + cert, "tls.key": key}},
		"one of each":   {plain: map[string]any{"tls.crt": cert}, data: map[string]any{"tls.crt": b64("x"), "tls.key": b64(key)}},
		"nothing":       {want: []Problem{missing("stringData", "tls.crt"), missing("stringData", "tls.key")}},
		"no key":        {data: map[string]any{"tls.crt": b64(cert)}, want: []Problem{missing("data", "tls.key")}},
		"other key":     {plain: map[string]any{"tls.crt": cert, "tls.key": other}, want: []Problem{{ir.CodeValue, `stringData["tls.key"]`, "is not the key of the certificate: private key does not match public key", ""}}},
		"text":          {plain: map[string]any{"tls.crt": "cert", "tls.key": "key"}, want: []Problem{{ir.CodeValue, `stringData["tls.crt"]`, noCert, ""}, {ir.CodeValue, `stringData["tls.key"]`, noKey, ""}}},
		"not base64":    {data: map[string]any{"tls.crt": cert}, want: []Problem{{ir.CodeValue, `data["tls.crt"]`, "want base64 text, got " + show(cert), ""}, missing("data", "tls.key")}},
		"twice encoded": {plain: map[string]any{"tls.crt": b64(cert), "tls.key": key}, want: []Problem{{ir.CodeValue, `stringData["tls.crt"]`, noCert, ""}}},
		"swapped":       {plain: map[string]any{"tls.crt": key, "tls.key": cert}, want: []Problem{{ir.CodeValue, `stringData["tls.crt"]`, noCert, ""}, {ir.CodeValue, `stringData["tls.key"]`, noKey, ""}}},
		"garbled":       {plain: map[string]any{"tls.crt": garbled, "tls.key": key}, want: []Problem{{ir.CodeValue, `stringData["tls.crt"]`, "is not a certificate: malformed certificate", ""}}},
	} {
		obj := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "a"}, "type": "kubernetes.io/tls"}
		if tc.plain != nil {
			obj["stringData"] = tc.plain
		}
		if tc.data != nil {
			obj["data"] = tc.data
		}
		if diff := cmp.Diff(tc.want, Check(obj)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		obj["type"] = "Opaque"
		if got := Check(obj); got != nil && name != "not base64" {
			t.Errorf("%s, as an opaque secret: %+v", name, got)
		}
	}
}

func missing(field, name string) Problem {
	return Problem{ir.CodeMissingField, field + `["` + name + `"]`, `required field "` + name + `" is missing: a Secret of type kubernetes.io/tls has it`, ""}
}
