package istiod

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Proxy is one stream as istiod lists it.
type Proxy struct {
	ID           string // "pod.namespace"
	Type         string // "sidecar", "router", "waypoint", "ztunnel"
	ClusterID    string
	IstioVersion string               // as the proxy claims
	Types        map[string]PushState // by type URL; every type the proxy has subscribed to
}

// PushState is where the pushes of one type to one proxy stand.
type PushState struct {
	Sent      string    // nonce of the last response; "" if the subscription was never answered
	Acked     string    // nonce of the last acknowledgement
	SentTime  time.Time // of the last response; zero if there was none or this istiod does not say
	LastError string    // the last refusal, as the proxy worded it
}

// Current reports whether the last response sent is the last one acknowledged.
func (s PushState) Current() bool { return s.Sent == s.Acked }

// Syncz lists the proxies connected to istiod, sorted by id, and where their pushes stand. An istiod with nobody
// connected lists none. The page is Istio's /debug/syncz (pilot/pkg/xds/debug.go, Syncz).
func (c *Client) Syncz(ctx context.Context) ([]Proxy, error) {
	var page []syncStatus
	if err := c.getJSON(ctx, "/debug/syncz", &page); err != nil {
		return nil, err
	}
	out := make([]Proxy, 0, len(page))
	for _, s := range page {
		out = append(out, s.proxy())
	}
	slices.SortFunc(out, func(a, b Proxy) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// getJSON decodes a page that holds exactly one JSON value.
func (c *Client) getJSON(ctx context.Context, path string, into any) error {
	return c.get(ctx, path, func(body io.Reader) error {
		dec := json.NewDecoder(body)
		if err := dec.Decode(into); err != nil {
			return fmt.Errorf("not the JSON expected of istiod: %w", err)
		}
		return nil
	})
}

// syncStatus mirrors Istio's SyncStatus (pilot/pkg/xds/debug.go). The flat fields cover four types and all versions of
// istiod; resources covers every type, in the versions that have it.
type syncStatus struct {
	ClusterID            string                    `json:"cluster_id"`
	ProxyID              string                    `json:"proxy"`
	ProxyType            string                    `json:"proxy_type"`
	IstioVersion         string                    `json:"istio_version"`
	ClusterSent          string                    `json:"cluster_sent"`
	ClusterAcked         string                    `json:"cluster_acked"`
	ListenerSent         string                    `json:"listener_sent"`
	ListenerAcked        string                    `json:"listener_acked"`
	RouteSent            string                    `json:"route_sent"`
	RouteAcked           string                    `json:"route_acked"`
	EndpointSent         string                    `json:"endpoint_sent"`
	EndpointAcked        string                    `json:"endpoint_acked"`
	ExtensionConfigSent  string                    `json:"extensionconfig_sent"`
	ExtensionConfigAcked string                    `json:"extensionconfig_acked"`
	Resources            map[string]resourceStatus `json:"resources"`
}

type resourceStatus struct {
	Sent      string    `json:"sent"`
	Acked     string    `json:"acked"`
	SentTime  time.Time `json:"sentTime"`
	LastError string    `json:"lastError"`
}

func (s syncStatus) proxy() Proxy {
	p := Proxy{
		ID: s.ProxyID, Type: s.ProxyType, ClusterID: s.ClusterID, IstioVersion: s.IstioVersion,
		Types: make(map[string]PushState, len(s.Resources)),
	}
	for url, r := range s.Resources {
		p.Types[url] = PushState(r)
	}
	if s.Resources != nil {
		return p
	}
	for _, f := range []struct{ url, sent, acked string }{
		{"type.googleapis.com/envoy.config.cluster.v3.Cluster", s.ClusterSent, s.ClusterAcked},
		{"type.googleapis.com/envoy.config.listener.v3.Listener", s.ListenerSent, s.ListenerAcked},
		{"type.googleapis.com/envoy.config.route.v3.RouteConfiguration", s.RouteSent, s.RouteAcked},
		{"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", s.EndpointSent, s.EndpointAcked},
		{"type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", s.ExtensionConfigSent, s.ExtensionConfigAcked},
	} {
		if f.sent != "" || f.acked != "" {
			p.Types[f.url] = PushState{Sent: f.sent, Acked: f.acked}
		}
	}
	return p
}
