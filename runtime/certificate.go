package runtime

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"
)

// certificate is a self-signed one with its key, both PEM.
type certificate struct{ crt, key string }

// issuer makes the certificates of templates. They depend on the scenario's seed, the hosts and the generation alone, so
// that a run writes the same Secrets again; nothing that matters is protected by them.
type issuer struct {
	seed int64

	mu     sync.Mutex
	issued map[string]certificate // so that .crt and .key of one object cost one certificate
}

// maxIssued is how many certificates are remembered: enough for the objects that are rendered at the same time.
const maxIssued = 256

// The validity is fixed because the bytes have to be; istiod counts a certificate outside of its validity as an error
// (istio.io/istio/pilot/pkg/xds/sds.go, ValidateCertificate), so it is long.
var (
	validFrom  = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	validUntil = time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)
)

func (i *issuer) issue(hosts []string, generation int) (certificate, error) {
	if len(hosts) == 0 {
		return certificate{}, errors.New("no host is given")
	}
	for _, h := range hosts {
		if err := checkHost(h); err != nil {
			return certificate{}, err
		}
	}
	id := fmt.Sprintf("%d/%d/%s", i.seed, generation, strings.Join(hosts, "/"))
	i.mu.Lock()
	defer i.mu.Unlock()
	if c, ok := i.issued[id]; ok {
		return c, nil
	}
	c, err := selfSigned(id, hosts)
	if err != nil {
		return certificate{}, err
	}
	if i.issued == nil || len(i.issued) >= maxIssued {
		i.issued = make(map[string]certificate, maxIssued)
	}
	i.issued[id] = c
	return c, nil
}

// checkHost lets names, wildcards and addresses through; an x509 certificate takes anything, and clients nothing else.
func checkHost(h string) error {
	if net.ParseIP(h) != nil {
		return nil
	}
	name := strings.TrimPrefix(h, "*.")
	valid := name != "" && len(name) <= 253
	for label := range strings.SplitSeq(name, ".") {
		valid = valid && label != "" && len(label) <= 63 && strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
	}
	if !valid {
		return fmt.Errorf("%q is not a host", h)
	}
	return nil
}

// selfSigned makes a certificate whose every byte follows from id: the key is a hash of it, and a signature without a
// source of randomness is that of RFC 6979.
func selfSigned(id string, hosts []string) (certificate, error) {
	key, err := keyOf(id)
	if err != nil {
		return certificate{}, err
	}
	serial := sha256.Sum256([]byte("serial " + id))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:8]),
		Subject:      pkix.Name{CommonName: commonName(hosts[0]), Organization: []string{"plscript"}},
		NotBefore:    validFrom, NotAfter: validUntil,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return certificate{}, fmt.Errorf("make a key: %w", err)
	}
	return certificate{
		crt: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
	}, nil
}

// keyOf derives a key. A hash is outside of the curve's order once in 2^32 times, so another one is tried.
func keyOf(id string) (*ecdsa.PrivateKey, error) {
	var last error
	for try := range uint32(4) {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte("key "+id), try))
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), sum[:])
		if err == nil {
			return key, nil
		}
		last = err
	}
	return nil, fmt.Errorf("make a key: %w", last)
}

// commonName is the host, unless it is longer than a certificate's name can be (RFC 5280, ub-common-name).
func commonName(host string) string {
	if len(host) > 64 {
		return ""
	}
	return host
}
