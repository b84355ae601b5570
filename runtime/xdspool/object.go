package xdspool

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime"
)

// object is an API object whose changes are followed to the proxies, from its first change until it is removed and nobody
// holds anything of it.
type object struct {
	key    runtime.ObjectKey
	ids    []string // by which pieces name it
	gen    int      // counts its changes
	fields map[string]any
	words  map[string]*word
	proven map[string]bool // fields of which a word was seen in a resource
	gone   bool

	holds   map[nameID]map[contentID]hit // the contents that have something of it
	changes []*change                    // that somebody may be waiting for

	region  *region   // where it shows, if resources do not name it
	movers  slotSet   // who was seen to get it there
	indexed []string  // its words that are looked for
	murky   time.Time // until when an earlier change that could not be told from others may be on its way
}

// word is a text that a field of an object had, and that no other of its fields had.
type word struct {
	path string
	gen  int // the last generation that brought it
	refs int // contents that have it
}

// maxWords bounds what is watched of one object.
const maxWords = 256

// identities are what pieces of an object call it, see [identity].
func identities(c *runtime.ConfigChange) []string {
	ns, name := c.Object.Namespace, c.Object.Name
	switch c.Object.Kind {
	case "Service":
		return identitiesOf(c.Object, name+"."+ns+".svc.cluster.local")
	case "WasmPlugin":
		return []string{extensionPrefix + ns + "." + name + "~istio-translated-wasmplugin"}
	case "TrafficExtension":
		return []string{extensionPrefix + ns + "." + name}
	case "VirtualService":
		return []string{configPrefix + ns + "/virtual-service/" + name}
	case "DestinationRule":
		return []string{configPrefix + ns + "/destination-rule/" + name}
	case "HTTPRoute", "GRPCRoute":
		if named(c.Fields) {
			return []string{configPrefix + ns + "/virtual-service/" + name + "~"}
		}
		return []string{ns + "." + name}
	case "AuthorizationPolicy":
		return []string{fmt.Sprintf("ns[%s]-policy[%s]", ns, name), ns + "/" + name}
	case "ServiceEntry":
		var hosts []string
		for path, v := range c.Fields {
			if host, ok := v.(string); ok && strings.HasPrefix(path, "spec.hosts[") {
				hosts = append(hosts, host)
			}
		}
		return identitiesOf(c.Object, hosts...)
	}
	return nil
}

// named reports whether a rule of a Gateway API route has a name of its own.
func named(fields map[string]any) bool {
	for path := range fields {
		if rule, ok := strings.CutPrefix(path, "spec.rules["); ok && strings.HasSuffix(rule, "].name") && strings.Count(rule, "].") == 1 {
			return true
		}
	}
	return false
}

// object returns the object of c, which it makes unless c removes it.
func (s *store) object(c runtime.Change) *object {
	key := c.Config.Object
	o := s.objects[key]
	if c.Removed {
		return o
	}
	if o == nil {
		o = &object{key: key, gen: -1, words: map[string]*word{}, proven: map[string]bool{}, holds: map[nameID]map[contentID]hit{}}
	}
	if r, ok := regionOf(c.Config); ok {
		o.reshape(r)
	} else {
		for _, id := range identities(c.Config) {
			if !slices.Contains(o.ids, id) {
				o.ids = append(o.ids, id)
				s.objectIDs[id] = o
			}
		}
	}
	if len(o.ids) == 0 && o.region == nil {
		return nil
	}
	s.objects[key] = o
	return o
}

// reshape gives o a region, which goes on to have the parts where its earlier generations show.
func (o *object) reshape(r region) {
	if o.region != nil && !o.gone {
		for _, p := range o.region.parts {
			if !slices.Contains(r.parts, p) {
				r.parts = append(slices.Clip(r.parts), p)
			}
		}
	}
	if len(r.parts) > 0 {
		o.region = &r
	}
}

// forgetObject drops an object that is gone, when nobody holds anything of it or waits for it. Words may outlast an object
// that resources do not name.
func (s *store) forgetObject(o *object) {
	if !o.gone || len(o.holds) > 0 && o.region == nil || len(o.changes) > 0 {
		return
	}
	s.dropTexts(o)
	if s.objects[o.key] == o {
		delete(s.objects, o.key)
	}
	for _, id := range o.ids {
		if s.objectIDs[id] == o {
			delete(s.objectIDs, id)
		}
	}
}

// renew gives o the fields of its next generation. It returns the changed fields in which that generation can be told from
// those before: it has words of its own there, and the field shows in resources; and whether anything has changed at all.
func (o *object) renew(fields map[string]any) (telling map[string]bool, changed bool) {
	fields = o.shaping(fields)
	o.gen++
	o.gone = false
	first := o.fields == nil
	old := map[string]bool{}
	for _, v := range o.fields {
		o.eachWord(v, func(w string) { old[w] = true })
	}
	telling = map[string]bool{}
	for w, path := range uniqueWords(o.wordsOf(fields), o.eachWord) {
		if old[w] && !first {
			continue
		}
		known := o.words[w]
		if known == nil && len(o.words) >= maxWords || known != nil && known.path != path {
			continue
		}
		if known == nil {
			known = &word{path: strings.Clone(path)}
			o.words[strings.Clone(w)] = known
		}
		known.gen = o.gen
		telling[path] = o.proven[path]
	}
	maps.DeleteFunc(telling, func(_ string, proven bool) bool { return !proven })
	changed = first || !maps.Equal(fields, o.fields)
	o.fields = fields
	o.prune()
	return telling, changed
}

// shaping are the fields that make a difference to what is followed: of a Service the numbers of its ports.
func (o *object) shaping(fields map[string]any) map[string]any {
	if o.key.Kind != "Service" {
		return fields
	}
	out := map[string]any{}
	for path, v := range fields {
		if strings.HasPrefix(path, "spec.ports[") && strings.HasSuffix(path, "].port") {
			out[path] = v
		}
	}
	return out
}

// prune forgets the words that neither the object nor a resource has any more, nor will have as what is written arrives.
func (o *object) prune() {
	if slices.ContainsFunc(o.changes, func(ch *change) bool { return !ch.settled }) {
		return
	}
	now := map[string]bool{}
	for _, v := range o.fields {
		o.eachWord(v, func(w string) { now[w] = true })
	}
	maps.DeleteFunc(o.words, func(w string, x *word) bool { return x.refs == 0 && !now[w] })
}

// eachWord calls visit for the words of a field, or the whole of it, see [object.wordsOf].
func (o *object) eachWord(v any, visit func(string)) {
	s, ok := v.(string)
	switch {
	case !ok || s == "":
	case o.region != nil:
		visit(strings.TrimPrefix(strings.TrimPrefix(s, "./"), o.key.Namespace+"/")) // of a Gateway's hosts
	default:
		eachWord(s, visit)
	}
}

// uniqueWords returns the words that are in one field only, with that field.
func uniqueWords(fields map[string]any, eachWord func(any, func(string))) map[string]string {
	out, shared := map[string]string{}, map[string]bool{}
	for path, v := range fields {
		eachWord(v, func(w string) {
			if at, ok := out[w]; ok && at != path {
				shared[w] = true
			}
			out[w] = path
		})
	}
	maps.DeleteFunc(out, func(w, _ string) bool { return shared[w] })
	return out
}

// wordsIn adds to found the watched words in a piece.
func (o *object) wordsIn(b []byte, found []*word, depth int) []*word {
	if depth == maxDepth {
		return found
	}
	for len(b) > 0 {
		x, rest, err := nextField(b)
		if err != nil {
			break
		}
		b = rest
		if len(x.bytes) == 0 {
			continue
		}
		if !isText(x.bytes) {
			found = o.wordsIn(x.bytes, found, depth+1)
			continue
		}
		eachWord(x.bytes, func(text []byte) {
			if w := o.words[string(text)]; w != nil && !slices.Contains(found, w) {
				found = append(found, w)
			}
		})
	}
	return found
}

// watchObjects notes what the content id, received as r, has of objects.
func (s *store) watchObjects(t typ, id contentID, r *resource) {
	if len(s.objects) == 0 {
		return
	}
	rec := &s.contents[id]
	switch t {
	case sds, nds, workloads:
		return // nothing in them comes of what is followed
	case eds, wds: // most of what there is: only what is named like a followed object is looked into
		rec.hits = s.findNamed(t, r)
	default:
		rec.hits = findPieces(t, r.name, r.body, s.objectIDs)
		if len(s.texts) > 0 {
			rec.hits = s.findTexts(t, r.body, rec.hits)
		}
	}
	for _, h := range rec.hits {
		if h.object.holds[rec.name] == nil {
			h.object.holds[rec.name] = map[contentID]hit{}
		}
		h.object.holds[rec.name][id] = h
		for _, w := range h.words {
			w.refs++
			h.object.proven[w.path] = true
		}
	}
}

// unwatchObjects takes back what watchObjects noted.
func (s *store) unwatchObjects(id contentID) {
	rec := &s.contents[id]
	for _, h := range rec.hits {
		if of := h.object.holds[rec.name]; len(of) > 1 {
			delete(of, id)
		} else {
			delete(h.object.holds, rec.name)
		}
		for _, w := range h.words {
			w.refs--
		}
		s.forgetObject(h.object)
	}
}
