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

// The bounds of a file. A cluster of 50,000 pods, as kubectl writes it, has about 200 MB.
const (
	// maxBytes is how much is read of a file, unpacked.
	maxBytes = 256 << 20
	// maxObjectBytes is the size above which an object is left out: an api-server takes no larger one
	// (k8s.io/apiserver/pkg/server/config.go, MaxRequestBodyBytes).
	maxObjectBytes = 3 << 20
	// maxObjects bounds the number of objects, those left out included.
	maxObjects = 500_000
	// maxValues and maxDepth bound what an object is made of, with its aliases written out.
	maxValues = 100_000
	maxDepth  = 100
)

var (
	errTooLong = fmt.Errorf("is too long: more than %d MB, unpacked", maxBytes>>20)
	errTooMany = fmt.Errorf("holds too many objects: more than %d", maxObjects)
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
func open(ctx context.Context, in io.Reader) (*bufio.Reader, error) {
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
	text := bufio.NewReaderSize(&bounded{ctx, in, maxBytes}, 64<<10)
	if bom, err := text.Peek(3); err == nil && string(bom) == "\xef\xbb\xbf" {
		if _, err := text.Discard(len(bom)); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// isJSON reports whether the text begins as JSON does.
func isJSON(text *bufio.Reader) (bool, error) {
	for {
		c, err := text.ReadByte()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			continue
		}
		return c == '{' || c == '[', text.UnreadByte()
	}
}
