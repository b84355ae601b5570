package grpcwire

import "testing"

// FuzzServer is a client that does nothing but read. Whatever a server sends, what a client is told stays within bounds.
func FuzzServer(f *testing.F) {
	f.Add(AppendPreface(nil, 1<<20, 0)[len(Preface):])
	f.Add(AppendReset(AppendWindow(AppendPing(nil, [8]byte{1}, true), 1, 5), 3, ErrorCancel))
	f.Add(append(AppendFrame(nil, 9, FrameGoAway, 0, 0), 0xff, 1, 2, 3, 0, 0, 0, 1, 'x'))
	f.Add(append(AppendFrame(nil, 7, FrameData, FlagPadded, 1), 1, 0, 0, 0, 0, 0, 0))
	f.Add(append(AppendFrame(nil, 8, FrameHeaders, FlagEndHeaders|FlagPadded|FlagPriority, 1), 1, 0, 0, 0, 0, 0, 0x88, 0))
	b := append(AppendFrame(nil, 1, FrameHeaders, FlagEndStream, 1), 0x88)
	start := len(b)
	b = AppendField(AppendFrame(b, 0, FrameContinuation, FlagEndHeaders, 1), FieldKept, "grpc-status", "4")
	SetSize(b[start:])
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var o Order
		peer, decoder, window := NewPeer(), NewDecoder(DefaultTable), int64(DefaultWindow)
		for len(b) >= FrameHeaderSize {
			frame := ParseFrame(b)
			if o.Check(frame) != nil || len(b) < FrameHeaderSize+frame.Size {
				return
			}
			payload := b[FrameHeaderSize : FrameHeaderSize+frame.Size]
			b = b[FrameHeaderSize+frame.Size:]
			if read(t, &o, &peer, decoder, &window, frame, payload) != nil {
				return
			}
			if peer.Window < 0 || peer.Window > MaxWindow || peer.MaxFrame < DefaultMaxFrame || peer.MaxFrame >= 1<<24 || peer.Table > DefaultTable {
				t.Fatalf("the server allows %+v", peer)
			}
			if window > MaxWindow || window < -MaxWindow {
				t.Fatalf("a window of %d", window)
			}
		}
	})
}

// read acts on a frame.
func read(t *testing.T, o *Order, p *Peer, d *Decoder, window *int64, f Frame, payload []byte) error {
	switch f.Kind {
	case FrameData:
		part, err := Unpad(f, payload)
		if len(part) > len(payload) || err != nil && part != nil {
			t.Fatalf("%d bytes of %d: %v", len(part), len(payload), err)
		}
		return err
	case FrameHeaders, FrameContinuation:
		block, complete, err := o.Headers(f, payload)
		if len(block.Fields) > MaxHeaders || complete && f.Flags&FlagEndHeaders == 0 {
			t.Fatalf("a block of %d bytes with %+v", len(block.Fields), f)
		}
		if err != nil || !complete {
			return err
		}
		said, err := d.Decode(block.Fields)
		if failed := said.Failed(); err == nil && failed != nil && said.Status() == nil {
			t.Fatalf("a call that has failed with %v is well", failed)
		}
		return err
	case FrameSettings:
		wider, err := p.Apply(payload)
		if err != nil {
			return err
		}
		return Widen(window, wider)
	case FrameWindow:
		return Widen(window, Increment(payload))
	case FrameReset:
		if ResetStatus(payload) == nil {
			t.Fatal("a call that was reset is well")
		}
	case FrameGoAway:
		if last, _, why := GoAway(payload); last > LastStream || len(why) != len(payload)-8 {
			t.Fatalf("the last stream is %d, because of %d bytes of %d", last, len(why), len(payload))
		}
	}
	return nil
}
