package grpcwire

import (
	"encoding/binary"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// MessageHeader is the size of what comes before each message, in bytes: a flag for compression and the message's length.
const MessageHeader = 5

// AppendMessageHeader appends the header of a message of n bytes that is not compressed.
func AppendMessageHeader(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0), uint32(n))
}

// MessageSize reads the header of a message and returns how many bytes follow, at most limit. An error is a gRPC status.
func MessageSize(header *[MessageHeader]byte, limit int) (int, error) {
	if header[0] != 0 {
		return 0, status.Error(codes.Internal, "a compressed message, which was not asked for")
	}
	size := binary.BigEndian.Uint32(header[1:])
	if uint64(size) > uint64(limit) {
		return 0, status.Errorf(codes.ResourceExhausted, "a message of %d bytes, more than %d", size, limit)
	}
	return int(size), nil
}
