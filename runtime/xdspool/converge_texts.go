package xdspool

import (
	"maps"
	"slices"

	"github.com/plscript/plscript/runtime"
)

// sharers bounds how many objects a word is looked for of. One that more of them have tells none of them.
const sharers = 32

// indexTexts has the words of o, which resources do not name, looked for in what comes from now on. Those of its generation
// that another object has, which istiod may give to the same proxies, tell nothing of either, and are taken back.
func (s *store) indexTexts(o *object, telling map[string]bool) {
	for text, w := range o.words {
		sharing := s.texts[text]
		shared := false
		for _, other := range sharing {
			if o.meets(other) {
				shared = true
				delete(other.words, text)
				other.doubt()
			}
		}
		if w.gen == o.gen && (shared || len(sharing) >= sharers) {
			delete(o.words, text)
			continue
		}
		if !slices.Contains(sharing, o) {
			s.texts[text] = append(sharing, o)
			o.indexed = append(o.indexed, text)
		}
	}
	own := o.wordFields()
	maps.DeleteFunc(telling, func(path string, _ bool) bool { return !own[path] })
	o.indexed = slices.DeleteFunc(o.indexed, func(text string) bool {
		if o.words[text] != nil {
			return false
		}
		s.dropText(text, o)
		return true
	})
}

// doubt notes that what is on its way of o may never be seen to arrive.
func (o *object) doubt() {
	for _, ch := range o.changes {
		if w := ch.config.region; w != nil {
			w.sure = false
		}
	}
}

// dropTexts has the words of o looked for no more.
func (s *store) dropTexts(o *object) {
	for _, text := range o.indexed {
		s.dropText(text, o)
	}
	o.indexed = nil
}

func (s *store) dropText(text string, o *object) {
	rest := slices.DeleteFunc(s.texts[text], func(x *object) bool { return x == o })
	if len(rest) > 0 {
		s.texts[text] = rest
	} else {
		delete(s.texts, text)
	}
}

// meets reports whether another object may be given to proxies that get o.
func (o *object) meets(other *object) bool {
	if o == other || o.region == nil || other.region == nil {
		return false
	}
	everywhere := func(x *object) bool { return x.region.global || x.key.Namespace == rootNamespace }
	return o.key.Namespace == other.key.Namespace || everywhere(o) || everywhere(other)
}

// wordFields are the fields that have words of the object's generation.
func (o *object) wordFields() map[string]bool {
	out := map[string]bool{}
	for _, w := range o.words {
		if w.gen == o.gen {
			out[w.path] = true
		}
	}
	return out
}

// wordsOf are the fields whose text may be seen in resources. Where these name the object, it is any of its words in any
// field, as its pieces show which do; where not, a word may be anybody's, and it is the whole text of the fields that come out
// as they are.
func (o *object) wordsOf(fields map[string]any) map[string]any {
	if o.region == nil {
		return fields
	}
	out := map[string]any{}
	for path, v := range fields {
		if o.region.text(path) {
			out[path] = v
		}
	}
	return out
}

// findTexts adds to hits the objects of which a resource of type t, an Any in body, has words.
func (s *store) findTexts(t typ, body []byte, hits []hit) []hit {
	value, err := message(body, anyValue)
	if err != nil {
		return hits
	}
	eachLeaf(value, 0, func(text []byte) {
		for _, o := range s.texts[string(text)] {
			w := o.words[string(text)]
			if w == nil || !slices.ContainsFunc(o.region.parts, func(p part) bool { return p.typ == t }) {
				continue
			}
			i := slices.IndexFunc(hits, func(h hit) bool { return h.object == o })
			if i < 0 {
				i, hits = len(hits), append(hits, hit{object: o})
			}
			if !slices.Contains(hits[i].words, w) {
				hits[i].words = append(hits[i].words, w)
			}
		}
	})
	return hits
}

// longestText that is looked for, in bytes. A program may be long, but not as long as a listener.
const longestText = 16 << 10

// eachLeaf calls visit for the fields in a message that may be texts. Those of several lines cannot be told from messages,
// which therefore are among them. Broken bytes end it.
func eachLeaf(b []byte, depth int, visit func([]byte)) {
	for len(b) > 0 && depth < maxDepth {
		x, rest, err := nextField(b)
		if err != nil {
			return
		}
		b = rest
		if n := len(x.bytes); n > 0 && n <= longestText {
			visit(x.bytes)
		}
		if len(x.bytes) > 0 && !isText(x.bytes) {
			eachLeaf(x.bytes, depth+1, visit)
		}
	}
}

// identitiesOf are the names of an object's pieces in the resources of services: clusters and endpoints of its hosts, and
// ztunnel's services.
func identitiesOf(key runtime.ObjectKey, hosts ...string) []string {
	var ids []string
	for _, host := range hosts {
		ids = append(ids, "|"+host, serviceID(key.Namespace+"/"+host))
	}
	return ids
}

// serviceID is what a piece calls itself that is ztunnel's service of that name, "namespace/host".
func serviceID(name string) string { return "service " + name }
