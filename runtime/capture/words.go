package capture

import (
	"regexp"
	"strconv"
	"strings"
)

// words replaces what names are made of. Names are taken apart into words, so that what begins with another name, ends in
// its Deployment's hash or in a domain still does after it.
type words struct {
	known map[string]string // private words, with what stands for them
	whole map[string]string // names that are replaced as a whole
}

func newWords() *words { return &words{known: map[string]string{}, whole: map[string]string{}} }

var (
	word    = regexp.MustCompile(`[A-Za-z0-9]+`)
	version = regexp.MustCompile(`^(v?[0-9]{1,4}|v[0-9]+(alpha|beta)[0-9]+)$`)
	// constant is a value of an enumeration: STRICT, PathPrefix.
	constant = regexp.MustCompile(`^[A-Z][A-Za-z0-9_]*$`)
	// host is a domain name of several labels, by itself or in a URL.
	host = regexp.MustCompile(`(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}`)
)

// public are the words of Istio, Kubernetes and the Internet that mean the same everywhere, and by which istiod decides:
// protocols in the names of ports, domains, classes of proxies.
var public = func() map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(`
		http https http2 grpc grpcs tcp tls udp mongo mysql redis auto hbone sctp h2c kubernetes k8s istio io com org net dev gov edu
		local svc cluster internal ns sa spiffe default istiod proxy sidecar router waypoint ztunnel gateway gateways mesh controller
		ingressgateway egressgateway eastwestgateway remote east west true false enabled disabled all none linux amd64 arm64
		proxyv2 envoy prometheus system kube`) {
		out[w] = true
	}
	return out
}()

// learn marks the words of a name as private.
func (w *words) learn(name string) {
	for _, part := range word.FindAllString(name, -1) {
		if _, ok := w.known[part]; !ok && !public[part] && !version.MatchString(part) {
			w.known[part] = "w" + strconv.FormatInt(int64(len(w.known)+1), 36)
		}
	}
}

// learnWhole marks a name that says more than its words, as that of a node with its address in it.
func (w *words) learnWhole(name, prefix string) {
	if _, ok := w.whole[name]; !ok && name != "" {
		w.whole[name] = prefix + "-" + strconv.Itoa(len(w.whole)+1)
	}
}

// text replaces the private words in a text. The scheme of a URL is none, nor is the one protocol of two words.
func (w *words) text(s string) string {
	if next, ok := w.whole[s]; ok {
		return next
	}
	var out strings.Builder
	from := 0
	if strings.HasPrefix(s, grpcWeb) {
		out.WriteString(grpcWeb)
		from = len(grpcWeb)
	}
	rest := s[from:]
	at := 0
	for _, m := range word.FindAllStringIndex(rest, -1) {
		out.WriteString(rest[at:m[0]])
		part := rest[m[0]:m[1]]
		if next, ok := w.known[part]; ok && !strings.HasPrefix(rest[m[1]:], "://") {
			part = next
		}
		out.WriteString(part)
		at = m[1]
	}
	out.WriteString(rest[at:])
	return out.String()
}

// grpcWeb begins the names of ports of that protocol.
const grpcWeb = "grpc-web"

// pattern replaces the private words in a regular expression, whose short ones are of its syntax.
func (w *words) pattern(s string) string {
	const shortest = 3
	return word.ReplaceAllStringFunc(s, func(part string) string {
		if next, ok := w.known[part]; ok && len(part) >= shortest {
			return next
		}
		return part
	})
}
