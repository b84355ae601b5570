package apiwriter

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// streamsPerConn is how many requests share one HTTP/2 connection. An api-server allows 100 streams on each; far
// fewer keep the one lock and the one TLS stream of a connection from being the bottleneck.
const streamsPerConn = 25

// discoveryTimeout bounds the reading of the api-server's kinds, which client-go cannot cancel.
const discoveryTimeout = 10 * time.Second

// clientKey names a REST client: the protobuf one for built-in kinds, the JSON one for all others.
type clientKey struct {
	gv    schema.GroupVersion
	typed bool
}

// conn is one connection to the api-server with a REST client for each group and version.
type conn struct {
	cfg  *rest.Config
	http *http.Client

	mu      sync.RWMutex
	clients map[clientKey]rest.Interface
}

// baseConfig is cfg without client-go's own rate limiter (the budget is the writer's) and without its warnings.
func baseConfig(cfg *rest.Config, scenario string) *rest.Config {
	c := rest.CopyConfig(cfg)
	c.QPS, c.Burst, c.RateLimiter = -1, 0, nil
	c.WarningHandler = rest.NoWarnings{} // deprecations are the scenario's business, and client-go logs them to stderr
	if c.UserAgent == "" {
		c.UserAgent = "plscript"
		if scenario != "" {
			c.UserAgent += "/" + scenario
		}
	}
	return c
}

// dialConns returns n connections; each is made with its first request. client-go shares the transport of equal
// configurations, so each gets a dialer of its own.
func dialConns(cfg *rest.Config, n int) ([]*conn, error) {
	conns := make([]*conn, n)
	for i := range conns {
		c := rest.CopyConfig(cfg)
		if c.Dial == nil {
			c.Dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
		}
		h, err := rest.HTTPClientFor(c)
		if err != nil {
			return nil, fmt.Errorf("set up a connection to the api-server: %w", err)
		}
		conns[i] = &conn{cfg: c, http: h, clients: map[clientKey]rest.Interface{}}
	}
	return conns, nil
}

// client returns the REST client for key.
func (c *conn) client(key clientKey) (rest.Interface, error) {
	c.mu.RLock()
	cl, ok := c.clients[key]
	c.mu.RUnlock()
	if ok {
		return cl, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cl, ok := c.clients[key]; ok {
		return cl, nil
	}
	cfg := rest.CopyConfig(c.cfg)
	cfg.GroupVersion = &key.gv
	cfg.APIPath = "/apis"
	if key.gv.Group == "" {
		cfg.APIPath = "/api"
	}
	cfg.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	cfg.ContentType, cfg.AcceptContentTypes = k8sruntime.ContentTypeJSON, k8sruntime.ContentTypeJSON
	if key.typed {
		cfg.ContentType = k8sruntime.ContentTypeProtobuf
		cfg.AcceptContentTypes = k8sruntime.ContentTypeProtobuf + "," + k8sruntime.ContentTypeJSON
	}
	cl, err := rest.RESTClientForConfigAndClient(cfg, c.http)
	if err != nil {
		return nil, err
	}
	c.clients[key] = cl
	return cl, nil
}
