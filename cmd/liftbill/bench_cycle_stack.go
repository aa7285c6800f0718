package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/liftbill/liftbill/adapters/localstack"
	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/webhookload"
	"github.com/liftbill/liftbill/workflows/wire"
)

const benchCycleDatabase = "liftbill_bench_cycle"

// cycleStack is a deployment with many accounts and nothing to list at Stripe.
type cycleStack struct {
	dir, binary string
	log         func(string)
	accounts    []string
	first       period.Month // the accounts' first month, over and settled
	group       localstack.Group
	env         []string
	temporal    *scheduler.Scheduler
	worker      *localstack.Process
	db          *postgres.DB
	sql         *pgx.Conn
	box         *system.SecretBox
	stripe      *http.Server
}

// startCycleStack brings everything up but the worker. What it returns has to be stopped,
// also beside an error.
func startCycleStack(ctx context.Context, accounts int, binary string, log func(string)) (*cycleStack, error) {
	now := time.Now().UTC() //nolint:forbidigo // a benchmark's months are those before the machine's time
	s := &cycleStack{binary: binary, log: log, first: period.Of(now, time.UTC).Add(-3)}
	for i := range accounts {
		s.accounts = append(s.accounts, fmt.Sprintf("account-%06d", i))
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "liftbill-bench-cycle-"); err != nil {
		return s, err
	}
	if err := os.Chmod(s.dir, 0o755); err != nil { //nolint:gosec // the database server runs as another user
		return s, err
	}
	log("PostgreSQL and Temporal")
	key := make([]byte, system.KeyBytes)
	if _, err := rand.Read(key); err != nil {
		return s, err
	}
	if s.box, err = system.NewSecretBox(key); err != nil {
		return s, err
	}
	pg, err := localstack.EnsurePostgres(ctx, localstack.PostgresOptions{DataDir: filepath.Join(s.dir, "postgres"), Durable: true, Log: log})
	if err != nil {
		return s, err
	}
	s.group.Add(pg.Stop)
	if err := pg.EnsureDatabase(ctx, benchCycleDatabase); err != nil {
		return s, err
	}
	url := pg.URL(benchCycleDatabase)
	server, err := localstack.EnsureTemporal(ctx, localstack.TemporalOptions{SourceDir: sourceDir(binary), DataDir: filepath.Join(s.dir, "temporal"), Log: log})
	if err != nil {
		return s, err
	}
	s.group.Add(server.Stop)
	if s.temporal, err = scheduler.Connect(ctx, client.Options{HostPort: server.Address, Namespace: server.Namespace}, slog.New(slog.DiscardHandler)); err != nil {
		return s, err
	}
	if s.sql, err = pgx.Connect(ctx, url); err != nil {
		return s, err
	}
	stripe, err := s.startStripe(ctx)
	if err != nil {
		return s, err
	}
	s.env = append(os.Environ(), "DATABASE_URL="+url, "LIFTBILL_ENCRYPTION_KEY="+base64.StdEncoding.EncodeToString(key), "LIFTBILL_STRIPE_API_BASE="+stripe,
		"LIFTBILL_STRIPE_RATE=-1", "LIFTBILL_LOG_LEVEL=error", "TEMPORAL_ADDRESS="+server.Address, "TEMPORAL_NAMESPACE="+server.Namespace)
	if s.db, err = postgres.Open(ctx, url, postgres.Options{MaxConns: 2}); err != nil {
		return s, err
	}
	if _, err := s.db.Migrate(ctx); err != nil {
		return s, err
	}
	log(fmt.Sprintf("%d accounts", accounts))
	return s, s.seed(ctx)
}

// startStripe has nothing to list.
func (s *cycleStack) startStripe(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s.stripe = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"object":"list","url":"`+strings.ReplaceAll(r.URL.Path, `"`, "")+`","has_more":false,"data":[]}`) //nolint:errcheck,gosec // the reader has gone
	})}
	go s.stripe.Serve(listener) //nolint:errcheck // it ends when the stack stops
	return "http://" + listener.Addr().String(), nil
}

// startWorker starts one worker process, and keeps the sources' own Schedule out of the
// measurement: it would ask Stripe about every connection meanwhile.
func (s *cycleStack) startWorker(ctx context.Context) error {
	var err error
	s.worker, err = localstack.Start(localstack.ProcessOptions{
		Name: "liftbill worker", Path: s.binary, Args: []string{"worker"}, Env: s.env, LogFile: filepath.Join(s.dir, "worker.log"), StopTimeout: 40 * time.Second,
	})
	if err != nil {
		return err
	}
	for range 600 {
		if s.temporal.PauseSources(ctx, account.Live, "a benchmark runs") == nil {
			return nil
		}
		select {
		case <-s.worker.Done():
			return fmt.Errorf("the worker ended: %s", s.worker.Tail(5))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond): //nolint:forbidigo // a benchmark waits for the machine
		}
	}
	return errors.New("the worker made no Schedules: " + s.worker.Tail(5))
}

func (s *cycleStack) workerCost() (time.Duration, int64, error) {
	return webhookload.ProcessCost(s.worker.Pid())
}

func (s *cycleStack) stop() error {
	var errs []error
	if s.worker != nil {
		errs = append(errs, s.worker.Stop())
	}
	if s.temporal != nil {
		s.temporal.Close()
	}
	if s.sql != nil {
		errs = append(errs, s.sql.Close(context.Background()))
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.stripe != nil {
		errs = append(errs, s.stripe.Close())
	}
	errs = append(errs, s.group.Stop())
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// round starts the cycle of a period and waits until finished says that every account is.
func (s *cycleStack) round(ctx context.Context, m period.Month, finished func(context.Context) (int, error), half func(int) error) (cycleRound, error) {
	began := monotonic()
	in := wire.CycleInput{Environment: account.Live, Calendar: billing.DefaultTerms().CalendarOf(), Period: m.String()}
	started, err := s.temporal.StartCycle(ctx, in)
	if err != nil {
		return cycleRound{}, err
	}
	said := 0
	for {
		n, err := finished(ctx)
		if err != nil {
			return cycleRound{}, err
		}
		if n >= len(s.accounts) {
			break
		}
		if tenth := 10 * n / len(s.accounts); tenth > said {
			said = tenth
			s.log(fmt.Sprintf("  %d of %d after %s", n, len(s.accounts), (monotonic() - began).Round(time.Second)))
		}
		if half != nil && 2*n >= len(s.accounts) {
			if err := half(n); err != nil {
				return cycleRound{}, err
			}
			half = nil
		}
		select {
		case <-ctx.Done():
			return cycleRound{}, ctx.Err()
		case <-time.After(100 * time.Millisecond): //nolint:forbidigo // a benchmark waits for the machine
		}
	}
	r := cycleRound{Wall: monotonic() - began}
	r.PerSecond = float64(len(s.accounts)) / r.Wall.Seconds()
	if _, err := s.temporal.WaitCycle(ctx, started.WorkflowID); err != nil {
		return r, err
	}
	return r, s.histories(ctx, &r, m, started.WorkflowID)
}

// histories reads how long the histories became: of the account in the middle, and of the
// runs of the chain.
func (s *cycleStack) histories(ctx context.Context, r *cycleRound, m period.Month, cycleID string) error {
	c := s.temporal.Client()
	bill, err := c.DescribeWorkflowExecution(ctx, wire.BillWorkflowID(account.Live, s.accounts[len(s.accounts)/2], m.String()), "")
	if err != nil {
		return err
	}
	r.BillEvents, r.BillBytes = bill.WorkflowExecutionInfo.HistoryLength, bill.WorkflowExecutionInfo.HistorySizeBytes
	var token []byte
	var runs []*workflowpb.WorkflowExecutionInfo
	for {
		page, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: fmt.Sprintf("WorkflowId = '%s'", cycleID), NextPageToken: token})
		if err != nil {
			return err
		}
		runs = append(runs, page.Executions...)
		if token = page.NextPageToken; len(token) == 0 {
			break
		}
	}
	r.CycleRuns = len(runs)
	for _, run := range runs {
		r.CycleEvents = max(r.CycleEvents, run.HistoryLength)
	}
	return nil
}

// month bills a month on the ledger.
func (s *cycleStack) month(ctx context.Context, m period.Month, half func(int) error) (cycleRound, error) {
	return s.round(ctx, m, func(ctx context.Context) (n int, err error) {
		err = s.sql.QueryRow(ctx, "SELECT count(*) FROM cycles WHERE period = $1 AND state = 'withheld'", m.String()).Scan(&n)
		return n, err
	}, half)
}

// killedMonth bills the next month; its worker is killed half way and started again.
func (s *cycleStack) killedMonth(ctx context.Context) (killedRound, error) {
	var r killedRound
	var err error
	m := s.first.Add(1)
	r.cycleRound, err = s.month(ctx, m, func(n int) error {
		r.FinishedAtKill = n
		webhookload.Sigkill(s.worker)
		return s.startWorker(ctx)
	})
	if err != nil {
		return r, err
	}
	err = s.sql.QueryRow(ctx, `SELECT count(*), coalesce(sum(n), 0), count(*) FILTER (WHERE n <> 2) FROM (
		SELECT (SELECT count(*) FROM readouts r WHERE r.cycle_id = c.id) AS n FROM cycles c WHERE c.period = $1 AND c.state = 'withheld') x`, m.String()).
		Scan(&r.Finished, &r.Readouts, &r.Lost)
	r.Lost += len(s.accounts) - r.Finished
	return r, err
}
