package grpcwire

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhichFramesMayCome(t *testing.T) {
	t.Parallel()
	idle, inBlock := Order{}, Order{}
	if _, complete, err := inBlock.Headers(Frame{Kind: FrameHeaders, Stream: 3}, nil); complete || err != nil {
		t.Fatal(complete, err)
	}
	for name, tt := range map[string]struct {
		order Order
		frame Frame
		err   string
	}{
		"data":                      {idle, Frame{Kind: FrameData, Stream: 1, Size: DefaultMaxFrame}, ""},
		"a large frame":             {idle, Frame{Kind: FrameData, Stream: 1, Size: DefaultMaxFrame + 1}, "16385 bytes"},
		"data of nothing":           {idle, Frame{Kind: FrameData}, "without its number"},
		"headers":                   {idle, Frame{Kind: FrameHeaders, Stream: 1}, ""},
		"headers of nothing":        {idle, Frame{Kind: FrameHeaders}, "without its number"},
		"the end of nothing":        {idle, Frame{Kind: FrameContinuation, Stream: 1}, "without a header block"},
		"a promise":                 {idle, Frame{Kind: FramePush, Stream: 1}, "PUSH_PROMISE"},
		"a priority":                {idle, Frame{Kind: 2, Stream: 1, Size: 5}, ""},
		"what is not known":         {idle, Frame{Kind: 0xbe, Size: 3}, ""},
		"a ping":                    {idle, Frame{Kind: FramePing, Size: 8}, ""},
		"a short ping":              {idle, Frame{Kind: FramePing, Size: 7}, "PING"},
		"a long ping":               {idle, Frame{Kind: FramePing, Size: 9}, "PING"},
		"a window":                  {idle, Frame{Kind: FrameWindow, Size: 4}, ""},
		"a short window":            {idle, Frame{Kind: FrameWindow, Size: 3}, "WINDOW_UPDATE"},
		"a long window":             {idle, Frame{Kind: FrameWindow, Size: 5}, "WINDOW_UPDATE"},
		"a reset":                   {idle, Frame{Kind: FrameReset, Size: 4, Stream: 1}, ""},
		"a short reset":             {idle, Frame{Kind: FrameReset, Size: 3, Stream: 1}, "RST_STREAM"},
		"a long reset":              {idle, Frame{Kind: FrameReset, Size: 5, Stream: 1}, "RST_STREAM"},
		"settings":                  {idle, Frame{Kind: FrameSettings, Size: 12}, ""},
		"an ack":                    {idle, Frame{Kind: FrameSettings, Flags: FlagAck}, ""},
		"half a setting":            {idle, Frame{Kind: FrameSettings, Size: 15}, "SETTINGS"},
		"a farewell":                {idle, Frame{Kind: FrameGoAway, Size: 8}, ""},
		"a long farewell":           {idle, Frame{Kind: FrameGoAway, Size: 50}, ""},
		"a short farewell":          {idle, Frame{Kind: FrameGoAway, Size: 7}, "GOAWAY"},
		"a block goes on":           {inBlock, Frame{Kind: FrameContinuation, Stream: 3}, ""},
		"another goes on":           {inBlock, Frame{Kind: FrameContinuation, Stream: 5}, "in the middle"},
		"a block begins in it":      {inBlock, Frame{Kind: FrameHeaders, Stream: 3}, "in the middle"},
		"a ping in it":              {inBlock, Frame{Kind: FramePing, Size: 8}, "in the middle"},
		"something unknown in it":   {inBlock, Frame{Kind: 0xbe, Stream: 3}, "in the middle"},
		"a large frame goes on it":  {inBlock, Frame{Kind: FrameContinuation, Stream: 3, Size: DefaultMaxFrame + 1}, "16385 bytes"},
		"nothing goes on with none": {inBlock, Frame{Kind: FrameContinuation}, "in the middle"},
	} {
		before := tt.order
		if err := tt.order.Check(tt.frame); !says(err, tt.err) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(before, tt.order, cmp.AllowUnexported(Order{})); diff != "" {
			t.Errorf("%s: the check has changed something: %s", name, diff)
		}
	}
}

func TestHeaderBlocks(t *testing.T) {
	t.Parallel()
	type part struct {
		frame   Frame
		payload string
	}
	var o Order
	for _, tt := range []struct { // one after the other, on one connection
		name  string
		parts []part
		want  Block
	}{
		{"one frame", []part{{Frame{Kind: FrameHeaders, Flags: FlagEndHeaders}, "abc"}}, Block{[]byte("abc"), false}},
		{"nothing", []part{{Frame{Kind: FrameHeaders, Flags: FlagEndHeaders | FlagEndStream}, ""}}, Block{[]byte(""), true}},
		{"all around", []part{
			{Frame{Kind: FrameHeaders, Flags: FlagEndStream | FlagPadded | FlagPriority}, "\x0212345ab!!"},
			{Frame{Kind: FrameContinuation, Flags: FlagPadded | FlagPriority}, "\x02cd"}, // which have no meaning here
			{Frame{Kind: FrameContinuation, Flags: FlagEndHeaders}, "ef"},
		}, Block{[]byte("ab\x02cdef"), true}},
		{"an empty end", []part{{Frame{Kind: FrameHeaders}, "x"}, {Frame{Kind: FrameContinuation, Flags: FlagEndHeaders | FlagEndStream}, ""}}, Block{[]byte("x"), false}},
		{"after all that", []part{{Frame{Kind: FrameHeaders, Flags: FlagEndHeaders}, "y"}}, Block{[]byte("y"), false}},
	} {
		for i, p := range tt.parts {
			p.frame.Stream = 7
			if err := o.Check(p.frame); err != nil {
				t.Errorf("%s: part %d: %v", tt.name, i, err)
			}
			payload := []byte(p.payload)
			got, complete, err := o.Headers(p.frame, payload)
			if err != nil || complete != (i == len(tt.parts)-1) {
				t.Errorf("%s: part %d: complete %v, %v", tt.name, i, complete, err)
			}
			if diff := cmp.Diff(tt.want, got); complete && diff != "" {
				t.Errorf("%s: %s", tt.name, diff)
			}
			clear(payload) // as a buffer that is used again
		}
	}
}

func TestBlocksAreBounded(t *testing.T) {
	t.Parallel()
	for _, size := range []int{MaxHeaders, MaxHeaders + 1} {
		var o Order
		block := bytes.Repeat([]byte("x"), size)
		f := Frame{Kind: FrameHeaders, Stream: 1}
		var err error
		var complete bool
		for part := range slices.Chunk(block, DefaultMaxFrame-1) {
			if err != nil || complete {
				t.Fatalf("%d bytes: before the end: %v, %v", size, complete, err)
			}
			if size -= len(part); size == 0 {
				f.Flags = FlagEndHeaders
			}
			var b Block
			if b, complete, err = o.Headers(f, part); complete && !bytes.Equal(b.Fields, block) {
				t.Errorf("a block of %d bytes came out as %d", len(block), len(b.Fields))
			}
			f.Kind = FrameContinuation
		}
		if fits := len(block) == MaxHeaders; complete != fits || (err == nil) != fits {
			t.Errorf("%d bytes: %v, %v", len(block), complete, err)
		}
	}
}

func TestUnpad(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		frame         Frame
		payload, want string
		err           string
	}{
		"none":                   {Frame{Kind: FrameData}, "abc", "abc", ""},
		"nothing":                {Frame{Kind: FrameData}, "", "", ""},
		"of 0":                   {Frame{Kind: FrameData, Flags: FlagPadded}, "\x00abc", "abc", ""},
		"some":                   {Frame{Kind: FrameData, Flags: FlagPadded}, "\x02abc", "a", ""},
		"all":                    {Frame{Kind: FrameData, Flags: FlagPadded}, "\x03abc", "", ""},
		"more than there is":     {Frame{Kind: FrameData, Flags: FlagPadded}, "\x04abc", "", "more padding than frame"},
		"without a length":       {Frame{Kind: FrameData, Flags: FlagPadded}, "", "", "without a length"},
		"a flag without meaning": {Frame{Kind: FrameData, Flags: FlagPriority}, "abcdef", "abcdef", ""},
		"a priority":             {Frame{Kind: FrameHeaders, Flags: FlagPriority}, "12345ab", "ab", ""},
		"only a priority":        {Frame{Kind: FrameHeaders, Flags: FlagPriority}, "12345", "", ""},
		"part of a priority":     {Frame{Kind: FrameHeaders, Flags: FlagPriority}, "1234", "", "without its priority"},
		"both":                   {Frame{Kind: FrameHeaders, Flags: FlagPriority | FlagPadded}, "\x0112345ab", "a", ""},
		"into the priority":      {Frame{Kind: FrameHeaders, Flags: FlagPriority | FlagPadded}, "\x0312345ab", "", "more padding than frame"},
	} {
		if got, err := Unpad(tt.frame, []byte(tt.payload)); string(got) != tt.want || !says(err, tt.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
