package capture

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	kjson "k8s.io/apimachinery/pkg/util/json"
)

// maxNesting is how deep Lists may be within Lists: `kubectl get` makes one.
const maxNesting = 3

// ErrNothing is returned for a file without a single object that istiod reads.
var ErrNothing = errors.New("holds no object that istiod reads")

// Read reads a file: YAML of any number of documents, JSON, or either packed by gzip; objects by themselves or in Lists.
// An error means that the file as a whole cannot be read, that ctx was done, or [ErrNothing], with which the capture says
// what was left out. Memory and time are bounded, whatever the file holds.
func Read(ctx context.Context, in io.Reader) (*Capture, error) { return readWithin(ctx, in, usual) }

func readWithin(ctx context.Context, in io.Reader, most limits) (*Capture, error) {
	text, err := open(ctx, in, most.bytes)
	if err != nil {
		return nil, err
	}
	r := &reader{capture: &Capture{}, most: most}
	ok, err := isJSON(text)
	switch {
	case err != nil:
	case ok:
		err = r.json(text)
	default:
		err = r.yaml(text)
	}
	if err != nil {
		return nil, err
	}
	if r.capture.Len() == 0 {
		return r.capture, ErrNothing
	}
	r.capture.sort()
	return r.capture, nil
}

type reader struct {
	capture *Capture
	most    limits
	objects int // so far
	values  int // so far
}

// yaml reads all chunks. One that cannot be read does not keep the others from it.
func (r *reader) yaml(text *bufio.Reader) error {
	s := &splitter{in: text}
	for {
		c, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.chunk(c); err != nil {
			return err
		}
	}
}

func (r *reader) chunk(c chunk) error {
	switch {
	case c.tooLong:
		return r.bad(c.line, "is larger than the %d MB that an api-server takes", maxObjectBytes>>20)
	case !utf8.Valid(c.text):
		return errNotText
	}
	v, walked, err := decodeYAML(c.text)
	if r.values += walked; r.values > r.most.values {
		return errTooMuch
	}
	if err != nil {
		return r.bad(c.line, "%v", err)
	}
	return r.value(v, c.line, 0)
}

// bad leaves out something that is not even an object.
func (r *reader) bad(line int, format string, args ...any) error {
	r.capture.leave(Ref{}, line, "%s", printable(strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")))
	return r.count()
}

func (r *reader) count() error {
	if r.objects++; r.objects > r.most.objects {
		return errTooMany
	}
	return nil
}

// value takes in an object, a List of them, or a plain list.
func (r *reader) value(v any, line, depth int) error {
	if depth > maxNesting {
		return r.bad(line, "is a list within lists within lists")
	}
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		for _, x := range v {
			if err := r.value(x, line, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		if items, ok := v["items"].([]any); ok {
			return r.value(items, line, depth)
		}
		return r.object(v, line)
	}
	return r.bad(line, "is no object")
}

// object takes in one object, or leaves it out.
func (r *reader) object(raw map[string]any, line int) error {
	ref := refOf(raw)
	apiVersion, _ := raw["apiVersion"].(string)
	switch {
	case apiVersion == "" || ref.Kind == "":
		r.capture.leave(ref, line, "has no apiVersion or no kind")
		return r.count()
	case ref.Kind == "List" && apiVersion == "v1": // an empty one
		return nil
	}
	k, why := lookup(apiVersion, ref.Kind)
	if k == nil {
		r.capture.leave(ref, line, "%s", why)
		return r.count()
	}
	o, why := clean(k, raw)
	if o == nil {
		r.capture.leave(ref, line, "%s", why)
		return r.count()
	}
	r.capture.add(item{k, o}, line)
	return r.count()
}

func refOf(raw map[string]any) Ref {
	meta, _ := raw["metadata"].(map[string]any)
	var r Ref
	r.Kind, _ = raw["kind"].(string)
	r.Namespace, _ = meta["namespace"].(string)
	r.Name, _ = meta["name"].(string)
	return r
}

// json reads any number of JSON values.
func (r *reader) json(text io.Reader) error {
	dec := json.NewDecoder(text)
	for {
		t, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return jsonError(dec, err)
		case t == json.Delim('{'):
			err = r.jsonObject(dec)
		case t == json.Delim('['):
			err = r.jsonItems(dec)
		default:
			err = r.bad(0, "is no object")
		}
		if err != nil {
			return jsonError(dec, err)
		}
	}
}

func jsonError(dec *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("is not JSON: %w, at byte %d", err, dec.InputOffset())
	}
	return err
}

// jsonObject reads the rest of an object: that of a List item by item, so that it is never in memory as a whole.
func (r *reader) jsonObject(dec *json.Decoder) error {
	fields := map[string]json.RawMessage{}
	size, list := 0, false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		if key == "items" && !list {
			t, err := dec.Token()
			if err != nil {
				return err
			}
			if list = t == json.Delim('['); list {
				if err := r.jsonItems(dec); err != nil {
					return err
				}
			}
			continue
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		if size += len(raw); size <= maxObjectBytes {
			fields[fmt.Sprint(key)] = raw
		}
	}
	if _, err := dec.Token(); err != nil || list {
		return err
	}
	if size > maxObjectBytes {
		return r.bad(0, "is larger than the %d MB that an api-server takes", maxObjectBytes>>20)
	}
	whole, err := json.Marshal(fields)
	if err != nil {
		return r.bad(0, "is not JSON: %v", err)
	}
	return r.jsonValue(whole)
}

// jsonItems reads the rest of a list.
func (r *reader) jsonItems(dec *json.Decoder) error {
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		if err := r.jsonValue(raw); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func (r *reader) jsonValue(raw []byte) error {
	if len(raw) > maxObjectBytes {
		return r.bad(0, "is larger than the %d MB that an api-server takes", maxObjectBytes>>20)
	}
	var v any
	if err := kjson.Unmarshal(raw, &v); err != nil { // whose depth is bounded, as encoding/json's is
		return r.bad(0, "is not JSON: %v", err)
	}
	return r.value(v, 0, 0)
}
