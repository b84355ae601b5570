package h2

import (
	"sync"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// assembly puts a message together from the parts of DATA frames.
type assembly struct {
	header  [grpcwire.MessageHeader]byte
	nheader int
	size    int
	buf     *[]byte // nil while nothing but the header has come
}

// firstBuffer is how much is allocated on the word of a length prefix alone; more comes with the bytes themselves.
const firstBuffer = 4 << 20

var empty = []byte{}

// add takes in b. When a message is complete, it returns it and what is left of b; the message is good until drop.
func (a *assembly) add(b []byte, limit int) (message, rest []byte, err error) {
	if a.nheader < grpcwire.MessageHeader {
		n := copy(a.header[a.nheader:], b)
		a.nheader += n
		if b = b[n:]; a.nheader < grpcwire.MessageHeader {
			return nil, nil, nil
		}
		if a.size, err = grpcwire.MessageSize(&a.header, limit); err != nil {
			return nil, nil, err
		}
	}
	have := 0
	if a.buf != nil {
		have = len(*a.buf)
	}
	missing := a.size - have
	if have == 0 && len(b) >= missing { // all of it is here: no copy
		a.nheader = 0
		if missing == 0 {
			return empty, b, nil
		}
		return b[:missing], b[missing:], nil
	}
	if a.buf == nil {
		a.buf = buffers.get(min(a.size, firstBuffer))
	}
	n := min(missing, len(b))
	*a.buf = append(*a.buf, b[:n]...)
	if n < missing {
		return nil, nil, nil
	}
	a.nheader = 0
	return *a.buf, b[n:], nil
}

// drop gives the buffer back.
func (a *assembly) drop() {
	if a.buf != nil {
		buffers.put(a.buf)
		a.buf = nil
	}
}

// pool keeps buffers by size: the class of a buffer is the power of two that its capacity reaches.
type pool [25]sync.Pool

var buffers pool

// smallest is the class of the smallest buffers, 4 KiB.
const smallest = 12

func (p *pool) get(n int) *[]byte {
	class := smallest
	for 1<<class < n {
		class++
	}
	if class < len(p) {
		if b, ok := p[class].Get().(*[]byte); ok {
			return b
		}
	}
	b := make([]byte, 0, 1<<class)
	return &b
}

func (p *pool) put(b *[]byte) {
	class := smallest
	for 2<<class <= cap(*b) {
		class++
	}
	if class < len(p) && cap(*b) >= 1<<smallest {
		*b = (*b)[:0]
		p[class].Put(b)
	}
}
