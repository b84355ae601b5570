package apiwriter

import (
	"cmp"
	"context"
	"time"

	"github.com/plscript/plscript/runtime/apiwriter/internal/etcd"
)

// Tidying says when a store is tidied. A field that is 0 has its default, which is made for etcd's largest quota, 8 GiB.
type Tidying struct {
	// Every is how often the size of the store is looked at, and how much history is kept at least: whoever watches and is
	// further behind has to list again. It is 30 s by default.
	Every time.Duration
	// CompactAbove is how many bytes the store may hold before history is dropped faster than the api-server does it (every
	// 5 minutes, keeping as much): a thousand changes a second would fill 8 GiB by then. It is 1 GiB by default.
	CompactAbove int64
	// DefragmentAbove is the size in bytes of the file, of which more than half is free, at which it is shrunk. The file
	// counts against the quota, but shrinking it holds up every write for seconds, so it is a last resort: at 6 GiB by
	// default.
	DefragmentAbove int64
}

func (t *Tidying) complete() {
	t.Every = cmp.Or(t.Every, 30*time.Second)
	t.CompactAbove = cmp.Or(t.CompactAbove, 1<<30)
	t.DefragmentAbove = cmp.Or(t.DefragmentAbove, 6<<30)
}

// upkeep keeps an etcd from filling up.
type upkeep interface {
	Usage(ctx context.Context) (etcd.Usage, error)
	Compact(ctx context.Context, rev int64) error
	Defragment(ctx context.Context) error
}

// Tidy looks after the sandbox's store until ctx is done, so that hours of churn do not fill it. Without a store it
// returns at once. A failure is logged and met again by the next look.
func (w *Writer) Tidy(ctx context.Context) {
	if w.upkeep == nil {
		return
	}
	var at Tidying
	if w.cfg.Store != nil {
		at = w.cfg.Store.Tidying
	}
	at.complete()
	var before int64 // the revision of the last look
	for w.cfg.Clock.Sleep(ctx, at.Every) == nil {
		now, err := tidyOnce(ctx, w.upkeep, at, before)
		if err != nil && ctx.Err() == nil {
			w.cfg.Log.Warn("the sandbox's store cannot be tidied", "err", err)
		}
		before = now
	}
}

// tidyOnce drops the history before the given revision, if there is need, and returns the present one.
func tidyOnce(ctx context.Context, store upkeep, at Tidying, before int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	u, err := store.Usage(ctx)
	if err != nil {
		return before, err
	}
	if u.InUse > at.CompactAbove && before > 0 {
		if err := store.Compact(ctx, before); err != nil {
			return u.Rev, err
		}
	}
	if u.File > at.DefragmentAbove && u.InUse < u.File/2 {
		return u.Rev, store.Defragment(ctx)
	}
	return u.Rev, nil
}
