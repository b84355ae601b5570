package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"
)

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func parse(t *testing.T, pair Pair) *x509.Certificate {
	t.Helper()
	loaded, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Leaf
}

func TestServerCertificateIsTrustedForItsNamesOnly(t *testing.T) {
	t.Parallel()
	ca, err := NewCA(testTime)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Server("api", []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert)
	for name, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "example.com": false} {
		_, err := parse(t, pair).Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: testTime})
		if (err == nil) != want {
			t.Errorf("Verify(%s) = %v, want trusted: %v", name, err, want)
		}
	}
}

func TestClientCertificateCarriesUserAndGroupsAndCannotServe(t *testing.T) {
	t.Parallel()
	ca, err := NewCA(testTime)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Client("admin", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, pair)
	if cert.Subject.CommonName != "admin" || len(cert.Subject.Organization) != 1 || cert.Subject.Organization[0] != "system:masters" {
		t.Errorf("subject = %v", cert.Subject)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: testTime, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("a client certificate verified as a server's")
	}
	other, err := NewCA(testTime)
	if err != nil {
		t.Fatal(err)
	}
	strangers := x509.NewCertPool()
	strangers.AppendCertsFromPEM(other.Cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: strangers, CurrentTime: testTime, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		t.Error("the certificate verified against another sandbox's authority")
	}
}
