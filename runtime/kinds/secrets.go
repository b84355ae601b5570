package kinds

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/lang/ir"
)

// tlsSecret checks the certificate and the key of a Secret of type kubernetes.io/tls. The api-server refuses one without
// either (k8s.io/kubernetes/pkg/apis/core/validation, ValidateSecret) but takes any text for them; gateways that are
// given what is no certificate would only show in istiod's log (istio.io/istio/pilot/pkg/xds, ValidateCertificate).
func (c *checker) tlsSecret(obj map[string]any) {
	if obj["type"] != string(corev1.SecretTypeTLS) {
		return
	}
	cert, certPath := secretValue(obj, corev1.TLSCertKey)
	key, keyPath := secretValue(obj, corev1.TLSPrivateKeyKey)
	c.secretHas(obj, corev1.TLSCertKey, certPath)
	c.secretHas(obj, corev1.TLSPrivateKeyKey, keyPath)
	valid := cert != nil && c.certificate(certPath, cert)
	switch {
	case key == nil:
	case !strings.HasSuffix(pemType(key), "PRIVATE KEY"):
		c.add(ir.CodeValue, keyPath, "want a private key in PEM, \"-----BEGIN PRIVATE KEY-----\"")
	case valid:
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			c.add(ir.CodeValue, keyPath, "is not the key of the certificate: "+strings.TrimPrefix(err.Error(), "tls: "))
		}
	}
}

func (c *checker) secretHas(obj map[string]any, name, path string) {
	if path != "" {
		return
	}
	field := "stringData"
	if obj[field] == nil && obj["data"] != nil {
		field = "data"
	}
	c.add(ir.CodeMissingField, join(field, name), "required field "+show(name)+" is missing: a Secret of type kubernetes.io/tls has it")
}

// certificate checks a certificate chain and reports whether it can be read.
func (c *checker) certificate(path string, chain []byte) bool {
	if pemType(chain) != "CERTIFICATE" {
		c.add(ir.CodeValue, path, "want a certificate in PEM, \"-----BEGIN CERTIFICATE-----\"")
		return false
	}
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			c.add(ir.CodeValue, path, "is not a certificate: "+strings.TrimPrefix(err.Error(), "x509: "))
			return false
		}
	}
	return true
}

// pemType is the type of the first block of a PEM text, "" if it holds none.
func pemType(text []byte) string {
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	return block.Type
}

// secretValue finds a value of a Secret, decoded, nil if it cannot be, and its path, "" if there is none. What stringData
// has wins, as it does in the api-server.
func secretValue(obj map[string]any, name string) (value []byte, path string) {
	if plain, ok := obj["stringData"].(map[string]any); ok {
		switch v := plain[name].(type) {
		case nil:
		case string:
			return []byte(v), join("stringData", name)
		default:
			return nil, join("stringData", name) // reported as no string
		}
	}
	if data, ok := obj["data"].(map[string]any); ok {
		if data[name] == nil {
			return nil, ""
		}
		text, ok := data[name].(string)
		decoded, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil {
			decoded = nil // reported as no base64
		}
		return decoded, join("data", name)
	}
	return nil, ""
}
