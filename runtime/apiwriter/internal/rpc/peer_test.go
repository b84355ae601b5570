package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

// peer is a server that does what a test says, frame by frame.
type peer struct {
	t     *testing.T
	nc    net.Conn
	fr    *http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
	heard map[uint32][]byte // of calls that have not been read to their end, by stream
}

// script has each connection to a socket served by the next of steps, and closed when that returns. What a step returns is
// reported, unless it is that the client has gone.
func script(t *testing.T, steps ...func(p *peer) error) *Client {
	t.Helper()
	socket := socketIn(t)
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, step := range steps {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			p := &peer{t: t, nc: nc, fr: http2.NewFramer(nc, nc), heard: map[uint32][]byte{}}
			p.enc = hpack.NewEncoder(&p.block)
			p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			p.fr.AllowIllegalWrites = true
			if err = p.greet(); err == nil {
				err = step(p)
			}
			if err != nil && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			nc.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return client(t, socket) // which is closed before
}

// greet takes in the client's preface and says the settings.
func (p *peer) greet() error {
	hello := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(p.nc, hello); err != nil {
		return err
	}
	if string(hello) != http2.ClientPreface {
		p.t.Errorf("the connection begins with %q", hello)
	}
	return p.fr.WriteSettings()
}

// request reads up to the end of the next call, acting on nothing else, and returns its stream and its message.
func (p *peer) request() (stream uint32, message []byte, err error) {
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			return 0, nil, err
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			for name, want := range map[string]string{":method": "POST", ":scheme": "http", ":path": "/m", ":authority": "localhost", "content-type": "application/grpc", "te": "trailers"} {
				if got := fieldOf(f, name); got != want {
					p.t.Errorf("a call has the header field %s: %q, want %q", name, got, want)
				}
			}
		case *http2.DataFrame:
			message = append(p.heard[f.StreamID], f.Data()...)
			p.heard[f.StreamID] = message
			if f.StreamEnded() {
				delete(p.heard, f.StreamID)
				return f.StreamID, message[grpcwire.MessageHeader:], nil
			}
		}
	}
}

func fieldOf(f *http2.MetaHeadersFrame, name string) string {
	for _, h := range f.Fields {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// fields encodes a header block, name by value.
func (p *peer) fields(pairs ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		if err := p.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}); err != nil {
			p.t.Error(err)
		}
	}
	return p.block.Bytes()
}

func (p *peer) headers(stream uint32, end bool, pairs ...string) error {
	return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.fields(pairs...), EndHeaders: true, EndStream: end})
}

func framed(message string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// answer is a whole answer.
func (p *peer) answer(stream uint32, message string) error {
	return errors.Join(
		p.headers(stream, false, ":status", "200", "content-type", "application/grpc"),
		p.fr.WriteData(stream, false, framed(message)),
		p.headers(stream, true, "grpc-status", "0", "grpc-message", ""),
	)
}

// well answers every call with the beginning of what it says.
func well(p *peer) error {
	for {
		stream, message, err := p.request()
		if err != nil {
			return err
		}
		if err := p.answer(stream, "re: "+string(message[:min(len(message), 100)])); err != nil {
			return err
		}
	}
}

func say(ctx context.Context, c *Client, message string) (string, error) {
	answer, err := c.Call(ctx, "/m", []byte(message), nil)
	return string(answer), err
}

func answered(t *testing.T, c *Client, message string) {
	t.Helper()
	if got, err := say(t.Context(), c, message); err != nil || got != "re: "+message {
		t.Errorf("%s: %q, %v", message, got, err)
	}
}
