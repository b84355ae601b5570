package capture

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/plscript/plscript/runtime"
)

// Keys makes certificates in the place of those that are captured, so that no key leaves its cluster: with a key of their
// own, for the same names, signed by an authority that exists only as long as this.
type Keys struct {
	now    time.Time
	caKey  *ecdsa.PrivateKey
	ca     *x509.Certificate
	caPEM  []byte
	serial int64
	rename func(string) string // of the names in certificates; nil leaves them as they are
}

// keptFor is how long the certificates are valid.
const keptFor = 10 * 365 * 24 * time.Hour

// NewKeys makes a certificate authority.
func NewKeys(now time.Time) (*Keys, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	k := &Keys{now: now, caKey: key}
	k.ca = &x509.Certificate{
		SerialNumber: k.next(), Subject: pkix.Name{CommonName: "captured by plscript"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(keptFor),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, k.ca, k.ca, key.Public(), key)
	if err != nil {
		return nil, err
	}
	k.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return k, nil
}

func (k *Keys) next() *big.Int {
	k.serial++
	return big.NewInt(k.serial)
}

var errNoCertificate = errors.New("holds a certificate that cannot be read, so that none can be made in its place")

// secret returns a Secret with everything secret in it replaced, and any other object as it is.
func (k *Keys) secret(o runtime.Object) (runtime.Object, error) {
	s, ok := o.(*corev1.Secret)
	if !ok {
		return o, nil
	}
	out := s.DeepCopy()
	out.Data = map[string][]byte{}
	for _, pair := range [][2]string{{corev1.TLSCertKey, corev1.TLSPrivateKeyKey}, {"cert", "key"}} {
		chain, there := s.Data[pair[0]]
		if !there {
			continue
		}
		cert, key, err := k.certificate(chain)
		if err != nil {
			return nil, err
		}
		out.Data[pair[0]], out.Data[pair[1]] = cert, key
	}
	for _, ca := range []string{"cacert", "ca.crt"} {
		if _, there := s.Data[ca]; there {
			out.Data[ca] = k.caPEM
		}
	}
	if len(out.Data) == 0 {
		return nil, errNoCertificate
	}
	return out, nil
}

func (k *Keys) renamed(name string) string {
	if k.rename == nil {
		return name
	}
	return k.rename(name)
}

func (k *Keys) names(in []string) []string {
	out := make([]string, len(in))
	for i, n := range in {
		out[i] = k.renamed(n)
	}
	return out
}

// certificate makes a certificate, with its key, for the names of another, without knowing that one's key.
func (k *Keys) certificate(chain []byte) (cert, key []byte, err error) {
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil, nil, errNoCertificate
	}
	from, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, errNoCertificate
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: k.next(), Subject: pkix.Name{CommonName: k.renamed(from.Subject.CommonName)}, DNSNames: k.names(from.DNSNames),
		NotBefore: k.now.Add(-time.Hour), NotAfter: k.now.Add(keptFor),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, k.ca, private.Public(), k.caKey)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}

// certificates puts into out, an object that is being anonymized, certificates without the names of the one it was made of.
func (a *anonymizer) certificates(k *kind, from, out map[string]any) {
	data, _ := from["data"].(map[string]any)
	next := map[string]any{}
	if k.name == "ConfigMap" {
		for key := range data {
			next[key] = string(a.keys.caPEM)
		}
	} else if o, why := clean(k, from); o != nil && why == "" {
		keys := *a.keys
		keys.rename = a.hide
		if o, err := keys.secret(o); err == nil {
			for key, v := range o.(*corev1.Secret).Data {
				next[key] = base64.StdEncoding.EncodeToString(v)
			}
		}
		a.keys.serial = keys.serial
	}
	out["data"] = next
}
