package gateway

import (
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// routes is a compiled route configuration.
type routes struct {
	exact    map[string]*vhost // by domain
	suffixes []wildcard        // "*.example.com", the longest first
	prefixes []wildcard        // "example.*", the longest first
	rest     *vhost            // "*"; nil if there is none
}

type wildcard struct {
	text string
	host *vhost
}

type vhost struct {
	name   string
	routes []rule
}

// rule is one route and when it applies. A condition that is not understood never holds, so that no request is routed by
// half of a rule.
type rule struct {
	*route.Route
	matches []func(*http.Request) bool
}

// compile prepares a route configuration.
func compile(rc *route.RouteConfiguration) (*routes, error) {
	out := &routes{exact: map[string]*vhost{}}
	for _, vh := range rc.GetVirtualHosts() {
		h := &vhost{name: vh.Name}
		for _, r := range vh.Routes {
			conditions, err := conditions(r.GetMatch())
			if err != nil {
				return nil, fmt.Errorf("route %s of %s: %w", r.Name, vh.Name, err)
			}
			h.routes = append(h.routes, rule{r, conditions})
		}
		for _, d := range vh.Domains {
			switch d = strings.ToLower(d); {
			case d == "*":
				out.rest = h
			case strings.HasPrefix(d, "*"):
				out.suffixes = append(out.suffixes, wildcard{d[1:], h})
			case strings.HasSuffix(d, "*"):
				out.prefixes = append(out.prefixes, wildcard{d[:len(d)-1], h})
			default:
				out.exact[d] = h
			}
		}
	}
	longest := func(a, b wildcard) int { return len(b.text) - len(a.text) }
	slices.SortStableFunc(out.suffixes, longest)
	slices.SortStableFunc(out.prefixes, longest)
	return out, nil
}

// find returns the virtual host for a Host header, in Envoy's order: the exact domain, the longest suffix, the longest
// prefix, "*" (Envoy config.route.v3.VirtualHost, domains); nil if there is none.
func (r *routes) find(host string) *vhost {
	host = strings.ToLower(host)
	names := []string{host}
	if name, _, err := net.SplitHostPort(host); err == nil {
		names = append(names, name) // istiod lists hosts without their ports too, or has the ports ignored
	}
	for _, n := range names {
		if h := r.exact[n]; h != nil {
			return h
		}
	}
	for _, n := range names {
		for _, w := range r.suffixes {
			if len(n) > len(w.text) && strings.HasSuffix(n, w.text) {
				return w.host
			}
		}
		for _, w := range r.prefixes {
			if len(n) > len(w.text) && strings.HasPrefix(n, w.text) {
				return w.host
			}
		}
	}
	return r.rest
}

// match returns the first route of h that applies; nil if none does.
func (h *vhost) match(req *http.Request) *route.Route {
	for _, r := range h.routes {
		if !slices.ContainsFunc(r.matches, func(ok func(*http.Request) bool) bool { return !ok(req) }) {
			return r.Route
		}
	}
	return nil
}

// conditions are those of one route.
func conditions(m *route.RouteMatch) ([]func(*http.Request) bool, error) {
	path, err := pathCondition(m)
	if err != nil {
		return nil, err
	}
	out := []func(*http.Request) bool{path}
	for _, h := range m.GetHeaders() {
		c, err := headerCondition(h)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	for _, q := range m.GetQueryParameters() {
		c, err := queryCondition(q)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func never(*http.Request) bool { return false }

func pathCondition(m *route.RouteMatch) (func(*http.Request) bool, error) {
	fold := func(s string) string { return s }
	if c := m.GetCaseSensitive(); c != nil && !c.Value {
		fold = strings.ToLower
	}
	switch p := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix:
		return func(r *http.Request) bool { return strings.HasPrefix(fold(r.URL.Path), fold(p.Prefix)) }, nil
	case *route.RouteMatch_Path:
		return func(r *http.Request) bool { return fold(r.URL.Path) == fold(p.Path) }, nil
	case *route.RouteMatch_PathSeparatedPrefix:
		return func(r *http.Request) bool {
			rest, ok := strings.CutPrefix(fold(r.URL.Path), fold(p.PathSeparatedPrefix))
			return ok && (rest == "" || rest[0] == '/')
		}, nil
	case *route.RouteMatch_SafeRegex:
		re, err := wholeRegexp(p.SafeRegex)
		if err != nil {
			return nil, err
		}
		return func(r *http.Request) bool { return re.MatchString(r.URL.Path) }, nil
	}
	return never, nil
}

// wholeRegexp compiles an expression that has to match from start to end, as Envoy wants it.
func wholeRegexp(m *matcher.RegexMatcher) (*regexp.Regexp, error) {
	return regexp.Compile("^(?:" + m.GetRegex() + ")$")
}

// pseudoHeader is the value of an HTTP/2 pseudo header, which rules match like any other.
func pseudoHeader(r *http.Request, name string) (string, bool) {
	switch name {
	case ":authority":
		return r.Host, true
	case ":method":
		return r.Method, true
	case ":path":
		return r.URL.RequestURI(), true
	case ":scheme":
		return "http", true
	}
	values := r.Header.Values(name)
	return strings.Join(values, ","), len(values) > 0
}

func headerCondition(h *route.HeaderMatcher) (func(*http.Request) bool, error) {
	var value func(string) bool
	switch s := h.GetHeaderMatchSpecifier().(type) {
	case nil:
		value = func(string) bool { return true } // it has to be there
	case *route.HeaderMatcher_PresentMatch:
		present := s.PresentMatch != h.GetInvertMatch()
		return func(r *http.Request) bool {
			_, ok := pseudoHeader(r, h.Name)
			return ok == present
		}, nil
	case *route.HeaderMatcher_StringMatch:
		var err error
		if value, err = stringCondition(s.StringMatch); err != nil {
			return nil, err
		}
	default:
		return never, nil
	}
	return func(r *http.Request) bool {
		v, ok := pseudoHeader(r, h.Name)
		if !ok && !h.GetTreatMissingHeaderAsEmpty() {
			return false // an inverted match too wants the header to be there
		}
		return value(v) != h.GetInvertMatch()
	}, nil
}

func queryCondition(q *route.QueryParameterMatcher) (func(*http.Request) bool, error) {
	value := func(string) bool { return true }
	if s, ok := q.GetQueryParameterMatchSpecifier().(*route.QueryParameterMatcher_StringMatch); ok {
		var err error
		if value, err = stringCondition(s.StringMatch); err != nil {
			return nil, err
		}
	}
	return func(r *http.Request) bool {
		values := r.URL.Query()[q.Name]
		return len(values) > 0 && value(values[0])
	}, nil
}

func stringCondition(m *matcher.StringMatcher) (func(string) bool, error) {
	fold := func(s string) string { return s }
	if m.GetIgnoreCase() {
		fold = strings.ToLower
	}
	switch p := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		return func(s string) bool { return fold(s) == fold(p.Exact) }, nil
	case *matcher.StringMatcher_Prefix:
		return func(s string) bool { return strings.HasPrefix(fold(s), fold(p.Prefix)) }, nil
	case *matcher.StringMatcher_Suffix:
		return func(s string) bool { return strings.HasSuffix(fold(s), fold(p.Suffix)) }, nil
	case *matcher.StringMatcher_Contains:
		return func(s string) bool { return strings.Contains(fold(s), fold(p.Contains)) }, nil
	case *matcher.StringMatcher_SafeRegex:
		re, err := wholeRegexp(p.SafeRegex)
		if err != nil {
			return nil, err
		}
		return re.MatchString, nil
	}
	return func(string) bool { return false }, nil
}
