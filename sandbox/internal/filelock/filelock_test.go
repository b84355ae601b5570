package filelock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

func TestOneHolderAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Fatalf("second Try = %v, want ErrHeld", err)
	}
	first.Release()
	second, err := Try(path)
	if err != nil {
		t.Fatalf("after Release: %v", err)
	}
	second.Release()
}

func TestAcquireWaitsForTheHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	holder, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := Acquire(t.Context(), path, holder.Release) // the holder lets go as soon as someone waits
	if err != nil {
		t.Fatal(err)
	}
	lock.Release()
}

func TestAcquireGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	holder, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Release()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Acquire(ctx, path, cancel); !errors.Is(err, context.Canceled) {
		t.Fatalf("Acquire = %v, want context.Canceled", err)
	}
}
