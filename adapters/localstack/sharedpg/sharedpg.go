// Package sharedpg gives every test binary of one checkout the same throw-away
// PostgreSQL cluster, however many of them run at once.
//
// The first binary starts a supervisor: itself, run again with an environment
// variable, detached. The supervisor owns the cluster. Each user holds a shared
// lock on one file for as long as it lives, which the system drops however the
// user ends. When the supervisor gets the exclusive lock, nobody is left: it
// stops the cluster while it holds the lock, deletes the data and ends.
//
// Import this package from tests only: its init function is the supervisor.
package sharedpg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/liftbill/liftbill/adapters/localstack"
)

// Options names the cluster to share.
type Options struct {
	// Key tells clusters apart; use the folder of the checkout.
	Key string
	// AllowInstall lets root install PostgreSQL when it is missing.
	AllowInstall bool
}

// Names of the files in the shared folder.
const (
	usersLock      = "users.lock"      // shared: in use; exclusive: being stopped
	startLock      = "start.lock"      // held while one user starts the supervisor
	supervisorLock = "supervisor.lock" // held while a supervisor lives
	stateFile      = "url"             // the address, once the cluster answers
	errorFile      = "error"           // why the last start failed
	logFile        = "supervisor.log"
)

// patience bounds a start, an installation included.
const patience = 5 * time.Minute

// Ensure returns the shared cluster, which stays up at least until Stop is
// called on it or this process ends. TEST_DATABASE_URL takes its place.
func Ensure(ctx context.Context, opts Options) (*localstack.Postgres, error) {
	if given := os.Getenv("TEST_DATABASE_URL"); given != "" {
		return localstack.EnsurePostgres(ctx, localstack.PostgresOptions{DatabaseURL: given})
	}
	dir, err := sharedDir(opts.Key)
	if err != nil {
		return nil, err
	}
	users, err := localstack.TakeLock(ctx, filepath.Join(dir, usersLock), false, patience)
	if err != nil {
		return nil, fmt.Errorf("join the shared test cluster: %w", err)
	}
	p, err := join(ctx, dir, opts)
	if err != nil {
		users.Release()
		return nil, err
	}
	p.OnStop(func() error { users.Release(); return nil })
	return p, nil
}

// sharedDir makes the folder of one user and one checkout. It lies in a public
// place, so one that exists must be ours.
func sharedDir(key string) (string, error) {
	digest := sha256.Sum256([]byte(key))
	dir := filepath.Join(os.TempDir(), "liftbill-test-"+strconv.Itoa(os.Geteuid())+"-"+hex.EncodeToString(digest[:4]))
	// The server may run as another user, who has to get into the folder.
	if err := localstack.OwnDir(dir, 0o755); err != nil {
		return "", fmt.Errorf("folder of the shared test cluster: %w", err)
	}
	return dir, nil
}

// join connects to the running cluster, or starts it. The caller holds the
// shared lock, so a cluster that answers will not be stopped.
func join(ctx context.Context, dir string, opts Options) (*localstack.Postgres, error) {
	if p, err := connect(ctx, dir); err == nil {
		return p, nil
	}
	held, err := localstack.TakeLock(ctx, filepath.Join(dir, startLock), true, patience)
	if err != nil {
		return nil, fmt.Errorf("start the shared test cluster: %w", err)
	}
	defer held.Release()
	if p, err := connect(ctx, dir); err == nil { // another user was faster
		return p, nil
	}
	ended, err := launch(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("start the shared test cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		p, err := connect(ctx, dir)
		if err == nil {
			return p, nil
		}
		select {
		case <-ended:
			why, _ := os.ReadFile(filepath.Join(dir, errorFile))
			return nil, fmt.Errorf("start the shared test cluster: %s (log: %s)", why, filepath.Join(dir, logFile))
		case <-ctx.Done():
			return nil, fmt.Errorf("start the shared test cluster: %w; last: %w", ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// connect uses the address that the supervisor wrote. The server of one that
// was killed may still answer for a moment, so the supervisor must live.
func connect(ctx context.Context, dir string) (*localstack.Postgres, error) {
	orphaned, err := localstack.TakeLock(ctx, filepath.Join(dir, supervisorLock), false, 0)
	if err == nil {
		orphaned.Release()
		return nil, errors.New("no supervisor is running")
	}
	if !errors.Is(err, localstack.ErrLocked) {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, err
	}
	return localstack.EnsurePostgres(ctx, localstack.PostgresOptions{DatabaseURL: strings.TrimSpace(string(b))})
}

// launch starts the supervisor in a session of its own. Its output must not be
// ours: `go test` waits until nobody holds it.
func launch(dir string, opts Options) (ended <-chan struct{}, err error) {
	for _, name := range []string{stateFile, errorFile} { // of a supervisor that was killed
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(self)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append(os.Environ(), superviseEnv+"="+dir, installEnv+"="+strconv.FormatBool(opts.AllowInstall))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // its error file tells more
	}()
	return done, nil
}
