package apiwriter

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plscript/plscript/runtime/apiwriter/internal/etcd"
)

// fullStore plays an etcd of given sizes, and ends the test's context after the last.
type fullStore struct {
	sizes []etcd.Usage
	fail  error
	end   func()
	did   []string
}

func (s *fullStore) Usage(context.Context) (etcd.Usage, error) {
	u := s.sizes[0]
	if s.sizes = s.sizes[1:]; len(s.sizes) == 0 {
		s.end()
	}
	return u, s.fail
}

func (s *fullStore) Compact(_ context.Context, rev int64) error {
	s.did = append(s.did, fmt.Sprint("compact ", rev))
	return nil
}

func (s *fullStore) Defragment(context.Context) error {
	s.did = append(s.did, "defragment")
	return nil
}

// TestTidyKeepsOneIntervalOfHistory: it compacts to where it looked last, never to the present, and shrinks the file
// only when that is mostly air.
func TestTidyKeepsOneIntervalOfHistory(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for name, c := range map[string]struct {
		sizes []etcd.Usage
		fail  error
		want  []string
	}{
		"small":           {sizes: []etcd.Usage{{Rev: 1, File: gib, InUse: gib}, {Rev: 2, File: gib, InUse: gib}}},
		"first look":      {sizes: []etcd.Usage{{Rev: 7, File: 2 * gib, InUse: 2 * gib}}},
		"grown":           {sizes: []etcd.Usage{{Rev: 7}, {Rev: 9, InUse: 2 * gib}, {Rev: 12, InUse: 2 * gib}}, want: []string{"compact 7", "compact 9"}},
		"large and full":  {sizes: []etcd.Usage{{Rev: 7}, {Rev: 9, File: 7 * gib, InUse: 5 * gib}}, want: []string{"compact 7"}},
		"large and empty": {sizes: []etcd.Usage{{Rev: 7, File: 7 * gib, InUse: gib}}, want: []string{"defragment"}},
		"does not answer": {sizes: []etcd.Usage{{Rev: 7, File: 7 * gib}, {Rev: 8, InUse: 2 * gib}}, fail: errors.New("down")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			store := &fullStore{sizes: c.sizes, fail: c.fail, end: cancel}
			w := startWriter(t, &scriptedBackend{}, func(c *Config) { c.Clock = &hastyClock{} })
			w.upkeep = store
			w.Tidy(ctx)
			if diff := cmp.Diff(c.want, store.did); diff != "" {
				t.Error(diff)
			}
		})
	}
}
