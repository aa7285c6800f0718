package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liftbill/liftbill/adapters/localstack"
	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

// benchDatabaseName is made by a benchmark and dropped when it ends.
const benchDatabaseName = "liftbill_bench"

// liftPostgres are the costs of one size from PostgreSQL: this process's CPU and the wall
// time, in which the server works too.
type liftPostgres struct {
	CopyText   cost `json:"copy_text"`
	CopyBinary cost `json:"copy_binary"`
	Number     cost `json:"number"`
	Complete   cost `json:"complete"`
	// Readout is the use case: both looks, every check, the manifest, stored.
	Readout cost `json:"readout"`
	// PeakBytes is the largest live heap while the number was computed, less that before.
	PeakBytes uint64 `json:"peak_bytes"`
}

// benchDatabase is a migrated database that nobody else uses.
type benchDatabase struct {
	server *localstack.Postgres
	db     *postgres.DB
	conn   *pgx.Conn
	n      int
	// keep leaves the database for the next run.
	keep bool
}

func openBenchDatabase(ctx context.Context, url, dir string, durable, keep bool, note io.Writer) (*benchDatabase, error) {
	return startBenchDatabase(ctx, url, dir, durable, keep, note, (*benchDatabase).open)
}

// attachBenchDatabase opens what is there, and leaves it there.
func attachBenchDatabase(ctx context.Context, url, dir string, durable, _ bool, note io.Writer) (*benchDatabase, error) {
	return startBenchDatabase(ctx, url, dir, durable, true, note, (*benchDatabase).connect)
}

func startBenchDatabase(ctx context.Context, url, dir string, durable, keep bool, note io.Writer, open func(*benchDatabase, context.Context) error) (*benchDatabase, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	server, err := localstack.EnsurePostgres(ctx, localstack.PostgresOptions{
		DatabaseURL: url, DataDir: filepath.Join(dir, "postgres"), AllowInstall: true, Durable: durable,
		Log: func(s string) { fmt.Fprintln(note, s) },
	})
	if err != nil {
		return nil, exitError{exitEnvironment, err}
	}
	b := &benchDatabase{server: server, keep: keep}
	if err := open(b, ctx); err != nil {
		b.close(ctx)
		return nil, err
	}
	fmt.Fprintln(note, "PostgreSQL: "+server.Source())
	return b, nil
}

func (b *benchDatabase) open(ctx context.Context) error {
	if !b.keep {
		if err := b.drop(ctx); err != nil {
			return err
		}
	}
	if err := b.server.EnsureDatabase(ctx, benchDatabaseName); err != nil {
		return err
	}
	if err := b.connect(ctx); err != nil {
		return err
	}
	_, err := b.db.Migrate(ctx)
	return err
}

func (b *benchDatabase) connect(ctx context.Context) error {
	url := b.server.URL(benchDatabaseName)
	var err error
	if b.db, err = postgres.Open(ctx, url, postgres.Options{MaxConns: 4}); err != nil {
		return err
	}
	b.conn, err = pgx.Connect(ctx, url)
	return err
}

func (b *benchDatabase) drop(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, b.server.URL(""))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+benchDatabaseName+" WITH (FORCE)")
	return errors.Join(err, conn.Close(ctx))
}

// close drops the database and stops what was started; a benchmark leaves nothing behind
// that nobody asked to keep.
func (b *benchDatabase) close(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if b.conn != nil {
		b.conn.Close(ctx) //nolint:errcheck,gosec // the database is dropped next
	}
	if b.db != nil {
		b.db.Close() //nolint:errcheck,gosec // the database is dropped next
	}
	if !b.keep {
		if err := b.drop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "liftbill: the benchmark's database was not removed:", err)
		}
	}
	if err := b.server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "liftbill: the benchmark's database server was not stopped:", err)
	}
}

// benchMonth is the period of the benchmark's cycle, whose watermark lies after its close.
const benchMonth = "2026-01"

var benchNow = time.Date(2026, 2, 5, 6, 0, 0, 0, time.UTC)

// freeze makes an account with a cycle and freezes a table of units as a collection would.
// The table is not kept: a worker that reads it from PostgreSQL does not have it either.
func (b *benchDatabase) freeze(ctx context.Context, units, features int) (measure.Cycle, error) {
	table, err := benchUnits(units, features)
	if err != nil {
		return measure.Cycle{}, err
	}
	b.n++
	id := fmt.Sprintf("bench-%d", b.n)
	m, plan, err := b.account(ctx, id, account.Test, table.Features)
	if err != nil {
		return measure.Cycle{}, err
	}
	cycles := b.db.NewCycles()
	c, err := cycles.OpenCycle(ctx, id, m, "bench", benchNow)
	if err != nil {
		return c, err
	}
	layout, err := table.Layout(plan)
	if err != nil {
		return c, err
	}
	col := measure.Collection{Watermark: benchNow, SourceWatermark: benchNow, InputDigest: table.Digest(), Tables: []measure.Table{{
		UnitTable: table, Layout: layout, Evidence: lift.Evidence{Environment: account.Test, Look: lift.LookMonth, PeriodStart: c.Interval.Start, PeriodEnd: c.Interval.End},
		Inputs: lift.Inputs{Watermark: benchNow, UnitDigest: table.Digest(), Units: len(table.Rows), SumMinor: table.SumMinor()},
	}}}
	if err := cycles.SaveCollection(ctx, c, col, benchNow); err != nil {
		return c, err
	}
	for _, sql := range []string{"VACUUM (ANALYZE) cycle_units", "CHECKPOINT"} { // as a database at rest would be
		if _, err := b.conn.Exec(ctx, sql); err != nil {
			return c, err
		}
	}
	return cycles.Cycle(ctx, c.ID)
}

// account makes an account with its own source, a contract and a sealed plan.
func (b *benchDatabase) account(ctx context.Context, id string, env account.Environment, features []string) (period.Month, lift.Plan, error) {
	m, err := period.Parse(benchMonth)
	if err != nil {
		return period.Month{}, lift.Plan{}, err
	}
	terms := billing.DefaultTerms()
	terms.FirstPeriod = benchMonth
	opened := benchNow.AddDate(-1, 0, 0)
	contract, err := billing.NewContract(id, id, env, 1, terms, opened)
	if err != nil {
		return period.Month{}, lift.Plan{}, err
	}
	plan, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: m, Currency: terms.Currency, Unit: "user", Baseline: "nothing",
		HoldoutProbability: "0.2", SaltCommitment: lift.SaltCommitment([]byte(id)), Features: features})
	if err != nil {
		return period.Month{}, lift.Plan{}, err
	}
	sealed, err := plan.Seal(opened)
	if err != nil {
		return period.Month{}, lift.Plan{}, err
	}
	return m, plan, b.db.Onboarding().Do(ctx, func(ctx context.Context, st onboard.Stores) error {
		return errors.Join(
			st.Connections.InsertConnection(ctx, onboard.SealedConnection{Connection: account.Connection{ID: id, Environment: env,
				Roles: account.Roles{Source: true}, StripeAccountID: "acct_" + id, UserIDKey: "user_id", KeyMask: "none"}, SealedKey: []byte{}, CreatedAt: opened}),
			st.Accounts.InsertAccount(ctx, account.Account{ID: id, Environment: env, Name: id, SourceConnection: id}, opened),
			st.Agreements.InsertContract(ctx, contract),
			st.Agreements.InsertPlan(ctx, onboard.StoredPlan{ID: id, AccountID: id, Environment: env, Plan: sealed, SealedSalt: []byte{}}),
		)
	})
}

// lift times COPY and the estimator over the same rows, one after the other in each run.
func (b *benchDatabase) lift(ctx context.Context, units, features, runs int) (*liftPostgres, error) {
	c, err := b.freeze(ctx, units, features)
	if err != nil {
		return nil, err
	}
	cycles := b.db.NewCycles()
	heads, err := cycles.Heads(ctx, c)
	if err != nil {
		return nil, err
	}
	snapshot := heads[0].SnapshotID
	src := cycles.Units(ctx, c, snapshot)
	service := &measure.Service{Ledger: cycles, Clock: clock.Fixed(benchNow), Build: map[string]string{"go": runtime.Version()}}
	var peak uint64
	steps := []func() error{
		func() error { return b.copyOut(ctx, c.ID, snapshot, "text") },
		func() error { return b.copyOut(ctx, c.ID, snapshot, "binary") },
		func() error {
			watch := watchHeap()
			_, err := streamNumber(c, heads[0], src)
			peak = max(peak, watch())
			return err
		},
		func() error {
			m, err := streamNumber(c, heads[0], src)
			if err != nil {
				return err
			}
			top, err := m.Top(src, 0, ope.Buckets)
			if err != nil {
				return err
			}
			return m.Complete(top, src)
		},
		func() error {
			_, err := service.Estimate(ctx, c.ID, func(int, int, string) {})
			return err
		},
	}
	costs := make([][]cost, len(steps))
	for range runs {
		for i, step := range steps {
			got, err := measureCost(step)
			if err != nil {
				return nil, err
			}
			costs[i] = append(costs[i], got)
		}
	}
	return &liftPostgres{CopyText: medianCost(costs[0]), CopyBinary: medianCost(costs[1]), Number: medianCost(costs[2]),
		Complete: medianCost(costs[3]), Readout: medianCost(costs[4]), PeakBytes: peak}, nil
}

// streamNumber is the number from one pass, its digest compared with the frozen one.
func streamNumber(c measure.Cycle, h measure.Head, src lift.Source) (*lift.Measurement, error) {
	buckets, err := lift.MomentsOf(h.Layout, src, 0, ope.Buckets, "")
	if err != nil {
		return nil, err
	}
	m, err := lift.MeasureMoments(h.SnapshotID, c.Plan.Plan(), h.Layout, buckets)
	if err != nil {
		return nil, err
	}
	if m.Estimate.Refused() || m.Digest != h.Inputs.UnitDigest {
		return nil, fmt.Errorf("the stream gave %q and digest %s instead of %s", m.Estimate.Refusal, m.Digest, h.Inputs.UnitDigest)
	}
	return m, nil
}

// copyOut is the floor: the same rows and columns to the server's /dev/null, in the order
// in which they lie.
func (b *benchDatabase) copyOut(ctx context.Context, cycleID, snapshotID, format string) error {
	tag, err := b.conn.Exec(ctx, fmt.Sprintf(`COPY (SELECT bucket, unit_id, holdout, baseline_prob, y_minor, features FROM cycle_units
		WHERE cycle_id = '%s' AND snapshot_id = '%s') TO '/dev/null' (FORMAT %s)`, cycleID, snapshotID, format)) // identifiers of our own making
	if err == nil && tag.RowsAffected() == 0 {
		err = errors.New("COPY found no rows")
	}
	return err
}

// watchHeap samples the live heap until it is asked for the largest rise.
func watchHeap() func() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, most := m.HeapInuse, uint64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse-min(m.HeapInuse, before))
			}
		}
	}()
	return func() uint64 { close(stop); <-done; return most }
}
