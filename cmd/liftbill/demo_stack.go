package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liftbill/liftbill/adapters/localstack"
	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// demoDatabase is made anew by every demo: the Stripe stand-in forgets, so a
// ledger that remembers would contradict it.
const demoDatabase = "liftbill_demo"

// stack is everything that runs for a demo.
type stack struct {
	flags  demoFlags
	months []period.Month
	group  localstack.Group
	lock   *localstack.Lock
	clock  *system.FileClock
	env    []string
	binary string
	logs   string
	api    string
	stripe string
	db     *localstack.Postgres
	tmprl  *localstack.Temporal
	serve  *localstack.Process
	worker *localstack.Process
	fake   *localstack.Process
	// finance and approver are the people who release first invoices.
	finance, approver *demoPerson
	cfg               Config
	failing           *localstack.Process
	keys              demoKeys
}

// stateFile tells other programs (and tests) where everything is.
const stateFile = "demo.json"

type stackState struct {
	API       string `json:"api"`
	Temporal  string `json:"temporal"`
	Console   string `json:"temporal_console"`
	Stripe    string `json:"stripe"`
	Database  string `json:"database"`
	ServePID  int    `json:"serve_pid"`
	WorkerPID int    `json:"worker_pid"`
	StripePID int    `json:"stripe_pid"`
	// Tokens by environment, and the demo's administrator.
	Tokens   map[string]string `json:"tokens"`
	Email    string            `json:"email"`
	Password string            `json:"password"`
}

func bootDemo(ctx context.Context, f demoFlags, p *progress, months []period.Month) (*stack, error) {
	dir, err := filepath.Abs(f.data)
	if err != nil {
		return nil, err
	}
	s := &stack{flags: f, months: months, logs: filepath.Join(dir, "logs")}
	s.flags.data = dir
	if err := os.MkdirAll(s.logs, 0o755); err != nil { //nolint:gosec // logs of a demo, readable by their owner's tools
		return s, fault.Wrap(err, fault.Unavailable, "data_folder", "cannot make %s", s.logs).Fix("Choose another folder with --data")
	}
	if s.lock, err = localstack.TakeLock(ctx, filepath.Join(dir, "demo.lock"), true, 5*time.Second); err != nil {
		return s, fault.New(fault.Unavailable, "demo_running", "another demo uses %s", dir).Fix("Stop it, or choose another folder with --data")
	}
	if s.binary, err = os.Executable(); err != nil {
		return s, err
	}
	for _, start := range []func(context.Context, *progress) error{s.startPostgres, s.startTemporal, s.startStripe, s.startServe, s.letIn, s.startWorker} {
		if err := start(ctx, p); err != nil {
			return s, err
		}
	}
	return s, s.writeState()
}

func (s *stack) startPostgres(ctx context.Context, p *progress) error {
	p.step("PostgreSQL")
	db, err := localstack.EnsurePostgres(ctx, localstack.PostgresOptions{
		DatabaseURL: os.Getenv("DATABASE_URL"), DataDir: filepath.Join(s.flags.data, "postgres"), AllowInstall: true, Log: p.note,
	})
	if err != nil {
		return exitError{exitEnvironment, err}
	}
	s.db = db
	s.group.Add(db.Stop)
	if err := s.freshDatabase(ctx); err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, db.URL(demoDatabase), postgres.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	n, err := pool.Migrate(ctx)
	if err = errors.Join(err, pool.Close()); err != nil {
		return err
	}
	p.done("%s; %d migrations applied to %s", db.Source(), n, demoDatabase)
	return nil
}

func (s *stack) freshDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.db.URL(""))
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "database_unreachable", "PostgreSQL does not answer").Fix("Correct DATABASE_URL, or unset it to have a private cluster")
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement's error is the one to tell
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+demoDatabase+" WITH (FORCE)"); err != nil {
		return fault.Wrap(err, fault.Unavailable, "database_refused", "the earlier demo database cannot be dropped")
	}
	return s.db.EnsureDatabase(ctx, demoDatabase)
}

func (s *stack) startTemporal(ctx context.Context, p *progress) error {
	p.step("Temporal with its web console")
	t, err := localstack.EnsureTemporal(ctx, localstack.TemporalOptions{
		SourceDir: sourceDir(s.binary), DataDir: filepath.Join(s.flags.data, "temporal"), Log: p.note,
	})
	if err != nil {
		return exitError{exitEnvironment, err}
	}
	s.tmprl = t
	s.group.Add(t.Stop)
	p.done("%s", t.Address)
	return nil
}

// sourceDir finds cmd/temporaldev beside the working directory or the binary.
func sourceDir(binary string) string {
	for _, root := range []string{".", filepath.Dir(filepath.Dir(binary))} {
		dir := filepath.Join(root, "cmd", "temporaldev")
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	return ""
}

func (s *stack) startStripe(ctx context.Context, p *progress) error {
	p.step("Stripe stand-in")
	path := filepath.Join(filepath.Dir(s.binary), "stripefake")
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath("stripefake"); err != nil {
			return fault.New(fault.Unavailable, "stripefake_missing", "the program stripefake is not beside liftbill").Fix("Build both with: make build")
		}
	}
	clockPath := filepath.Join(s.flags.data, "clock.json")
	start := s.months[0].In(time.UTC).Start.AddDate(0, 0, -1)
	if err := system.WriteClockFile(clockPath, start, false); err != nil {
		return err
	}
	port, err := localstack.FreePort()
	if err != nil {
		return err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	s.stripe = "http://" + addr
	s.fake, err = localstack.Start(localstack.ProcessOptions{
		Name: "stripefake", Path: path, LogFile: filepath.Join(s.logs, "stripefake.log"), StopTimeout: 10 * time.Second,
		Args: []string{"--addr", addr, "--clock-file", clockPath, "--start", start.Format(time.RFC3339), "--seed", fmt.Sprint(s.flags.seed)},
	})
	if err != nil {
		return err
	}
	s.group.Add(s.fake.Stop)
	if err := s.answer(ctx, s.fake, s.stripe+"/_fake/health"); err != nil {
		return err
	}
	if s.clock, err = system.OpenFileClock(clockPath); err != nil {
		return err
	}
	p.done("%s", s.stripe)
	return nil
}

// address is where API and pages listen: as asked, or a free port beside it.
func (s *stack) address(p *progress) (string, error) {
	host, port, err := net.SplitHostPort(s.flags.listen)
	if err != nil {
		return "", fault.InvalidField("--listen", "address_malformed", "%q is no address", s.flags.listen).Fix("Write host:port, for example 127.0.0.1:8080")
	}
	if port != "0" {
		taken := localstack.PortFree(s.flags.listen)
		if taken == nil {
			return s.flags.listen, nil
		}
		p.note(fmt.Sprintf("%v; taking a free port instead", taken))
	}
	free, err := localstack.FreePort()
	return net.JoinHostPort(host, fmt.Sprint(free)), err
}

func (s *stack) startServe(ctx context.Context, p *progress) error {
	p.step("API and pages")
	listen, err := s.address(p)
	if err != nil {
		return err
	}
	s.api = "http://" + listen
	key, err := system.KeyFile(filepath.Join(s.flags.data, "encryption.key"))
	if err != nil {
		return err
	}
	s.env = append(os.Environ(),
		"DATABASE_URL="+s.db.URL(demoDatabase), "LIFTBILL_ENCRYPTION_KEY="+key, "LIFTBILL_LISTEN="+listen, "LIFTBILL_PUBLIC_URL="+s.api,
		"LIFTBILL_STRIPE_API_BASE="+s.stripe, "LIFTBILL_STRIPE_RATE=-1", "LIFTBILL_CLOCK_FILE="+filepath.Join(s.flags.data, "clock.json"),
		"TEMPORAL_ADDRESS="+s.tmprl.Address, "TEMPORAL_NAMESPACE="+s.tmprl.Namespace, "LIFTBILL_TEMPORAL_UI="+s.tmprl.UIURL,
		// What the user's own deployment is set up with is not the demo's.
		"LIFTBILL_TLS_CERT=", "LIFTBILL_TLS_KEY=", "LIFTBILL_TLS_PROXY=false", "LIFTBILL_OIDC_ISSUER=", "LIFTBILL_API_RATE=0", "LIFTBILL_NOTIFY_URL=", "LIFTBILL_NOTIFY_SECRET=", "LIFTBILL_SMTP_URL=", "LIFTBILL_SMTP_FROM=")
	s.cfg = Config{
		DatabaseURL: s.db.URL(demoDatabase), EncryptionKey: key, Listen: listen, PublicURL: s.api, StripeAPIBase: s.stripe, StripeRate: -1,
		ClockFile: filepath.Join(s.flags.data, "clock.json"), LogLevel: "warn", TemporalUI: s.tmprl.UIURL,
	}
	if s.serve, err = s.child("serve"); err != nil {
		return err
	}
	if err := s.answer(ctx, s.serve, s.api+"/readyz"); err != nil {
		return err
	}
	p.done("%s", s.api)
	return nil
}

func (s *stack) startWorker(ctx context.Context, p *progress) error {
	p.step("worker")
	if s.tmprl.UIURL != "" { // a server of ours: runs of an earlier demo belong to a database that is gone
		sched, err := s.connectTemporal(ctx)
		if err != nil {
			return err
		}
		_, err = sched.TerminateRunning(ctx, "left over from an earlier demo")
		sched.Close()
		if err != nil {
			return err
		}
	}
	var err error
	if s.worker, err = s.child("worker"); err != nil {
		return err
	}
	p.done("")
	return nil
}

func (s *stack) child(command string) (*localstack.Process, error) {
	proc, err := localstack.Start(localstack.ProcessOptions{
		Name: "liftbill " + command, Path: s.binary, Args: []string{command}, Env: s.env,
		LogFile: filepath.Join(s.logs, command+".log"), StopTimeout: 40 * time.Second,
	})
	if err == nil {
		s.group.Add(proc.Stop)
	}
	return proc, err
}

// explain adds what the failing part said last.
func (s *stack) explain(err error) error {
	if s == nil || s.lock == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if s.failing == nil {
		for _, c := range []*localstack.Process{s.fake, s.serve, s.worker} {
			if c != nil && isDone(c.Done()) {
				s.failing = c
			}
		}
	}
	var missing exitError
	if errors.As(err, &missing) {
		return err // it says itself what is missing
	}
	if s.failing == nil {
		return fmt.Errorf("%w\n(logs: %s)", err, s.logs)
	}
	return fmt.Errorf("%w\nits last lines:\n%s(logs: %s)", err, s.failing.Tail(8), s.logs)
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (s *stack) writeState() error {
	raw, err := json.MarshalIndent(stackState{ //nolint:gosec // the demo's own throw-away keys, in a file for its user only
		API: s.api, Temporal: s.tmprl.Address, Console: s.tmprl.UIURL, Stripe: s.stripe, Database: demoDatabase,
		ServePID: s.serve.Pid(), WorkerPID: s.worker.Pid(), StripePID: s.fake.Pid(),
		Tokens: map[string]string{"live": s.keys.tokens[account.Live], "test": s.keys.tokens[account.Test]}, Email: demoEmail, Password: s.keys.password,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.flags.data, stateFile), append(raw, '\n'), 0o600)
}

// keepWorker starts the worker again when it ended, as a service manager would.
func (s *stack) keepWorker(p *progress) error {
	if !isDone(s.worker.Done()) {
		return nil
	}
	p.note(fmt.Sprintf("the worker ended (%v); starting it again", s.worker.Err()))
	var err error
	if s.worker, err = s.child("worker"); err != nil {
		return err
	}
	return s.writeState()
}

// wait serves until the context ends; a worker that ends is started again, any
// other part that ends stops the demo.
func (s *stack) wait(ctx context.Context, p *progress) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.worker.Done():
			if ctx.Err() != nil {
				return nil
			}
			if err := s.keepWorker(p); err != nil {
				return err
			}
		case <-s.serve.Done():
			return s.ended(ctx, s.serve)
		case <-s.fake.Done():
			return s.ended(ctx, s.fake)
		case <-s.tmprl.Done():
			return s.ended(ctx, nil)
		case <-s.db.Done():
			return s.ended(ctx, nil)
		}
	}
}

func (s *stack) ended(ctx context.Context, child *localstack.Process) error {
	if ctx.Err() != nil {
		return nil
	}
	s.failing = child
	return s.explain(fault.New(fault.Unavailable, "child_ended", "a part of the demo ended"))
}

func (s *stack) stop() error {
	err := s.group.Stop()
	if s.lock != nil {
		s.lock.Release()
	}
	if rmErr := os.Remove(filepath.Join(s.flags.data, stateFile)); rmErr != nil && !os.IsNotExist(rmErr) {
		err = errors.Join(err, rmErr)
	}
	return err
}
