package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	ca "istio.io/api/security/v1alpha1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool/h2"
)

// clock stands still but for advance; timers fire when it passes them, and sleeps are over at once.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []timer
	asked  chan time.Duration // of each After
}

type timer struct {
	at time.Time
	ch chan time.Time
}

func newClock() *clock {
	return &clock{now: time.Now().Truncate(time.Second), asked: make(chan time.Duration, 100)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.advance(d)
	return ctx.Err()
}

func (c *clock) After(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	ch := make(chan time.Time, 1)
	c.timers = append(c.timers, timer{c.now.Add(d), ch})
	c.mu.Unlock()
	c.asked <- d
	return ch, func() {}
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for i, t := range c.timers {
		if t.ch != nil && !t.at.After(c.now) {
			t.ch <- c.now
			c.timers[i].ch = nil
		}
	}
}

// issuer numbers the tokens it issues.
type issuer struct {
	mu     sync.Mutex
	issued []Identity
	life   time.Duration
	err    error
}

func (i *issuer) Issue(_ context.Context, id Identity) (string, time.Duration, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return "", 0, i.err
	}
	i.issued = append(i.issued, id)
	return fmt.Sprintf("token-%d", len(i.issued)), i.life, nil
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.issued)
}

// mesh is a root, and an istiod that signs with it.
type mesh struct {
	ca.UnimplementedIstioCertificateServiceServer
	root    *x509.Certificate
	key     *ecdsa.PrivateKey
	server  tls.Certificate // istiod's own
	clock   *clock
	address string

	mu       sync.Mutex
	requests []*ca.IstioCertificateRequest
	headers  []metadata.MD
	fail     []error // of the next requests
}

func newMesh(t *testing.T, c *clock) *mesh {
	t.Helper()
	m := &mesh{clock: c}
	m.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: c.Now().Add(-time.Hour), NotAfter: c.Now().Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	m.root = m.sign(t, template, template, &m.key.PublicKey)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	leaf := m.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{istiodName}, NotBefore: template.NotBefore, NotAfter: template.NotAfter,
	}, m.root, &key.PublicKey)
	m.server = tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = l.Addr().String()
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{m.server}})))
	ca.RegisterIstioCertificateServiceServer(g, m)
	go g.Serve(l)
	t.Cleanup(g.Stop)
	return m
}

func (m *mesh) sign(t *testing.T, template, parent *x509.Certificate, key *ecdsa.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, m.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (m *mesh) CreateCertificate(ctx context.Context, req *ca.IstioCertificateRequest) (*ca.IstioCertificateResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.fail) > 0 {
		err := m.fail[0]
		m.fail = m.fail[1:]
		return nil, err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	m.requests, m.headers = append(m.requests, req), append(m.headers, md)
	block, _ := pem.Decode([]byte(req.Csr))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		return nil, status.Error(codes.InvalidArgument, "bad CSR")
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(m.requests) + 10)), URIs: csr.URIs,
		NotBefore: m.clock.Now(), NotAfter: m.clock.Now().Add(time.Duration(req.ValidityDuration) * time.Second),
	}, m.root, csr.PublicKey, m.key)
	if err != nil {
		return nil, err
	}
	encode := func(b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b}))
	}
	return &ca.IstioCertificateResponse{CertChain: []string{encode(der), encode(m.root.Raw)}}, nil
}

func (m *mesh) Roots(context.Context) (*x509.CertPool, error) {
	p := x509.NewCertPool()
	p.AddCert(m.root)
	return p, nil
}

func (m *mesh) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.requests)
}

func (m *mesh) authenticator(t *testing.T, i Issuer, change ...func(*Config)) *Authenticator {
	t.Helper()
	signer := NewIstiodCA(m.address, Verify(m, "", false, m.clock), m.clock)
	t.Cleanup(func() { signer.Close() })
	cfg := Config{Mode: MTLS, Tokens: Cached(i, m.clock), Roots: m, CA: signer, Clock: m.clock}
	for _, c := range change {
		c(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func pod(name string) runtime.Proxy {
	return runtime.Proxy{Class: runtime.ClassSidecar, Namespace: "ns", Name: name, IP: "10.0.0.1", ServiceAccount: "sa", Pod: true}
}

func TestTokensAreShownAndRenewed(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := &issuer{life: 10 * time.Hour}
	m := newMesh(t, c)
	a := m.authenticator(t, i, func(c *Config) { c.Mode = JWT })
	first, err := a.Credentials(t.Context(), pod("p"))
	if err != nil {
		t.Fatal(err)
	}
	want := []h2.Header{{Name: "authorization", Value: "Bearer token-1"}, {Name: "clusterid", Value: "Kubernetes"}}
	if d := cmp.Diff(want, first.Header); d != "" {
		t.Error(d)
	}
	if first.TLS == nil || first.TLS.ServerName != istiodName || first.TLS.InsecureSkipVerify {
		t.Errorf("TLS %+v", first.TLS)
	}
	c.advance(8*time.Hour - time.Second)
	again, _ := a.Credentials(t.Context(), pod("another of the same account"))
	if again.Header[0].Value != "Bearer token-1" || again.TLS != first.TLS {
		t.Error("the same account got another token or configuration")
	}
	c.advance(time.Second)
	if later, _ := a.Credentials(t.Context(), pod("p")); later.Header[0].Value != "Bearer token-2" {
		t.Errorf("after four fifths: %v", later.Header)
	}
	i.err = errors.New("no")
	c.advance(10 * time.Hour)
	if _, err := a.Credentials(t.Context(), pod("p")); err == nil {
		t.Error("an expired token was shown")
	}
}

func TestTokensAreBoundWhereIstiodWantsIt(t *testing.T) {
	t.Parallel()
	for _, perPod := range []bool{false, true} {
		i := &issuer{life: time.Hour}
		c := newClock()
		a, err := New(Config{Mode: PlaintextJWT, Tokens: Cached(i, c), Clock: c, PerPod: perPod})
		if err != nil {
			t.Fatal(err)
		}
		zt := pod("zt")
		zt.Class = runtime.ClassZtunnel
		for _, p := range []runtime.Proxy{pod("a"), pod("b"), zt, {Class: runtime.ClassClient, Namespace: "ns", Name: "c"}} {
			got, err := a.Credentials(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if got.TLS != nil {
				t.Error("TLS over plaintext")
			}
		}
		want := []Identity{{"ns", "sa", "", ""}, {"ns", "sa", "zt", "10.0.0.1"}, {"ns", "default", "", ""}}
		if perPod {
			want = []Identity{{"ns", "sa", "a", "10.0.0.1"}, {"ns", "sa", "b", "10.0.0.1"}, {"ns", "sa", "zt", "10.0.0.1"}, {"ns", "default", "", ""}}
		}
		if d := cmp.Diff(want, i.issued); d != "" {
			t.Errorf("per pod %v (-want +got):\n%s", perPod, d)
		}
	}
}

func TestConcurrentProxiesShareOneRequest(t *testing.T) {
	t.Parallel()
	i := &issuer{life: time.Hour}
	m := newMesh(t, newClock())
	a := m.authenticator(t, i)
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			if _, err := a.Credentials(t.Context(), pod(fmt.Sprint(n))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if i.count() != 1 || m.count() != 1 {
		t.Errorf("%d tokens and %d certificates", i.count(), m.count())
	}
}

func TestCertificateIsShownAndRenewed(t *testing.T) {
	t.Parallel()
	m := newMesh(t, newClock())
	a := m.authenticator(t, &issuer{life: 1000 * time.Hour}, func(c *Config) { c.TTL = 20 * time.Hour })
	creds, err := a.Credentials(t.Context(), pod("p"))
	if err != nil {
		t.Fatal(err)
	}
	if len(creds.Header) != 0 {
		t.Errorf("mtls shows %v", creds.Header)
	}
	first, err := creds.TLS.GetClientCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := first.Leaf.URIs[0].String(); got != "spiffe://cluster.local/ns/ns/sa/sa" || len(first.Certificate) != 2 {
		t.Errorf("shows %s and a chain of %d", got, len(first.Certificate))
	}
	if h := m.headers[0]; h.Get("authorization")[0] != "Bearer token-1" || h.Get("clusterid")[0] != "Kubernetes" {
		t.Errorf("headers %v", h)
	}
	if m.requests[0].ValidityDuration != 72000 || m.requests[0].Metadata != nil {
		t.Errorf("request %v", m.requests[0])
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	<-m.clock.asked
	wait := <-m.clock.asked // again, since it was told of the certificate
	if wait < 9*time.Hour+30*time.Minute || wait > 10*time.Hour+30*time.Minute {
		t.Errorf("waits for %v of 20h", wait)
	}
	m.clock.advance(wait)
	<-m.clock.asked
	if m.count() != 2 {
		t.Errorf("%d certificates", m.count())
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	second, _ := creds.TLS.GetClientCertificate(nil)
	if second.Leaf.SerialNumber.Cmp(first.Leaf.SerialNumber) == 0 {
		t.Error("new connections show the old certificate")
	}
	if again, _ := a.Credentials(t.Context(), pod("p")); again.TLS != creds.TLS {
		t.Error("a renewal made another configuration")
	}
}

func TestSigningIsTriedAgain(t *testing.T) {
	t.Parallel()
	m := newMesh(t, newClock())
	a := m.authenticator(t, &issuer{life: time.Hour})
	m.fail = []error{status.Error(codes.Unavailable, ""), status.Error(codes.Internal, "")}
	if _, err := a.Certificate(t.Context(), pod("p")); err != nil {
		t.Fatal(err)
	}
	m.fail = []error{status.Error(codes.Unauthenticated, "request authenticate failure")}
	other := pod("p")
	other.ServiceAccount = "other"
	if _, err := a.Certificate(t.Context(), other); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v", err)
	}
	for range 10 {
		m.fail = append(m.fail, status.Error(codes.Unavailable, ""))
	}
	if _, err := a.Certificate(t.Context(), other); status.Code(err) != codes.Unavailable || len(m.fail) != 4 {
		t.Errorf("after %d tries: %v", 10-len(m.fail), err)
	}
}

func TestImpersonation(t *testing.T) {
	t.Parallel()
	i := &issuer{life: time.Hour}
	m := newMesh(t, newClock())
	a := m.authenticator(t, i, func(c *Config) { c.Key = RSA })
	zt := runtime.Proxy{Class: runtime.ClassZtunnel, Namespace: "istio-system", Name: "zt", IP: "10.0.0.9", ServiceAccount: "ztunnel", Pod: true}
	chain, err := a.Impersonate(t.Context(), zt, "ns", "sa")
	if err != nil {
		t.Fatal(err)
	}
	if got := chain[0].URIs[0].String(); got != "spiffe://cluster.local/ns/ns/sa/sa" {
		t.Errorf("signed for %s", got)
	}
	if got := m.requests[0].Metadata.Fields["ImpersonatedIdentity"].GetStringValue(); got != "spiffe://cluster.local/ns/ns/sa/sa" {
		t.Errorf("asked to be %q", got)
	}
	if d := cmp.Diff([]Identity{{"istio-system", "ztunnel", "zt", "10.0.0.9"}}, i.issued); d != "" {
		t.Error(d)
	}
}

func TestIstiodIsVerified(t *testing.T) {
	t.Parallel()
	c := newClock()
	m, other := newMesh(t, c), newMesh(t, c)
	for name, verify := range map[string]func(context.Context) (*tls.Config, error){
		"another root": Verify(other, "", false, c),
		"another name": Verify(m, "someone-else", false, c),
	} {
		signer := NewIstiodCA(m.address, verify, c)
		_, err := signer.Sign(t.Context(), SignRequest{TTL: time.Hour})
		if status.Code(err) != codes.Unavailable || m.count() != 0 {
			t.Errorf("%s: %v", name, err)
		}
		signer.Close()
	}
	signer := NewIstiodCA(m.address, Verify(nil, "someone-else", true, c), c)
	defer signer.Close()
	_, csr, err := newRequest(ECDSA, "spiffe://x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(t.Context(), SignRequest{CSR: csr, TTL: time.Hour}); err != nil {
		t.Errorf("insecure: %v", err)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	c := newClock()
	tokens := Cached(&issuer{}, c)
	for _, cfg := range []Config{
		{Mode: Plaintext}, {Mode: "magic", Clock: c, Tokens: tokens}, {Mode: JWT, Clock: c, Insecure: true},
		{Mode: JWT, Clock: c, Tokens: tokens}, {Mode: MTLS, Clock: c, Tokens: tokens, Insecure: true}, {Clock: c},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
	a, err := New(Config{Mode: Plaintext, Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.Credentials(t.Context(), pod("p")); err != nil || got.TLS != nil || got.Header != nil {
		t.Errorf("plaintext shows %v, %v", got, err)
	}
	if _, err := a.Certificate(t.Context(), pod("p")); err == nil {
		t.Error("a certificate from nobody")
	}
	if _, err := a.Impersonate(t.Context(), pod("p"), "ns", "sa"); err == nil {
		t.Error("a certificate from nobody")
	}
}

func TestParseChain(t *testing.T) {
	t.Parallel()
	for _, chain := range [][]string{nil, {"one"}, {"no", "PEM"}, {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ""}} {
		if _, err := parseChain(chain); err == nil {
			t.Errorf("%q was accepted", chain)
		}
	}
	if _, _, err := newRequest("dsa", "spiffe://x"); err == nil {
		t.Error("an unknown key type was made")
	}
}

// apiServer answers TokenRequests and serves the mesh's root.
func apiServer(t *testing.T, c *clock, m *mesh) (kubernetes.Interface, <-chan authenticationv1.TokenRequest) {
	t.Helper()
	got := make(chan authenticationv1.TokenRequest, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api/v1/namespaces/ns/serviceaccounts/sa/token":
			var req authenticationv1.TokenRequest
			if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			got <- req
			req.Status = authenticationv1.TokenRequestStatus{
				Token: "from the api-server", ExpirationTimestamp: metav1.NewTime(c.Now().Add(time.Duration(*req.Spec.ExpirationSeconds) * time.Second)),
			}
			json.NewEncoder(w).Encode(req)
		case "/api/v1/namespaces/istio-system/configmaps/istio-ca-root-cert":
			json.NewEncoder(w).Encode(corev1.ConfigMap{Data: map[string]string{
				rootKey: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.root.Raw})),
			}})
		case "/api/v1/namespaces/empty/configmaps/istio-ca-root-cert":
			json.NewEncoder(w).Encode(corev1.ConfigMap{})
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: s.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return client, got
}

func TestKubernetes(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := newMesh(t, c)
	client, got := apiServer(t, c, m)
	i := KubeTokens(client, "", c)
	token, life, err := i.Issue(t.Context(), Identity{"ns", "sa", "zt", "10.0.0.1"})
	if err != nil || token != "from the api-server" || life != 12*time.Hour {
		t.Errorf("%q for %v, %v", token, life, err)
	}
	spec := (<-got).Spec
	if spec.Audiences[0] != "istio-ca" || spec.BoundObjectRef.Kind != "Pod" || spec.BoundObjectRef.Name != "zt" || spec.BoundObjectRef.APIVersion != "v1" {
		t.Errorf("asked for %+v", spec)
	}
	if _, _, err := i.Issue(t.Context(), Identity{"ns", "none", "", ""}); err == nil {
		t.Error("a token for nobody")
	}
	pool, err := KubeRoots(client, "").Roots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := m.Roots(t.Context()); !pool.Equal(want) {
		t.Error("another root")
	}
	for _, ns := range []string{"empty", "none"} {
		if _, err := KubeRoots(client, ns).Roots(t.Context()); err == nil {
			t.Errorf("a root in namespace %s", ns)
		}
	}
}

func TestGoogleExchange(t *testing.T) {
	t.Parallel()
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("subject_token") != "token-1" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"not that one"}`)
			return
		}
		if r.FormValue("audience") != "identitynamespace:p-1.svc.id.goog:https://container.googleapis.com/v1/projects/p-1/locations/l/clusters/c_x" {
			t.Errorf("audience %q", r.FormValue("audience"))
		}
		fmt.Fprint(w, `{"access_token":"google's","expires_in":3600}`)
	}))
	defer sts.Close()
	cluster, err := ParseGoogleContext("gke_p-1_l_c_x")
	if err != nil {
		t.Fatal(err)
	}
	if cluster.ID() != "cn-p-1-l-c_x" || cluster.WorkloadPool() != "p-1.svc.id.goog" || cluster.Metadata()["CLUSTER_ID"] != cluster.ID() {
		t.Errorf("cluster %+v", cluster)
	}
	i := Exchange(&issuer{}, cluster, sts.Client(), sts.URL)
	c := newClock()
	a, err := New(Config{Mode: Google, Tokens: Cached(i, c), Insecure: true, Clock: c, ClusterID: cluster.ID()})
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Credentials(t.Context(), pod("p"))
	if err != nil || got.Header[0].Value != "Bearer google's" || got.Header[1].Value != "cn-p-1-l-c_x" || !got.TLS.InsecureSkipVerify {
		t.Errorf("%+v, %v", got, err)
	}
	if _, _, err := i.Issue(t.Context(), Identity{}); err == nil || !strings.Contains(err.Error(), "not that one") {
		t.Errorf("a refused token: %v", err)
	}
	for _, bad := range []string{"", "kind", "gke_a_b", "gke__b_c", "eks_a_b_c"} {
		if _, err := ParseGoogleContext(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
