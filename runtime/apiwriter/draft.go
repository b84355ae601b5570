package apiwriter

import (
	"context"
	"sync"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter/internal/etcd"
	"github.com/plscript/plscript/runtime/apiwriter/internal/registry"
)

// draft is a transaction in the making. Drafts and the memory of what they put are used again: a load has one for each
// object, and memory that is touched for the first time costs more than what is written into it.
type draft struct {
	txn    etcd.Txn
	values []byte // the values of what is put, one after the other
}

var drafts = sync.Pool{New: func() any { return &draft{} }}

// keepValues is the largest buffer that a free draft keeps, in bytes.
const keepValues = 64 << 10

func newDraft() *draft { return drafts.Get().(*draft) }

// free has the draft used again. Nothing of it may be in use.
func (d *draft) free() {
	if cap(d.values) > keepValues {
		return
	}
	clear(d.txn.If)
	clear(d.txn.Put)
	clear(d.txn.Delete)
	d.txn = etcd.Txn{If: d.txn.If[:0], Put: d.txn.Put[:0], Delete: d.txn.Delete[:0]}
	d.values = d.values[:0]
	drafts.Put(d)
}

// require adds a condition: that the last change of key was at rev, or, at 0, that there is no such key.
func (d *draft) require(key string, rev int64) {
	d.txn.If = append(d.txn.If, etcd.Version{Key: key, Rev: rev})
}

// put adds that obj, of kind k, is stored under key.
func (d *draft) put(key string, k registry.Kind, obj runtime.Object) (err error) {
	start := len(d.values)
	if d.values, err = k.Append(d.values, obj); err != nil {
		return permanent{err}
	}
	d.txn.Put = append(d.txn.Put, etcd.Item{Key: key, Value: d.values[start:]})
	return nil
}

// remove adds that key is deleted.
func (d *draft) remove(key string) { d.txn.Delete = append(d.txn.Delete, key) }

// commit makes the changes and returns their revision; registry.ErrUnknown if a condition does not hold.
func (d *draft) commit(ctx context.Context, into kv) (int64, error) {
	rev, ok, err := into.Commit(ctx, &d.txn)
	if err == nil && !ok {
		err = registry.ErrUnknown
	}
	return rev, err
}
