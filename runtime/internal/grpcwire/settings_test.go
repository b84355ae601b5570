package grpcwire

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
)

// payload returns what another implementation writes as the payload of a frame.
func payload(t *testing.T, write func(*http2.Framer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	fr := http2.NewFramer(&b, nil)
	fr.AllowIllegalWrites = true
	if err := write(fr); err != nil {
		t.Fatal(err)
	}
	f := ParseFrame(b.Bytes())
	if err := (&Order{}).Check(f); err != nil || f.Size != b.Len()-FrameHeaderSize {
		t.Fatalf("%+v of %d bytes: %v", f, b.Len(), err)
	}
	return b.Bytes()[FrameHeaderSize:]
}

func TestSettings(t *testing.T) {
	t.Parallel()
	p := NewPeer()
	for _, tt := range []struct { // one after the other, on one connection
		name     string
		settings []http2.Setting
		wider    int64
		want     Peer
	}{
		{"none", nil, 0, Peer{DefaultWindow, DefaultMaxFrame, LastStream, DefaultTable}},
		{"streams", []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 100}}, 0, Peer{DefaultWindow, DefaultMaxFrame, 100, DefaultTable}},
		{"wider, and wider still", []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 1 << 20}, {ID: http2.SettingInitialWindowSize, Val: MaxWindow}},
			MaxWindow - DefaultWindow, Peer{MaxWindow, DefaultMaxFrame, 100, DefaultTable}},
		{"narrower", []http2.Setting{{ID: http2.SettingInitialWindowSize}}, -MaxWindow, Peer{0, DefaultMaxFrame, 100, DefaultTable}},
		{"the largest frames", []http2.Setting{{ID: http2.SettingMaxFrameSize, Val: 1<<24 - 1}}, 0, Peer{0, 1<<24 - 1, 100, DefaultTable}},
		{"the smallest frames", []http2.Setting{{ID: http2.SettingMaxFrameSize, Val: 1 << 14}}, 0, Peer{0, DefaultMaxFrame, 100, DefaultTable}},
		{"a table that shrinks and grows", []http2.Setting{{ID: http2.SettingHeaderTableSize, Val: 10}, {ID: http2.SettingHeaderTableSize, Val: 1 << 20}}, 0, Peer{0, DefaultMaxFrame, 100, 10}},
		{"what is not ours or not known", []http2.Setting{{ID: http2.SettingEnablePush, Val: 1}, {ID: http2.SettingMaxHeaderListSize, Val: 1}, {ID: 0xabcd, Val: 1 << 31}}, 0,
			Peer{0, DefaultMaxFrame, 100, 10}},
		{"streams without number", []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 1<<32 - 1}}, 0, Peer{0, DefaultMaxFrame, 1<<32 - 1, 10}},
	} {
		wider, err := p.Apply(payload(t, func(fr *http2.Framer) error { return fr.WriteSettings(tt.settings...) }))
		if err != nil || wider != tt.wider {
			t.Errorf("%s: %d wider, want %d; %v", tt.name, wider, tt.wider, err)
		}
		if diff := cmp.Diff(tt.want, p); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	for _, tt := range []struct {
		setting http2.Setting
		err     string
	}{
		{http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}, "window beyond"},
		{http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1<<14 - 1}, "invalid frame size"},
		{http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 24}, "invalid frame size"},
	} {
		if _, err := p.Apply(payload(t, func(fr *http2.Framer) error { return fr.WriteSettings(tt.setting) })); !says(err, tt.err) {
			t.Errorf("%s: %v", tt.setting, err)
		}
	}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		window, by, want int64
		err              string
	}{
		{0, 10, 10, ""},
		{10, -20, -10, ""},
		{-10, MaxWindow, MaxWindow - 10, ""},
		{1, MaxWindow - 1, MaxWindow, ""},
		{1, MaxWindow, MaxWindow + 1, "beyond 2^31-1"},
	} {
		window := tt.window
		if err := Widen(&window, tt.by); window != tt.want || !says(err, tt.err) {
			t.Errorf("%d wider by %d: %d, %v", tt.window, tt.by, window, err)
		}
	}
	b := payload(t, func(fr *http2.Framer) error { return fr.WriteWindowUpdate(1, 1<<30+5) })
	b[0] |= 0x80 // which is reserved
	if got := Increment(b); got != 1<<30+5 {
		t.Errorf("an increment of %d", got)
	}
}

func TestGoAway(t *testing.T) {
	t.Parallel()
	b := payload(t, func(fr *http2.Framer) error {
		return fr.WriteGoAway(1<<30+5, http2.ErrCodeEnhanceYourCalm, []byte("too_many_pings"))
	})
	b[0] |= 0x80 // which is reserved
	if last, code, why := GoAway(b); last != 1<<30+5 || code != ErrorCalmDown || string(why) != "too_many_pings" {
		t.Errorf("last stream %d, error code %d, %q", last, code, why)
	}
	if last, code, why := GoAway(payload(t, func(fr *http2.Framer) error { return fr.WriteGoAway(0, http2.ErrCodeNo, nil) })); last != 0 || code != ErrorNone || len(why) > 0 {
		t.Errorf("last stream %d, error code %d, %q", last, code, why)
	}
}
