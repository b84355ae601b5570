package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	ca "istio.io/api/security/v1alpha1"

	"github.com/plscript/plscript/runtime"
)

// KeyType is the kind of a certificate's key.
type KeyType string

// The key types.
const (
	ECDSA KeyType = "ecdsa" // P-256: a third of a millisecond to make
	RSA   KeyType = "rsa"   // 2048 bits, the agent's default: a tenth of a second
)

const rsaBits = 2048

// newRequest makes a key and a PEM-encoded CSR for it, whose SAN is the SPIFFE ID.
func newRequest(kind KeyType, spiffe string) (crypto.Signer, string, error) {
	var key crypto.Signer
	var err error
	switch kind {
	case ECDSA:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA:
		key, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		err = fmt.Errorf("unknown key type %q", kind)
	}
	if err != nil {
		return nil, "", fmt.Errorf("certificate key: %w", err)
	}
	uri, err := url.Parse(spiffe)
	if err != nil {
		return nil, "", fmt.Errorf("identity: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{uri}}, key)
	if err != nil {
		return nil, "", fmt.Errorf("certificate request: %w", err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// SignRequest is a CSR and who sends it.
type SignRequest struct {
	CSR         string // PEM
	Token       string
	ClusterID   string
	Impersonate string // the SPIFFE ID to sign for, if not the token's
	TTL         time.Duration
}

// Signer signs certificates: the mesh's CA.
type Signer interface {
	// Sign returns the chain, leaf first.
	Sign(ctx context.Context, r SignRequest) ([]*x509.Certificate, error)
}

// IstiodCA is istiod's IstioCertificateService. It implements [Signer].
type IstiodCA struct {
	address string
	verify  func(context.Context) (*tls.Config, error)
	clock   runtime.Clock

	mu   sync.Mutex
	conn *grpc.ClientConn
	cfg  *tls.Config // that conn was made with
}

// NewIstiodCA asks istiod at address, host:port of its secure port, for certificates. The connection is verified as verify
// says, and shows no certificate: istiod would take its owner for the caller.
func NewIstiodCA(address string, verify func(context.Context) (*tls.Config, error), clock runtime.Clock) *IstiodCA {
	return &IstiodCA{address: address, verify: verify, clock: clock}
}

// Close closes the connection.
func (c *IstiodCA) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil
	}
	return c.conn.Close()
}

// The agent's retries (Istio pkg/security/retry.go CARetryOptions), without their jitter of a tenth.
const (
	signTries     = 5
	firstSignWait = 100 * time.Millisecond
)

// Sign implements [Signer].
func (c *IstiodCA) Sign(ctx context.Context, r SignRequest) ([]*x509.Certificate, error) {
	req := &ca.IstioCertificateRequest{Csr: r.CSR, ValidityDuration: int64(r.TTL / time.Second)}
	if r.Impersonate != "" {
		req.Metadata = &structpb.Struct{Fields: map[string]*structpb.Value{"ImpersonatedIdentity": structpb.NewStringValue(r.Impersonate)}}
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+r.Token, "clusterid", r.ClusterID)
	wait := firstSignWait
	for try := 1; ; try++ {
		resp, err := c.call(ctx, req)
		if err == nil {
			return parseChain(resp.CertChain)
		}
		if try > signTries || !worthRetrying(status.Code(err)) {
			return nil, fmt.Errorf("certificate request: %w", err)
		}
		if err := c.clock.Sleep(ctx, wait); err != nil {
			return nil, err
		}
		wait *= 2
	}
}

func worthRetrying(c codes.Code) bool {
	switch c {
	case codes.Canceled, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted, codes.Internal, codes.Unavailable:
		return true
	}
	return false
}

func (c *IstiodCA) call(ctx context.Context, req *ca.IstioCertificateRequest) (*ca.IstioCertificateResponse, error) {
	conn, err := c.connection(ctx)
	if err != nil {
		return nil, err
	}
	return ca.NewIstioCertificateServiceClient(conn).CreateCertificate(ctx, req)
}

// connection returns the connection, made anew after the mesh's root has changed.
func (c *IstiodCA) connection(ctx context.Context) (*grpc.ClientConn, error) {
	cfg, err := c.verify(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil && c.cfg == cfg {
		return c.conn, nil
	}
	if c.conn != nil {
		c.conn.Close()
	}
	c.conn, err = grpc.NewClient("passthrough:///"+c.address, grpc.WithTransportCredentials(credentials.NewTLS(cfg)), grpc.WithNoProxy())
	c.cfg = cfg
	return c.conn, err
}

// parseChain reads a chain as istiod returns it: PEM blocks, the leaf first, the root last.
func parseChain(chain []string) ([]*x509.Certificate, error) {
	if len(chain) < 2 { // the agent insists on it (Istio security/pkg/nodeagent/caclient/providers/citadel)
		return nil, fmt.Errorf("certificate request: istiod returned a chain of %d", len(chain))
	}
	var out []*x509.Certificate
	for rest := []byte(strings.Join(chain, "\n")); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate request: istiod's answer: %w", err)
		}
		out = append(out, cert)
	}
	if len(out) == 0 {
		return nil, errors.New("certificate request: istiod's answer holds no certificate")
	}
	return out, nil
}
