package etcd

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// wire is a gRPC codec for transactions alone. It writes a [Txn] as etcd's TxnRequest into one buffer that is used again,
// and of a TxnResponse reads what a [commit] holds: the messages that etcd generates take a dozen small objects for each
// transaction, and reflection on the way back, which is more than the rest of the call costs.
//
// Field numbers are those of etcd's rpc.proto; a test compares with the generated messages.
type wire struct{}

// commit is what a transaction came to.
type commit struct {
	rev       int64
	succeeded bool
}

// Name implements encoding.CodecV2: it is the content type's.
func (wire) Name() string { return "proto" }

// Marshal implements encoding.CodecV2 for a *Txn.
func (wire) Marshal(v any) (mem.BufferSlice, error) {
	t, ok := v.(*Txn)
	if !ok {
		return nil, fmt.Errorf("%T is no transaction", v)
	}
	pool := mem.DefaultBufferPool()
	buf := pool.Get(t.size())
	*buf = t.append((*buf)[:0])
	return mem.BufferSlice{mem.NewBuffer(buf, pool)}, nil
}

// Unmarshal implements encoding.CodecV2 for a *commit.
func (wire) Unmarshal(data mem.BufferSlice, v any) error {
	c, ok := v.(*commit)
	if !ok {
		return fmt.Errorf("%T is no answer to a transaction", v)
	}
	flat := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer flat.Free()
	return fields(flat.ReadOnlyData(), func(number protowire.Number, value uint64, bytes []byte) error {
		switch number {
		case 1: // header
			return fields(bytes, func(number protowire.Number, value uint64, _ []byte) error {
				if number == 3 {
					c.rev = int64(value)
				}
				return nil
			})
		case 2:
			c.succeeded = value != 0
		}
		return nil
	})
}

// fields calls f with each field of a message: the value of a varint, or the bytes of what has a length.
func fields(message []byte, f func(number protowire.Number, value uint64, bytes []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var value uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(number, value, bytes); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}

// txnMethod is the one call that takes and answers with such messages.
const txnMethod = "/etcdserverpb.KV/Txn"

// Fields of TxnRequest and of the messages in it. Compare's result is not among them: EQUAL is 0.
const (
	txnCompare, txnSuccess                     = 1, 2
	compareTarget, compareKey, compareRevision = 2, 3, 6
	operationPut, operationDelete              = 2, 3
	putKey, putValue                           = 1, 2
	deleteKey                                  = 1

	modRevision = uint64(pb.Compare_MOD)
	tagSize     = 1 // of all these fields
)

// size is how long the encoded transaction is.
func (t *Txn) size() (n int) {
	for _, v := range t.If {
		n += tagSize + protowire.SizeBytes(v.size())
	}
	for _, p := range t.Put {
		n += tagSize + protowire.SizeBytes(operationSize(p.size()))
	}
	for _, key := range t.Delete {
		n += tagSize + protowire.SizeBytes(operationSize(deleteSize(key)))
	}
	return n
}

func (v Version) size() int {
	return tagSize + protowire.SizeVarint(modRevision) + tagSize + protowire.SizeBytes(len(v.Key)) +
		tagSize + protowire.SizeVarint(uint64(v.Rev))
}

func (i Item) size() int {
	return tagSize + protowire.SizeBytes(len(i.Key)) + tagSize + protowire.SizeBytes(len(i.Value))
}

func deleteSize(key string) int { return tagSize + protowire.SizeBytes(len(key)) }

func operationSize(n int) int { return tagSize + protowire.SizeBytes(n) }

// append encodes the transaction behind b.
func (t *Txn) append(b []byte) []byte {
	for _, v := range t.If {
		b = appendHead(b, txnCompare, v.size())
		b = protowire.AppendVarint(protowire.AppendTag(b, compareTarget, protowire.VarintType), modRevision)
		b = protowire.AppendString(protowire.AppendTag(b, compareKey, protowire.BytesType), v.Key)
		// Part of a oneof: written when it is 0 too.
		b = protowire.AppendVarint(protowire.AppendTag(b, compareRevision, protowire.VarintType), uint64(v.Rev))
	}
	for _, p := range t.Put {
		b = appendHead(b, txnSuccess, operationSize(p.size()))
		b = appendHead(b, operationPut, p.size())
		b = protowire.AppendString(protowire.AppendTag(b, putKey, protowire.BytesType), p.Key)
		b = protowire.AppendBytes(protowire.AppendTag(b, putValue, protowire.BytesType), p.Value)
	}
	for _, key := range t.Delete {
		b = appendHead(b, txnSuccess, operationSize(deleteSize(key)))
		b = appendHead(b, operationDelete, deleteSize(key))
		b = protowire.AppendString(protowire.AppendTag(b, deleteKey, protowire.BytesType), key)
	}
	return b
}

// appendHead begins an embedded message of n bytes.
func appendHead(b []byte, field protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(n))
}
