package sharedpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/liftbill/liftbill/adapters/localstack"
)

const (
	superviseEnv = "LIFTBILL_SHAREDPG_DIR"
	installEnv   = "LIFTBILL_SHAREDPG_INSTALL"
	lingerEnv    = "LIFTBILL_SHAREDPG_LINGER"
)

// defaultLinger bridges the time between two packages' tests.
const defaultLinger = 10 * time.Second

func init() {
	dir := os.Getenv(superviseEnv)
	if dir == "" {
		return
	}
	// A process of its own begins here, so there is no context to take.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // the root of a process
	err := supervise(ctx, dir)
	stop()
	if err != nil {
		_ = os.WriteFile(filepath.Join(dir, errorFile), []byte(err.Error()), 0o600)
		os.Exit(1)
	}
	os.Exit(0)
}

// supervise runs the cluster until nobody has used it for a while.
func supervise(ctx context.Context, dir string) error {
	alone, err := localstack.TakeLock(ctx, filepath.Join(dir, supervisorLock), true, 30*time.Second)
	if err != nil {
		return fmt.Errorf("another supervisor is still there: %w", err)
	}
	defer alone.Release()
	alone.Sign()
	data := filepath.Join(dir, "data")
	install, _ := strconv.ParseBool(os.Getenv(installEnv))
	p, err := localstack.EnsurePostgres(ctx, localstack.PostgresOptions{
		DataDir:      data,
		AllowInstall: install,
		Log:          func(line string) { _, _ = fmt.Println(line) },
	})
	if err != nil {
		return err
	}
	if err := publish(dir, p.URL("")); err != nil {
		return errors.Join(err, p.Stop())
	}
	users, err := awaitIdle(ctx, p, filepath.Join(dir, usersLock))
	defer users.Release()
	err = errors.Join(err, os.Remove(filepath.Join(dir, stateFile)), p.Stop())
	if err == nil {
		err = errors.Join(os.RemoveAll(p.Dir()), os.RemoveAll(data))
	}
	return err
}

// awaitIdle returns with the exclusive lock when nobody has held the shared one
// for the linger time, or without it when the cluster has to stop anyway.
func awaitIdle(ctx context.Context, p *localstack.Postgres, path string) (*localstack.Lock, error) {
	linger := defaultLinger
	if d, err := time.ParseDuration(os.Getenv(lingerEnv)); err == nil {
		linger = d
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	lastUsed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-p.Done():
			return nil, errors.New("the server ended unexpectedly")
		case <-tick.C:
		}
		users, err := localstack.TakeLock(ctx, path, true, 0)
		switch {
		case errors.Is(err, localstack.ErrLocked):
			lastUsed = time.Now()
		case err != nil:
			return nil, err
		case time.Since(lastUsed) >= linger:
			return users, nil
		default:
			users.Release()
		}
	}
}

// publish writes the address in one step, so that nobody reads half of it.
func publish(dir, url string) error {
	path := filepath.Join(dir, stateFile)
	if err := os.WriteFile(path+".new", []byte(url), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
