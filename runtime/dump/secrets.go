package dump

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// The secrets that Istio's agent hands its Envoy (Istio pkg/security, WorkloadKeyCertResourceName and RootCertReqResourceName).
const (
	workloadSecret = "default"
	rootSecret     = "ROOTCA"
)

// WorkloadSecrets are the secrets of a proxy with that certificate, whose chain ends with the mesh's root.
func WorkloadSecrets(c *tls.Certificate) ([]*tlsv3.Secret, error) {
	if len(c.Certificate) < 2 {
		return nil, errors.New("the certificate comes without its root")
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("the certificate's key: %w", err)
	}
	var chain []byte
	for _, der := range c.Certificate {
		chain = append(chain, toPEM("CERTIFICATE", der)...)
	}
	return []*tlsv3.Secret{
		{Name: workloadSecret, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inlined(chain), PrivateKey: inlined(toPEM("PRIVATE KEY", key)),
		}}},
		{Name: rootSecret, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: inlined(toPEM("CERTIFICATE", c.Certificate[len(c.Certificate)-1])),
		}}},
	}, nil
}

func toPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// inlined is text, not bytes, so that it can be read in the file.
func inlined(text []byte) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: string(text)}}
}
