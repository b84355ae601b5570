package istiod

import (
	"context"
	"time"
)

// Connection is one XDS stream that istiod holds open, whoever opened it.
type Connection struct {
	ID          string    // "pod.namespace-<counter>"
	ConnectedAt time.Time // by istiod's clock
	Peer        string    // the client's address
}

// Connections lists the open XDS streams and where they come from, which syncz does not say. The page is Istio's
// /debug/connections (pilot/pkg/xds/debug.go, connectionsHandler).
func (c *Client) Connections(ctx context.Context) ([]Connection, error) {
	var page struct {
		Clients []struct {
			ConnectionID string    `json:"connectionId"`
			ConnectedAt  time.Time `json:"connectedAt"`
			Address      string    `json:"address"`
		} `json:"clients"`
	}
	if err := c.getJSON(ctx, "/debug/connections", &page); err != nil {
		return nil, err
	}
	out := make([]Connection, 0, len(page.Clients))
	for _, cl := range page.Clients {
		out = append(out, Connection{ID: cl.ConnectionID, ConnectedAt: cl.ConnectedAt, Peer: cl.Address})
	}
	return out, nil
}
