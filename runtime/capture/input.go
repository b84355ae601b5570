package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
)

// limits bound a file.
type limits struct {
	bytes   int64 // that are read, unpacked
	objects int   // those left out included
	values  int   // of all objects, with aliases written out
}

// usual are the limits of [Read]. A cluster of 50,000 pods, as kubectl writes it, has about 200 MB.
var usual = limits{bytes: 256 << 20, objects: 500_000, values: 50_000_000}

const (
	// maxObjectBytes is the size above which an object is left out: an api-server takes no larger one
	// (k8s.io/apiserver/pkg/server/config.go, MaxRequestBodyBytes).
	maxObjectBytes = 3 << 20
	// maxValues and maxDepth bound what an object is made of, with its aliases written out.
	maxValues = 100_000
	maxDepth  = 100
)

var (
	errTooLong = fmt.Errorf("is too long: more than %d MB, unpacked", usual.bytes>>20)
	errTooMuch = fmt.Errorf("holds too much: more than %d values, with its aliases written out", usual.values)
	errTooMany = fmt.Errorf("holds too many objects: more than %d", usual.objects)
	errNotText = errors.New("is not text: want YAML or JSON, or either packed by gzip")
)

// bounded is a reader that fails where a file is too long or is no text, or when ctx is done.
type bounded struct {
	ctx  context.Context
	in   io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := context.Cause(b.ctx); err != nil {
		return 0, err
	}
	n, err := b.in.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	if bytes.IndexByte(p[:n], 0) >= 0 {
		return 0, errNotText
	}
	return n, err
}

// open unpacks what is packed and returns the text, without a byte order mark.
func open(ctx context.Context, in io.Reader, most int64) (*bufio.Reader, error) {
	raw := bufio.NewReader(in)
	if head, err := raw.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		in = z
	} else {
		in = raw
	}
	text := bufio.NewReaderSize(&bounded{ctx, in, most}, 64<<10)
	bom, err := text.Peek(3)
	switch {
	case errors.Is(err, io.EOF):
		return text, nil
	case err == nil && string(bom) == "\xef\xbb\xbf":
		_, err = text.Discard(len(bom))
	}
	return text, err
}

// isJSON reports whether the text begins as JSON does. YAML in flow style begins with a brace too, but hardly with a quote
// behind it.
func isJSON(text *bufio.Reader) (bool, error) {
	head, err := text.Peek(1 << 10)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) == 0 {
		return false, nil
	}
	next := bytes.TrimLeft(head[1:], " \t\r\n")
	switch {
	case head[0] == '{':
		return len(next) == 0 || next[0] == '"' || next[0] == '}', nil
	case head[0] == '[':
		return len(next) == 0 || next[0] == ']' || next[0] == '{' && bytes.HasPrefix(bytes.TrimLeft(next[1:], " \t\r\n"), []byte(`"`)), nil
	}
	return false, nil
}
