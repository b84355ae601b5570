package istiod

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const synczBody = `[
 {"cluster_id":"Kubernetes","proxy":"web-2.shop","proxy_type":"sidecar","istio_version":"1.31.0",
  "cluster_sent":"c1","cluster_acked":"c1","listener_sent":"l1","listener_acked":"l1","route_sent":"r2","route_acked":"r1",
  "endpoint_sent":"e1","endpoint_acked":"e1",
  "resources":{
   "type.googleapis.com/envoy.config.cluster.v3.Cluster":{"sent":"c1","acked":"c1","sentTime":"2026-05-04T10:00:00.5Z"},
   "type.googleapis.com/envoy.config.route.v3.RouteConfiguration":{"sent":"r2","acked":"r1","sentTime":"2026-05-04T10:00:01Z","lastError":"no such cluster"},
   "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret":{"sentTime":"0001-01-01T00:00:00Z"}}},
 {"cluster_id":"Kubernetes","proxy":"ztunnel-a.istio-system","proxy_type":"ztunnel",
  "resources":{"type.googleapis.com/istio.workload.Address":{"sent":"w9","acked":"w9","sentTime":"2026-05-04T10:00:00Z"}}}
]`

func serve(t *testing.T, pages map[string]string) *Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := pages[r.URL.Path]
		if !ok {
			http.Error(w, "nothing here", http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return NewClient(strings.TrimPrefix(srv.URL, "http://"), srv.Client())
}

func TestSyncz(t *testing.T) {
	t.Parallel()
	got, err := serve(t, map[string]string{"/debug/syncz": synczBody}).Syncz(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := func(sec, nsec int) time.Time { return time.Date(2026, 5, 4, 10, 0, sec, nsec, time.UTC) }
	want := []Proxy{
		{ID: "web-2.shop", Type: "sidecar", ClusterID: "Kubernetes", IstioVersion: "1.31.0", Types: map[string]PushState{
			"type.googleapis.com/envoy.config.cluster.v3.Cluster":                  {Sent: "c1", Acked: "c1", SentTime: at(0, 5e8)},
			"type.googleapis.com/envoy.config.route.v3.RouteConfiguration":         {Sent: "r2", Acked: "r1", SentTime: at(1, 0), LastError: "no such cluster"},
			"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret": {},
		}},
		{ID: "ztunnel-a.istio-system", Type: "ztunnel", ClusterID: "Kubernetes", Types: map[string]PushState{
			"type.googleapis.com/istio.workload.Address": {Sent: "w9", Acked: "w9", SentTime: at(0, 0)},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("syncz (-want +got):\n%s", diff)
	}
	if got[0].Types["type.googleapis.com/envoy.config.route.v3.RouteConfiguration"].Current() {
		t.Error("a route with sent r2 and acked r1 counts as current")
	}
}

func TestSynczOfAnIstiodWithoutResources(t *testing.T) {
	t.Parallel()
	body := `[{"proxy":"a.b","proxy_type":"router","cluster_sent":"1","cluster_acked":"1","endpoint_sent":"2"}]`
	got, err := serve(t, map[string]string{"/debug/syncz": body}).Syncz(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]PushState{
		"type.googleapis.com/envoy.config.cluster.v3.Cluster":                {Sent: "1", Acked: "1"},
		"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment": {Sent: "2"},
	}
	if diff := cmp.Diff(want, got[0].Types); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
}

func TestConnectionsAndVersion(t *testing.T) {
	t.Parallel()
	c := serve(t, map[string]string{
		"/debug/connections": `{"totalClients":1,"clients":[{"connectionId":"a.b-7","connectedAt":"2026-05-04T10:00:00Z","address":"127.0.0.1:555"}]}`,
		"/version":           "1.31.0-abc-Clean\n",
	})
	conns, err := c.Connections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Connection{{ID: "a.b-7", ConnectedAt: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC), Peer: "127.0.0.1:555"}}
	if diff := cmp.Diff(want, conns); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
	if v, err := c.Version(t.Context()); err != nil || v != "1.31.0-abc-Clean" {
		t.Errorf("Version() = %q, %v", v, err)
	}
}

func TestNobodyConnected(t *testing.T) {
	t.Parallel()
	c := serve(t, map[string]string{"/debug/syncz": "[]", "/debug/connections": `{"totalClients":0}`})
	if got, err := c.Syncz(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Syncz() = %v, %v", got, err)
	}
	if got, err := c.Connections(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Connections() = %v, %v", got, err)
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	denied := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(denied.Close)
	_, err := NewClient(denied.URL, nil).Syncz(t.Context())
	var status *StatusError
	if !errors.As(err, &status) || status.Code != 401 || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("a 401 gave %v", err)
	}

	c := serve(t, map[string]string{"/debug/syncz": "<html>", "/metrics": "{{{"})
	if _, err := c.Syncz(t.Context()); err == nil || !strings.Contains(err.Error(), "/debug/syncz: not the JSON") {
		t.Errorf("HTML gave %v", err)
	}
	if _, err := c.Metrics(t.Context()); err == nil || !strings.Contains(err.Error(), "not Prometheus text") {
		t.Errorf("broken metrics gave %v", err)
	}
	if _, err := c.Version(t.Context()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a missing page gave %v", err)
	}
}

func TestBoundedReaderFailsInsteadOfEnding(t *testing.T) {
	t.Parallel()
	_, err := io.ReadAll(&boundedReader{r: strings.NewReader("12345"), left: 3})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}
