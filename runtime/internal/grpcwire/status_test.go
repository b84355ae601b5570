package grpcwire

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// encode is a header block, name by value.
func encode(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	enc.SetMaxDynamicTableSize(0)
	for i := 0; i < len(pairs); i += 2 {
		if err := enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestWhatABlockSays(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fields  []string
		failed  codes.Code
		status  codes.Code
		message string
	}{
		"all is well":         {[]string{":status", "200", "grpc-status", "0", "grpc-message", "fine"}, codes.OK, codes.OK, ""},
		"trailers":            {[]string{"grpc-status", "0"}, codes.OK, codes.OK, ""},
		"well, at length":     {[]string{"grpc-status", "00"}, codes.OK, codes.OK, ""},
		"a status":            {[]string{"grpc-status", "8", "grpc-message", "100%25 of gr%C3%B6%c3%9fe%0A"}, codes.OK, codes.ResourceExhausted, "100% of größe\n"},
		"a message as it is":  {[]string{"grpc-status", "9", "grpc-message", "100% of it"}, codes.OK, codes.FailedPrecondition, "100% of it"},
		"a status of its own": {[]string{"grpc-status", "4294967295"}, codes.OK, codes.Code(1<<32 - 1), ""},
		"too large a status":  {[]string{"grpc-status", "4294967296"}, codes.OK, codes.Internal, `the server ended the call with grpc-status "4294967296"`},
		"a word":              {[]string{"grpc-status", "fine"}, codes.OK, codes.Internal, `the server ended the call with grpc-status "fine"`},
		"no status":           {[]string{":status", "200", "x", "y"}, codes.OK, codes.Internal, `the server ended the call with grpc-status ""`},
		"the last counts":     {[]string{"grpc-status", "0", "grpc-status", "5"}, codes.OK, codes.NotFound, ""},
		"HTTP 400":            {[]string{":status", "400", "grpc-status", "0"}, codes.Internal, codes.Internal, "unexpected HTTP status 400"},
		"HTTP 401":            {[]string{":status", "401"}, codes.Unauthenticated, codes.Unauthenticated, "unexpected HTTP status 401"},
		"HTTP 403":            {[]string{":status", "403"}, codes.PermissionDenied, codes.PermissionDenied, "unexpected HTTP status 403"},
		"HTTP 404":            {[]string{":status", "404"}, codes.Unimplemented, codes.Unimplemented, "unexpected HTTP status 404"},
		"HTTP 429":            {[]string{":status", "429"}, codes.Unavailable, codes.Unavailable, "unexpected HTTP status 429"},
		"HTTP 502":            {[]string{":status", "502"}, codes.Unavailable, codes.Unavailable, "unexpected HTTP status 502"},
		"HTTP 503":            {[]string{":status", "503"}, codes.Unavailable, codes.Unavailable, "unexpected HTTP status 503"},
		"HTTP 504":            {[]string{":status", "504"}, codes.Unavailable, codes.Unavailable, "unexpected HTTP status 504"},
		"HTTP 500":            {[]string{":status", "500"}, codes.Unknown, codes.Unknown, "unexpected HTTP status 500"},
		"HTTP 204":            {[]string{":status", "204"}, codes.Unknown, codes.Unknown, "unexpected HTTP status 204"},
	} {
		said, err := NewDecoder(0).Decode(encode(t, tt.fields...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := said.Failed(); status.Code(err) != tt.failed {
			t.Errorf("%s: has failed with %v, want %s", name, err, tt.failed)
		}
		if s, _ := status.FromError(said.Status()); s.Code() != tt.status || s.Message() != tt.message {
			t.Errorf("%s: ends with %s, %q, want %s, %q", name, s.Code(), s.Message(), tt.status, tt.message)
		}
	}
}

// TestADecoderHasATable: a block names fields of those before it, if the decoder keeps them.
func TestADecoderHasATable(t *testing.T) {
	t.Parallel()
	const size = 4096
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	long := strings.Repeat("x", 1000)
	with, without := NewDecoder(size), NewDecoder(0)
	for i := range 3 {
		block.Reset()
		if err := enc.WriteField(hpack.HeaderField{Name: "grpc-status", Value: "7"}); err != nil {
			t.Fatal(err)
		}
		if err := enc.WriteField(hpack.HeaderField{Name: "grpc-message", Value: long}); err != nil {
			t.Fatal(err)
		}
		said, err := with.Decode(block.Bytes())
		if s, _ := status.FromError(said.Status()); err != nil || s.Code() != codes.PermissionDenied || s.Message() != long {
			t.Errorf("block %d: %v, %v", i, s, err)
		}
		if _, err := without.Decode(block.Bytes()); (err == nil) != (i == 0) {
			t.Errorf("block %d without a table: %v", i, err)
		}
	}
	if said, err := with.Decode(nil); err != nil || status.Code(said.Status()) != codes.Internal {
		t.Errorf("an empty block says what the one before it said: %v, %v", said, err)
	}
}

func TestBrokenBlocks(t *testing.T) {
	t.Parallel()
	for name, block := range map[string][]byte{
		"a field that is cut":        AppendField(nil, FieldNotKept, "grpc-status", "7")[:14],
		"no such field":              {0xff, 0xff, 0x03},
		"a string beyond MaxHeaders": AppendField(nil, FieldNotKept, "x", strings.Repeat("x", MaxHeaders+1)),
	} {
		if said, err := NewDecoder(DefaultTable).Decode(block); !says(err, "header block: ") {
			t.Errorf("%s: %v, %v", name, said, err)
		}
	}
}

func TestResetStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[http2.ErrCode]codes.Code{
		http2.ErrCodeNo: codes.Internal, http2.ErrCodeProtocol: codes.Internal, http2.ErrCodeInternal: codes.Internal,
		http2.ErrCodeRefusedStream: codes.Unavailable, http2.ErrCodeCancel: codes.Canceled,
		http2.ErrCodeEnhanceYourCalm: codes.ResourceExhausted, http2.ErrCodeInadequateSecurity: codes.PermissionDenied,
		http2.ErrCode(1 << 31): codes.Internal,
	} {
		got := ResetStatus(payload(t, func(fr *http2.Framer) error { return fr.WriteRSTStream(1, code) }))
		if status.Code(got) != want {
			t.Errorf("%s: %v, want %s", code, got, want)
		}
	}
}
