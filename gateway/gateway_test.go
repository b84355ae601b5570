package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

const testNode = "router~10.0.0.1~edge-0.ingress~ingress.svc.cluster.local"

// start runs a gateway of istiod's for the test.
func start(t *testing.T, istiod *fakeIstiod) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{Istiod: istiod.address, Node: testNode, Listen: l})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// ask makes one request to the gateway for a host.
func ask(t *testing.T, address, host, path string) (status int, body string, h http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// await asks until the gateway answers as wanted: what it waits for comes by another server's stream.
func await(t *testing.T, address, host, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		status, body, _ := ask(t, address, host, "/")
		if got = fmt.Sprint(status, " ", strings.TrimSpace(body)); got == want {
			return
		}
	}
	t.Fatalf("%s: got %q, want %q", host, got, want)
}

// TestFollowsIstiod: routes come, change and go as istiod says, by a listener that refers to them.
func TestFollowsIstiod(t *testing.T) {
	t.Parallel()
	istiod := startIstiod(t)
	address := start(t, istiod)
	if status, _, _ := ask(t, address, "a.example.com", "/"); status != http.StatusServiceUnavailable && status != http.StatusNotFound {
		t.Errorf("without routes: %d", status)
	}
	istiod.put(t, listenerType, "0.0.0.0_80", httpListener(t, "0.0.0.0_80", "http.80"))
	istiod.put(t, routeType, "http.80", &route.RouteConfiguration{Name: "http.80", VirtualHosts: []*route.VirtualHost{
		virtualHost("a", []string{"a.example.com"}, answering(200, "one", nil)),
	}})
	await(t, address, "a.example.com", "200 one")
	await(t, address, "b.example.com", "404 404 page not found")
	istiod.put(t, routeType, "http.80", &route.RouteConfiguration{Name: "http.80", VirtualHosts: []*route.VirtualHost{
		virtualHost("b", []string{"b.example.com"}, answering(418, "two", nil)),
	}})
	await(t, address, "b.example.com", "418 two")
	await(t, address, "a.example.com", "404 404 page not found")
	istiod.put(t, listenerType, "0.0.0.0_80", nil)
	await(t, address, "b.example.com", "404 404 page not found")

	istiod.mu.Lock()
	defer istiod.mu.Unlock()
	if n := istiod.nodes[0]; n.Id != testNode || n.Metadata.Fields["NAME"].GetStringValue() != "edge-0" || n.Metadata.Fields["NAMESPACE"].GetStringValue() != "ingress" {
		t.Errorf("node %v", n)
	}
}

// TestServesWithoutIstiod: what the gateway knows stays when istiod goes, and is replaced when it comes back.
func TestServesWithoutIstiod(t *testing.T) {
	t.Parallel()
	istiod := startIstiod(t)
	istiod.put(t, listenerType, "l", httpListener(t, "l", "r"))
	routes := func(text string) *route.RouteConfiguration {
		return &route.RouteConfiguration{VirtualHosts: []*route.VirtualHost{virtualHost("all", []string{"*"}, answering(200, text, nil))}}
	}
	istiod.put(t, routeType, "r", routes("before"))
	address := start(t, istiod)
	await(t, address, "x", "200 before")
	istiod.door.shut(true)
	await(t, address, "x", "200 before")
	istiod.put(t, routeType, "r", routes("after"))
	istiod.door.shut(false)
	await(t, address, "x", "200 after")
}

// TestForwards: requests go to the endpoints that istiod names, in turn; where there is none or nobody is there, the
// answer says so and where it would have gone.
func TestForwards(t *testing.T) {
	t.Parallel()
	istiod := startIstiod(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "backend of ", r.Host) }))
	defer backend.Close()
	_, port, err := net.SplitHostPort(backend.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var n int
	fmt.Sscan(port, &n)
	istiod.put(t, listenerType, "l", httpListener(t, "l", "r"))
	istiod.put(t, clusterType, "up", edsCluster("up"))
	istiod.put(t, clusterType, "empty", edsCluster("empty"))
	istiod.put(t, clusterType, "down", edsCluster("down"))
	istiod.put(t, endpointType, "up", endpoints("up", n))
	istiod.put(t, endpointType, "down", endpoints("down", closedPort))
	istiod.put(t, routeType, "r", &route.RouteConfiguration{VirtualHosts: []*route.VirtualHost{
		virtualHost("up", []string{"up"}, to("up")), virtualHost("empty", []string{"empty"}, to("empty")), virtualHost("down", []string{"down"}, to("down")),
	}})
	address := start(t, istiod)
	await(t, address, "up", "200 backend of up")
	await(t, address, "empty", "503 no healthy upstream")
	status, body, h := ask(t, address, "down", "/")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "upstream connect error") || h.Get(headerCluster) != "down" || h.Get(headerEndpoint) == "" {
		t.Errorf("%d %s %v", status, body, h)
	}
}

// closedPort is a port that nobody listens at: one that was free a moment ago may be somebody's by now.
const closedPort = 1

func TestRefusesNode(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, id := range []string{"", "router", "router~1.2.3.4~pod~x", "~~~~~"} {
		if _, err := New(Config{Istiod: "x:1", Node: id, Listen: l}); err == nil {
			t.Errorf("%q is taken for a node ID", id)
		}
	}
}
