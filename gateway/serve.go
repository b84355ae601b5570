package gateway

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// The headers that say how a request was routed.
const (
	headerRoute    = "X-Gateway-Route"    // virtual host and route
	headerCluster  = "X-Gateway-Cluster"  // where it was passed on to
	headerEndpoint = "X-Gateway-Endpoint" // the address chosen
)

// ServeHTTP routes a request by the latest configuration.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Server", "plscript-gateway")
	t := g.table.Load()
	if t == nil {
		http.Error(w, "istiod has not answered yet", http.StatusServiceUnavailable)
		return
	}
	h, r := t.match(req)
	if r == nil {
		http.NotFound(w, req)
		return
	}
	w.Header().Set(headerRoute, h.name+"/"+r.Name)
	switch action := r.GetAction().(type) {
	case *route.Route_DirectResponse:
		w.WriteHeader(int(action.DirectResponse.Status))
		_, _ = io.WriteString(w, body(action.DirectResponse.GetBody())) // the client may be gone
	case *route.Route_Redirect:
		redirect(w, req, action.Redirect)
	case *route.Route_Route:
		g.forward(w, req, t, action.Route)
	default:
		http.NotFound(w, req)
	}
}

// match finds the route of a request in the first listener that has one.
func (t *table) match(req *http.Request) (*vhost, *route.Route) {
	for _, rs := range t.routes {
		if h := rs.find(req.Host); h != nil {
			if r := h.match(req); r != nil {
				return h, r
			}
		}
	}
	return nil, nil
}

func body(d *core.DataSource) string {
	if b := d.GetInlineBytes(); len(b) > 0 {
		return string(b)
	}
	return d.GetInlineString()
}

// redirectCodes are the answers to redirects, by what the route says.
var redirectCodes = map[route.RedirectAction_RedirectResponseCode]int{
	route.RedirectAction_MOVED_PERMANENTLY:  http.StatusMovedPermanently,
	route.RedirectAction_FOUND:              http.StatusFound,
	route.RedirectAction_SEE_OTHER:          http.StatusSeeOther,
	route.RedirectAction_TEMPORARY_REDIRECT: http.StatusTemporaryRedirect,
	route.RedirectAction_PERMANENT_REDIRECT: http.StatusPermanentRedirect,
}

func redirect(w http.ResponseWriter, req *http.Request, r *route.RedirectAction) {
	to := url.URL{Scheme: "http", Host: req.Host, Path: req.URL.Path, RawQuery: req.URL.RawQuery}
	if r.GetHttpsRedirect() {
		to.Scheme = "https"
	}
	if s := r.GetSchemeRedirect(); s != "" {
		to.Scheme = s
	}
	if r.HostRedirect != "" {
		to.Host = r.HostRedirect
	}
	if p := r.GetPathRedirect(); p != "" {
		to.Path = p
	}
	if r.StripQuery {
		to.RawQuery = ""
	}
	http.Redirect(w, req, to.String(), redirectCodes[r.ResponseCode])
}

// forward passes a request on to an endpoint of the route's cluster.
func (g *Gateway) forward(w http.ResponseWriter, req *http.Request, t *table, r *route.RouteAction) {
	turn := g.turns.Add(1) - 1
	name := clusterOf(r, turn)
	w.Header().Set(headerCluster, name)
	all := t.endpoints[name]
	if len(all) == 0 {
		http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
		return
	}
	to := all[turn%uint64(len(all))]
	w.Header().Set(headerEndpoint, to)
	proxy := &httputil.ReverseProxy{
		Transport: g.via,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: to})
			p.Out.Host = p.In.Host
			if h := r.GetHostRewriteLiteral(); h != "" {
				p.Out.Host = h
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "upstream connect error: "+strings.TrimSpace(err.Error()), http.StatusServiceUnavailable)
		},
	}
	proxy.ServeHTTP(w, req)
}

// clusterOf is the cluster that a route sends its request of that number to. Weights are kept by turns.
func clusterOf(r *route.RouteAction, turn uint64) string {
	weighted := r.GetWeightedClusters().GetClusters()
	total := uint64(0)
	for _, c := range weighted {
		total += uint64(c.GetWeight().GetValue())
	}
	if total == 0 {
		return r.GetCluster()
	}
	turn %= total
	for _, c := range weighted {
		if n := uint64(c.GetWeight().GetValue()); turn >= n {
			turn -= n
			continue
		}
		return c.Name
	}
	return ""
}
