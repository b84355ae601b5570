package replay_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

	"github.com/plscript/plscript/runtime/internal/grpcwire"
)

const hasBare = true

// bare is the least that takes in what a mesh is sent: one thread with one buffer waits for all connections, reads, and
// writes the same ACK for each response. It looks at the headers of frames and messages, to find the ends of the messages and
// the PINGs, and at nothing that is in them.
//
// Its system calls are made without telling Go's scheduler, which a process of one goroutine that makes no garbage may do.
type bare struct {
	epoll            int
	conns            map[int32]*bareConn
	buf, out, ack    []byte
	responses, bytes int
	ready            int // connections that were answered
}

// bareConn is a connection with one stream.
type bareConn struct {
	fd     int
	header [grpcwire.FrameHeaderSize]byte
	have   int // of header
	frame  grpcwire.Frame
	left   int // of the frame's payload
	ping   []byte

	prefix   [grpcwire.MessageHeader]byte
	nprefix  int
	missing  int // of the message
	messages int
	taken    int // bytes that were not given back to the windows
}

const (
	bareBuffer = 256 << 10
	bareWindow = 1 << 20 // the pool's
)

// beBare opens the streams and tells [answerFigures]'s lines what it has received.
func beBare(address string, streams int) error {
	goruntime.LockOSThread()
	debug.SetGCPercent(-1)
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	b := &bare{conns: map[int32]*bareConn{}, buf: make([]byte, bareBuffer)}
	b.ack, err = bareRequest(&discovery.DeltaDiscoveryRequest{TypeUrl: url("cds"), ResponseNonce: "1234"})
	if err != nil {
		return err
	}
	if b.epoll, err = syscall.EpollCreate1(0); err != nil {
		return err
	}
	for range streams {
		if err := b.dial(at); err != nil {
			return err
		}
	}
	if err := b.watch(int(os.Stdin.Fd()), syscall.EPOLLIN); err != nil {
		return err
	}
	return b.serve(streams)
}

// dial opens a connection and asks for clusters on it.
func (b *bare) dial(at netip.AddrPort) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		return err
	}
	first, err := bareRequest(&discovery.DeltaDiscoveryRequest{TypeUrl: url("cds")})
	if err != nil {
		return err
	}
	out := grpcwire.AppendPreface(nil, bareWindow, 0)
	head := len(out)
	out = grpcwire.AppendFrame(out, 0, grpcwire.FrameHeaders, grpcwire.FlagEndHeaders, 1)
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":authority", "server"},
		{":path", "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		out = grpcwire.AppendField(out, grpcwire.FieldNotKept, f[0], f[1])
	}
	grpcwire.SetSize(out[head:])
	if _, err := syscall.Write(fd, append(out, first...)); err != nil {
		return err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	b.conns[int32(fd)] = &bareConn{fd: fd}
	const edges = 1 << 31 // EPOLLET, which package syscall has as a negative number
	return b.watch(fd, syscall.EPOLLIN|edges)
}

func (b *bare) watch(fd int, events uint32) error {
	return syscall.EpollCtl(b.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

// bareRequest is a request as a DATA frame.
func bareRequest(r *discovery.DeltaDiscoveryRequest) ([]byte, error) {
	body, err := proto.Marshal(r)
	if err != nil {
		return nil, err
	}
	out := grpcwire.AppendFrame(nil, grpcwire.MessageHeader+len(body), grpcwire.FrameData, 0, 1)
	return append(grpcwire.AppendMessageHeader(out, len(body)), body...), nil
}

// serve receives until nobody asks for figures any more.
func (b *bare) serve(streams int) error {
	events, said := make([]syscall.EpollEvent, 128), false
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(b.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), ^uintptr(0), 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return fmt.Errorf("epoll_pwait: %w", errno)
		}
		for _, e := range events[:n] {
			c := b.conns[e.Fd]
			if c == nil {
				if more, err := answerFigures(func() (int, int) { return b.responses, b.bytes }); !more {
					return err
				}
				continue
			}
			if err := b.receive(c); err != nil {
				return err
			}
		}
		if !said && b.ready == streams {
			said = true
			fmt.Println("ready")
		}
	}
}

// receive reads what there is, and answers each read's worth in one write.
func (b *bare) receive(c *bareConn) error {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&b.buf[0])), uintptr(len(b.buf)))
		switch {
		case errno == syscall.EAGAIN:
			return nil
		case errno != 0:
			return fmt.Errorf("read: %w", errno)
		case n == 0:
			return errors.New("the server has closed a connection")
		}
		b.out = b.out[:0]
		if err := b.feed(c, b.buf[:n]); err != nil {
			return err
		}
		if len(b.out) > 0 {
			if n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(&b.out[0])), uintptr(len(b.out))); errno != 0 || int(n) < len(b.out) {
				return fmt.Errorf("wrote %d of %d bytes: %w", int(n), len(b.out), errno)
			}
		}
		if int(n) < len(b.buf) { // that was all
			return nil
		}
	}
}

// feed takes in what was read, and appends what it is to be answered with to b.out.
func (b *bare) feed(c *bareConn, in []byte) error {
	for len(in) > 0 {
		if c.have < len(c.header) {
			n := copy(c.header[c.have:], in)
			c.have += n
			if in = in[n:]; c.have < len(c.header) {
				return nil
			}
			c.frame, c.ping = grpcwire.ParseFrame(c.header[:]), c.ping[:0]
			c.left = c.frame.Size
		}
		part := in[:min(c.left, len(in))]
		in, c.left = in[len(part):], c.left-len(part)
		switch f := c.frame; f.Kind {
		case grpcwire.FrameData:
			b.data(c, part)
		case grpcwire.FramePing:
			if c.ping = append(c.ping, part...); c.left == 0 && f.Flags&grpcwire.FlagAck == 0 {
				b.out = grpcwire.AppendPing(b.out, [8]byte(c.ping), true)
			}
		case grpcwire.FrameSettings:
			if c.left == 0 && f.Flags&grpcwire.FlagAck == 0 {
				b.out = grpcwire.AppendSettingsAck(b.out)
			}
		case grpcwire.FrameReset, grpcwire.FrameGoAway:
			return errors.New("the server has ended a stream")
		}
		if c.left == 0 {
			c.have = 0
		}
	}
	return nil
}

// data takes in a part of a DATA frame.
func (b *bare) data(c *bareConn, part []byte) {
	c.taken += len(part)
	for len(part) > 0 {
		if c.nprefix < len(c.prefix) {
			n := copy(c.prefix[c.nprefix:], part)
			c.nprefix += n
			if part = part[n:]; c.nprefix < len(c.prefix) {
				break
			}
			c.missing, _ = grpcwire.MessageSize(&c.prefix, 1<<30)
			b.bytes += c.missing
		}
		n := min(c.missing, len(part))
		part, c.missing = part[n:], c.missing-n
		if c.missing > 0 {
			break
		}
		c.nprefix = 0
		b.responses++
		b.out = append(b.out, b.ack...)
		if c.messages++; c.messages == 1 {
			b.ready++
		}
	}
	if c.taken >= bareWindow/4 {
		b.out = grpcwire.AppendWindow(grpcwire.AppendWindow(b.out, 0, c.taken), 1, c.taken)
		c.taken = 0
	}
}

// TestBareReaderAnswers: however the bytes come, each message is counted and acknowledged once, and each PING answered.
func TestBareReaderAnswers(t *testing.T) {
	t.Parallel()
	message := append(grpcwire.AppendMessageHeader(nil, 100), make([]byte, 100)...)
	in := append(grpcwire.AppendFrame(nil, 0, grpcwire.FrameSettings, 0, 0), grpcwire.AppendFrame(nil, 60, grpcwire.FrameData, 0, 1)...)
	in = append(in, message[:60]...)
	in = grpcwire.AppendPing(in, [8]byte{7}, false)
	in = append(grpcwire.AppendFrame(in, len(message)-60+len(message), grpcwire.FrameData, 0, 1), message[60:]...)
	in = append(in, message...)
	in = grpcwire.AppendPing(in, [8]byte{8}, true)
	ack := []byte("ack")
	want := grpcwire.AppendPing(grpcwire.AppendSettingsAck(nil), [8]byte{7}, true)
	want = append(append(want, ack...), ack...)
	for _, size := range []int{1, 3, 50, len(in)} {
		b, c := &bare{ack: ack}, &bareConn{}
		for part := range slices.Chunk(in, size) {
			if err := b.feed(c, part); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(b.out, want) || b.responses != 2 || b.bytes != 200 || b.ready != 1 || c.taken != 2*len(message) {
			t.Errorf("in pieces of %d: %d responses, %d bytes, %d ready, %d taken, sent % x", size, b.responses, b.bytes, b.ready, c.taken, b.out)
		}
	}
	if err := new(bare).feed(&bareConn{}, grpcwire.AppendReset(nil, 1, grpcwire.ErrorCancel)); err == nil {
		t.Error("a stream that the server has ended goes on")
	}
}
