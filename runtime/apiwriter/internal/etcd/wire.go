package etcd

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
)

// Transactions are encoded and read by hand: the messages that etcd generates take a dozen small objects for each of them,
// and reflection on the way back, which is more than the rest of a call costs. Field numbers are those of etcd's rpc.proto; a
// test compares with the generated messages.

// commit is what a transaction came to.
type commit struct {
	rev       int64
	succeeded bool
}

// readCommit reads what is needed of a TxnResponse.
func readCommit(message []byte) (out commit, err error) {
	for len(message) > 0 {
		var f part
		if f, message, err = next(message); err != nil {
			return commit{}, err
		}
		switch f.number {
		case 1: // header
			if out.rev, err = readRevision(f.bytes); err != nil {
				return commit{}, err
			}
		case 2:
			out.succeeded = f.value != 0
		}
	}
	return out, nil
}

// readRevision reads the revision in a ResponseHeader.
func readRevision(message []byte) (rev int64, err error) {
	for len(message) > 0 {
		var f part
		if f, message, err = next(message); err != nil {
			return 0, err
		}
		if f.number == 3 {
			rev = int64(f.value)
		}
	}
	return rev, nil
}

// part is one field of a message: the value of a varint, or the bytes of what has a length.
type part struct {
	number protowire.Number
	value  uint64
	bytes  []byte
}

// next reads the first field of a message, and returns what follows it.
func next(message []byte) (f part, rest []byte, err error) {
	number, kind, n := protowire.ConsumeTag(message)
	if n < 0 {
		return f, nil, protowire.ParseError(n)
	}
	f.number, message = number, message[n:]
	switch kind {
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(message)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(message)
	default:
		n = protowire.ConsumeFieldValue(number, kind, message)
	}
	if n < 0 {
		return f, nil, protowire.ParseError(n)
	}
	return f, message[n:], nil
}

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
