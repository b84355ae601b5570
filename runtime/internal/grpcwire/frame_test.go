package grpcwire

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestWhatIsWritten has another implementation read all that a client appends.
func TestWhatIsWritten(t *testing.T) {
	t.Parallel()
	b := AppendPreface(nil, 1<<20, 0)
	b = AppendPreface(b, DefaultWindow, DefaultTable) // which is not wider
	b = AppendWindow(b, 5, 1000)
	b = AppendReset(b, 7, ErrorCancel)
	b = AppendPing(b, [8]byte{1, 2, 3}, false)
	b = AppendPing(b, [8]byte{4, 5, 6}, true)
	b = AppendSettingsAck(b)
	start, long := len(b), strings.Repeat("x", 300)
	b = AppendFrame(b, 0, FrameHeaders, FlagEndHeaders|FlagEndStream, LastStream)
	b = AppendField(b, FieldKept, ":path", "/m")
	b = AppendField(b, FieldNotKept, "long", long)
	SetSize(b[start:])
	b = AppendFrame(b, MessageHeader+2, FrameData, FlagEndStream, 9)
	b = append(AppendMessageHeader(b, 2), "hi"...)

	in := bytes.NewReader(b)
	fr := http2.NewFramer(nil, in)
	var got []string
	for {
		if rest := b[len(b)-in.Len():]; bytes.HasPrefix(rest, []byte(http2.ClientPreface)) {
			if _, err := in.Seek(int64(len(http2.ClientPreface)), io.SeekCurrent); err != nil {
				t.Fatal(err)
			}
			got = append(got, "preface")
		}
		f, err := fr.ReadFrame()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, describe(t, f))
	}
	want := []string{
		"preface", "settings 0 [HEADER_TABLE_SIZE = 0] [ENABLE_PUSH = 0] [INITIAL_WINDOW_SIZE = 1048576]", "window 0 983041",
		"preface", "settings 0 [HEADER_TABLE_SIZE = 4096] [ENABLE_PUSH = 0] [INITIAL_WINDOW_SIZE = 65535]",
		"window 5 1000", "reset 7 CANCEL", "ping 010203", "ack of ping 040506", "ack of settings",
		"headers 2147483647 true :path: /m, long: " + long, `data 9 true "\x00\x00\x00\x00\x02hi"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// describe says what a frame is.
func describe(t *testing.T, f http2.Frame) string {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return "ack of settings"
		}
		s := fmt.Sprintf("settings %d", f.StreamID)
		for i := range f.NumSettings() {
			s += " " + f.Setting(i).String()
		}
		return s
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("window %d %d", f.StreamID, f.Increment)
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("reset %d %s", f.StreamID, f.ErrCode)
	case *http2.PingFrame:
		if f.IsAck() {
			return fmt.Sprintf("ack of ping %x", f.Data[:3])
		}
		return fmt.Sprintf("ping %x", f.Data[:3])
	case *http2.HeadersFrame:
		fields, err := hpack.NewDecoder(DefaultTable, nil).DecodeFull(f.HeaderBlockFragment())
		if err != nil {
			t.Error(err)
		}
		var said []string
		for _, h := range fields {
			said = append(said, h.Name+": "+h.Value)
		}
		return fmt.Sprintf("headers %d %v %s", f.StreamID, f.StreamEnded(), strings.Join(said, ", "))
	case *http2.DataFrame:
		return fmt.Sprintf("data %d %v %q", f.StreamID, f.StreamEnded(), f.Data())
	}
	return f.Header().String()
}

// TestLengthsOfFields has lengths on both sides of each byte of their encoding.
func TestLengthsOfFields(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 126, 127, 128, 254, 255, 127 + 1<<14 - 1, 127 + 1<<14, 1 << 21} {
		want := hpack.HeaderField{Name: strings.Repeat("n", n%200+1), Value: strings.Repeat("v", n)}
		got, err := hpack.NewDecoder(0, nil).DecodeFull(AppendField(nil, FieldNotKept, want.Name, want.Value))
		if err != nil || !slices.Equal(got, []hpack.HeaderField{want}) {
			t.Errorf("a value of %d bytes: %v, %v", n, got, err)
		}
	}
}

func TestParseFrame(t *testing.T) {
	t.Parallel()
	want := Frame{Size: 1<<24 - 2, Kind: FrameHeaders, Flags: FlagPadded | FlagPriority, Stream: LastStream - 1}
	b := AppendFrame(nil, want.Size, want.Kind, want.Flags, want.Stream)
	if len(b) != FrameHeaderSize {
		t.Errorf("a header of %d bytes", len(b))
	}
	b[5] |= 0x80 // which is reserved
	if got := ParseFrame(append(b, 1, 2, 3)); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestMessageSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header [MessageHeader]byte
		limit  int
		want   int
		err    string
	}{
		{[...]byte{0, 0, 0, 0, 0}, 0, 0, ""},
		{[...]byte{0, 1, 2, 3, 4}, 0x01020304, 0x01020304, ""},
		{[...]byte{0, 1, 2, 3, 4}, 0x01020303, 0, "code = ResourceExhausted"},
		{[...]byte{0, 0xff, 0xff, 0xff, 0xff}, 1<<32 - 2, 0, "code = ResourceExhausted"},
		{[...]byte{0, 0xff, 0xff, 0xff, 0xff}, 1<<32 - 1, 1<<32 - 1, ""},
		{[...]byte{1, 0, 0, 0, 0}, 10, 0, "code = Internal"},
	} {
		got, err := MessageSize(&tt.header, tt.limit)
		if got != tt.want || !says(err, tt.err) {
			t.Errorf("% x, at most %d: %d, %v", tt.header, tt.limit, got, err)
		}
	}
}

// says reports whether an error contains text; "" is no error.
func says(err error, text string) bool {
	if err == nil || text == "" {
		return err == nil && text == ""
	}
	return strings.Contains(err.Error(), text)
}
