package main

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/auth"
	"github.com/plscript/plscript/runtime/xdspool/h2"
)

// nobody is an address where nothing listens: one that was free a moment ago may be somebody's by now.
const nobody = "127.0.0.1:1"

// choosy is an istiod that serves who shows the token "good", and denies the owner of the token "other".
type choosy struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
}

// DeltaAggregatedResources implements the service.
func (choosy) DeltaAggregatedResources(s discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	md, _ := metadata.FromIncomingContext(s.Context())
	switch strings.Join(md.Get("authorization"), "") {
	case "Bearer good":
		if _, err := s.Recv(); err != nil {
			return err
		}
		return s.Send(&discovery.DeltaDiscoveryResponse{})
	case "Bearer other":
		return status.Error(codes.PermissionDenied, "not your namespace")
	}
	return status.Error(codes.Unauthenticated, "who are you?")
}

func startChoosy(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(s, choosy{})
	go func() { _ = s.Serve(l) }() // until it is stopped
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// startTLS starts a server that speaks TLS, and keeps to itself who does not.
func startTLS(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// TestReach: what is wrong with an address is said before anything is sent there.
func TestReach(t *testing.T) {
	t.Parallel()
	plain := startChoosy(t)
	overTLS := startTLS(t)
	http1 := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(http1.Close)
	for name, c := range map[string]struct {
		address string
		mode    auth.Mode
		want    string // "" for none
	}{
		"fits":             {plain, auth.Plaintext, ""},
		"nobody":           {nobody, auth.Plaintext, "nothing listens there"},
		"nobody, with TLS": {nobody, auth.JWT, "nothing listens there"},
		"TLS":              {strings.TrimPrefix(overTLS.URL, "https://"), auth.Plaintext, "does not speak plaintext gRPC"},
		"HTTP/1":           {strings.TrimPrefix(http1.URL, "http://"), auth.PlaintextJWT, "not istiod's XDS port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &session{target: &target{xds: c.address, auth: c.mode}}
			expect(t, r.reach(t.Context()), c.want)
		})
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%v, want %q", err, want)
	}
}

// TestWelcome: a token that istiod refuses is told; one that is good for other proxies than the check's is not refused.
func TestWelcome(t *testing.T) {
	t.Parallel()
	address := startChoosy(t)
	for token, want := range map[string]string{"good": "", "other": "", "bad": "the token does not fit"} {
		creds := xdspool.Credentials{Header: []h2.Header{{Name: "authorization", Value: "Bearer " + token}}}
		expect(t, checkWelcome(t.Context(), address, creds), want)
	}
}

// TestExplainTLS: each way in which a handshake fails has its remedy.
func TestExplainTLS(t *testing.T) {
	t.Parallel()
	plain := startChoosy(t)
	overTLS := startTLS(t)
	trusted := overTLS.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for _, c := range []struct {
		address string
		cfg     *tls.Config
		want    string
	}{
		{plain, &tls.Config{ServerName: "istiod"}, "set --auth plaintext"},
		{strings.TrimPrefix(overTLS.URL, "https://"), &tls.Config{ServerName: "example.com"}, "--root-cert"},
		{strings.TrimPrefix(overTLS.URL, "https://"), &tls.Config{ServerName: "istiod", RootCAs: trusted}, "the certificate is not istiod's"},
	} {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			t.Fatal(err)
		}
		err = tls.Client(conn, c.cfg).HandshakeContext(t.Context())
		if err == nil {
			t.Errorf("%s: the handshake goes well", c.want)
		} else {
			expect(t, explainTLS(err), c.want)
		}
		conn.Close()
	}
}
