package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestFindHost is Envoy's order of domains.
func TestFindHost(t *testing.T) {
	t.Parallel()
	r, err := compile(&route.RouteConfiguration{VirtualHosts: []*route.VirtualHost{
		virtualHost("rest", []string{"*"}),
		virtualHost("prefix", []string{"www.*"}),
		virtualHost("suffix", []string{"*.example.com"}),
		virtualHost("longer", []string{"*.b.example.com"}),
		virtualHost("exact", []string{"a.example.com", "a.example.com:8080"}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"a.example.com": "exact", "A.Example.COM": "exact", "a.example.com:8080": "exact", "a.example.com:99": "exact",
		"c.example.com": "suffix", "c.b.example.com": "longer", "example.com": "rest", "www.other.org": "prefix", "www.example.com": "suffix", "": "rest",
	} {
		if got := r.find(host); got == nil || got.name != want {
			t.Errorf("%q: %v, want %s", host, got, want)
		}
	}
	none, err := compile(&route.RouteConfiguration{})
	if err != nil || none.find("x") != nil {
		t.Errorf("a host is found in nothing: %v", err)
	}
}

func exactly(s string) *matcher.StringMatcher {
	return &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: s}}
}

func header(name, value string, invert bool) *route.HeaderMatcher {
	return &route.HeaderMatcher{Name: name, InvertMatch: invert, HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{StringMatch: exactly(value)}}
}

func regex(s string) *matcher.RegexMatcher { return &matcher.RegexMatcher{Regex: s} }

// TestMatch tries each kind of condition with a request that it holds for and others that it does not.
func TestMatch(t *testing.T) {
	t.Parallel()
	slash := &route.RouteMatch_Prefix{Prefix: "/"}
	for name, c := range map[string]struct {
		match   *route.RouteMatch
		yes, no []string // targets; "METHOD target" and "target name=value" set more
	}{
		"prefix":    {&route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/a"}}, []string{"/a", "/ab"}, []string{"/", "/A"}},
		"path":      {&route.RouteMatch{PathSpecifier: &route.RouteMatch_Path{Path: "/a"}}, []string{"/a", "/a?x=1"}, []string{"/ab", "/"}},
		"folded":    {&route.RouteMatch{PathSpecifier: &route.RouteMatch_Path{Path: "/a"}, CaseSensitive: wrapperspb.Bool(false)}, []string{"/A"}, []string{"/b"}},
		"segments":  {&route.RouteMatch{PathSpecifier: &route.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: "/a"}}, []string{"/a", "/a/b"}, []string{"/ab"}},
		"regex":     {&route.RouteMatch{PathSpecifier: &route.RouteMatch_SafeRegex{SafeRegex: regex("/[0-9]+")}}, []string{"/12"}, []string{"/12a", "/a/12"}},
		"method":    {&route.RouteMatch{PathSpecifier: slash, Headers: []*route.HeaderMatcher{header(":method", "POST", false)}}, []string{"POST /"}, []string{"/"}},
		"header":    {&route.RouteMatch{PathSpecifier: slash, Headers: []*route.HeaderMatcher{header("x", "1", false)}}, []string{"/ x=1"}, []string{"/", "/ x=2"}},
		"inverted":  {&route.RouteMatch{PathSpecifier: slash, Headers: []*route.HeaderMatcher{header("x", "1", true)}}, []string{"/ x=2"}, []string{"/ x=1", "/"}},
		"present":   {&route.RouteMatch{PathSpecifier: slash, Headers: []*route.HeaderMatcher{{Name: "x", HeaderMatchSpecifier: &route.HeaderMatcher_PresentMatch{PresentMatch: true}}}}, []string{"/ x=2"}, []string{"/"}},
		"query":     {&route.RouteMatch{PathSpecifier: slash, QueryParameters: []*route.QueryParameterMatcher{{Name: "v", QueryParameterMatchSpecifier: &route.QueryParameterMatcher_StringMatch{StringMatch: exactly("2")}}}}, []string{"/?v=2"}, []string{"/?v=3", "/"}},
		"connect":   {&route.RouteMatch{PathSpecifier: &route.RouteMatch_ConnectMatcher_{}}, nil, []string{"/"}},
		"old regex": {&route.RouteMatch{PathSpecifier: slash, Headers: []*route.HeaderMatcher{{Name: "x", HeaderMatchSpecifier: &route.HeaderMatcher_RangeMatch{}}}}, nil, []string{"/ x=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rs, err := compile(&route.RouteConfiguration{VirtualHosts: []*route.VirtualHost{virtualHost("v", []string{"*"}, answering(200, "x", c.match))}})
			if err != nil {
				t.Fatal(err)
			}
			for _, target := range c.yes {
				if rs.rest.match(request(target)) == nil {
					t.Errorf("%s does not match", target)
				}
			}
			for _, target := range c.no {
				if rs.rest.match(request(target)) != nil {
					t.Errorf("%s matches", target)
				}
			}
		})
	}
	if _, err := compile(&route.RouteConfiguration{VirtualHosts: []*route.VirtualHost{
		virtualHost("v", []string{"*"}, answering(200, "x", &route.RouteMatch{PathSpecifier: &route.RouteMatch_SafeRegex{SafeRegex: regex("(")}})),
	}}); err == nil {
		t.Error("a broken regular expression is taken")
	}
}

// request is made of "[METHOD ]target[ header=value]".
func request(s string) *http.Request {
	method, target, value := http.MethodGet, s, ""
	if rest, ok := strings.CutPrefix(s, "POST "); ok {
		method, target = http.MethodPost, rest
	}
	if t, h, ok := strings.Cut(target, " x="); ok {
		target, value = t, h
	}
	r := httptest.NewRequest(method, target, nil)
	if value != "" {
		r.Header.Set("x", value)
	}
	return r
}

// TestWeights: a share of the requests goes where the weights say, over a whole round.
func TestWeights(t *testing.T) {
	t.Parallel()
	weighted := &route.RouteAction{ClusterSpecifier: &route.RouteAction_WeightedClusters{WeightedClusters: &route.WeightedCluster{Clusters: []*route.WeightedCluster_ClusterWeight{
		{Name: "a", Weight: wrapperspb.UInt32(80)}, {Name: "none", Weight: wrapperspb.UInt32(0)}, {Name: "b", Weight: wrapperspb.UInt32(20)},
	}}}}
	got := map[string]int{}
	for turn := range uint64(200) {
		got[clusterOf(weighted, turn)]++
	}
	if got["a"] != 160 || got["b"] != 40 || len(got) != 2 {
		t.Errorf("requests by cluster: %v", got)
	}
}
