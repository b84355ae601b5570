package grpcwire

import (
	"encoding/binary"
	"net/url"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Response is what a header block from a server says about a call.
type Response struct {
	httpStatus string
	grpcStatus string
	message    string
}

// ErrNoStatus is the end of a call whose last frame was not a header block.
var ErrNoStatus = status.Error(codes.Internal, "the server ended the call without a status")

// Failed returns why a call that begins like this will have no answer, or nil. The mapping is gRPC's
// (doc/http-grpc-status-mapping.md).
func (r Response) Failed() error {
	if r.httpStatus == "" || r.httpStatus == "200" {
		return nil
	}
	code := codes.Unknown
	switch r.httpStatus {
	case "400":
		code = codes.Internal
	case "401":
		code = codes.Unauthenticated
	case "403":
		code = codes.PermissionDenied
	case "404":
		code = codes.Unimplemented
	case "429", "502", "503", "504":
		code = codes.Unavailable
	}
	return status.Errorf(code, "unexpected HTTP status %s", r.httpStatus)
}

// Status is the end of a call: nil if the server says that all is well, otherwise a gRPC status error.
func (r Response) Status() error {
	if err := r.Failed(); err != nil {
		return err
	}
	if r.grpcStatus == "0" {
		return nil
	}
	n, err := strconv.ParseUint(r.grpcStatus, 10, 32)
	if err != nil {
		return status.Errorf(codes.Internal, "the server ended the call with grpc-status %q", r.grpcStatus)
	}
	message := r.message
	if m, err := url.PathUnescape(message); err == nil {
		message = m
	}
	return status.Error(codes.Code(n), message)
}

// ResetStatus is the end of a call by a RST_STREAM frame that [Order.Check] has let pass (gRPC's PROTOCOL-HTTP2.md, Errors).
func ResetStatus(payload []byte) error {
	code, c := binary.BigEndian.Uint32(payload), codes.Internal
	switch code {
	case ErrorRefused:
		c = codes.Unavailable
	case ErrorCancel:
		c = codes.Canceled
	case ErrorCalmDown:
		c = codes.ResourceExhausted
	case ErrorSecurity:
		c = codes.PermissionDenied
	}
	return status.Errorf(c, "the server ended the call with RST_STREAM, error code %d", code)
}
