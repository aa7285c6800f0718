package localstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrLocked reports that another process holds a lock.
var ErrLocked = errors.New("locked")

// Lock is an advisory lock on a file. The system drops it when the process
// ends, so that a crash leaves no stale lock; the file itself stays.
type Lock struct{ file *os.File }

// TakeLock takes the lock within the given time; exclusive or shared.
func TakeLock(ctx context.Context, path string, exclusive bool, within time.Duration) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock file: %w", err)
	}
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	deadline := time.Now().Add(within)
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return &Lock{file: f}, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		case !time.Now().Before(deadline):
			_ = f.Close()
			return nil, ErrLocked
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
}

// Sign writes our process id into the file, for messages only.
func (l *Lock) Sign() {
	_ = l.file.Truncate(0)
	_, _ = l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
}

// Release gives the lock up; releasing none does nothing.
func (l *Lock) Release() {
	if l != nil {
		_ = l.file.Close()
	}
}

// lockDir takes the exclusive lock of a data folder for the life of this
// process. It waits a moment for a predecessor that is about to stop.
func lockDir(ctx context.Context, path, dir string) (*Lock, error) {
	l, err := TakeLock(ctx, path, true, 3*time.Second)
	if errors.Is(err, ErrLocked) {
		owner := ""
		if b, readErr := os.ReadFile(path); readErr == nil && len(b) > 0 {
			owner = " (process " + strings.TrimSpace(string(b)) + ")"
		}
		return nil, fmt.Errorf("another liftbill%s is using %s: stop it, or choose another data folder", owner, dir)
	}
	if err != nil {
		return nil, err
	}
	l.Sign()
	return l, nil
}

// pause waits for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
