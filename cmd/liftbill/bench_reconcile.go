package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

// reconcileFlags bound the benchmark.
type reconcileFlags struct {
	invoices, breaks, runs int
	url, dir               string
	asJSON                 bool
}

// maxBenchInvoices keeps the benchmark's database below a few gigabytes.
const maxBenchInvoices = 5_000_000

func newBenchReconcile() *cobra.Command {
	var f reconcileFlags
	cmd := &cobra.Command{
		Use: "reconcile", Short: "A month's reconciliation beside one SQL aggregate over the same rows", Args: cobra.NoArgs,
		Long: `Reconcile makes a month of paid invoices, as facts of the ledger and as objects that a run has
staged of Stripe's, with a number of differences in it, and times in turn: one SQL statement that
counts and sums the rows of both sides by currency; and all that a run does with them: finding the
pairs that differ, both sides' sums, our own side (mappings, digests, decisions), judging, and
storing the breaks. Reading at Stripe is bounded by its rate limits and is no part of it.
It uses a database of its own, which it drops at the end.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.invoices < 1000 || f.invoices > maxBenchInvoices || f.breaks < 0 || f.breaks*10 > f.invoices || f.runs < 1 || f.runs > 99 {
				return fault.InvalidField("invoices", "bench_range", "1,000 to %d invoices, at most a tenth of them different, 1 to 99 runs", maxBenchInvoices)
			}
			return benchReconcile(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), f)
		},
	}
	cmd.Flags().IntVar(&f.invoices, "invoices", 1_000_000, "paid invoices of the month")
	cmd.Flags().IntVar(&f.breaks, "breaks", 20, "invoices of which the two sides say something else")
	cmd.Flags().IntVar(&f.runs, "runs", 5, "runs of each, in turn; the median counts")
	cmd.Flags().StringVar(&f.url, "database-url", "", "a PostgreSQL server; empty starts one")
	cmd.Flags().StringVar(&f.dir, "dir", "var/bench", "where a server that is started keeps its data")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	return cmd
}

// reconcileFigures are the medians of one size.
type reconcileFigures struct {
	Invoices  int   `json:"invoices"`
	Breaks    int   `json:"breaks"`
	Runs      int   `json:"runs"`
	Aggregate int64 `json:"aggregate_ns"`
	Reconcile int64 `json:"reconcile_ns"`
	// Compare, Internals and Finish are the parts of Reconcile.
	Compare   int64   `json:"compare_ns"`
	Internals int64   `json:"internals_ns"`
	Finish    int64   `json:"finish_ns"`
	Ratio     float64 `json:"ratio"`
	// Page is one page of 50 breaks, filtered by account and state.
	Page int64 `json:"breaks_page_ns"`
	// Stage is what a page of a hundred objects of Stripe's takes to store and digest.
	Stage int64 `json:"stage_page_ns"`
}

func benchReconcile(ctx context.Context, out, note io.Writer, f reconcileFlags) error {
	b, err := openBenchDatabase(ctx, f.url, f.dir, false, false, note)
	if err != nil {
		return err
	}
	defer b.close(ctx)
	fmt.Fprintf(note, "making %d invoices of both sides\n", f.invoices)
	m := &benchMonthSides{benchDatabase: b, f: f, ledger: b.db.NewRecon()}
	if err := m.fill(ctx); err != nil {
		return err
	}
	got, err := m.measure(ctx)
	if err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(out, got)
	}
	ms := func(ns int64) string { return time.Duration(ns).Round(time.Millisecond).String() }
	fmt.Fprintf(out, "%d invoices, %d differences, median of %d runs\n  one SQL aggregate      %s\n  reconciliation         %s  (comparing %s, our own side %s, storing %s)\n  ratio                  %.2f\n  a page of 50 breaks    %s\n  staging 100 objects    %s\n",
		got.Invoices, got.Breaks, got.Runs, ms(got.Aggregate), ms(got.Reconcile), ms(got.Compare), ms(got.Internals), ms(got.Finish), got.Ratio, time.Duration(got.Page).Round(10*time.Microsecond), time.Duration(got.Stage).Round(10*time.Microsecond))
	return nil
}

// benchMonthSides is a month as both sides have it.
type benchMonthSides struct {
	*benchDatabase
	f      reconcileFlags
	ledger reconcile.Ledger
	sc     reconcile.Scope
	run    reconcile.Run
	// staged is what a page of a hundred objects took to store.
	staged int64
}

const benchAccount = "bench-reconcile"

// fill makes the rows: each customer pays four times, all customers are somebody's, and
// the month is frozen.
func (m *benchMonthSides) fill(ctx context.Context) error {
	month, _, err := m.account(ctx, benchAccount, account.Live, []string{"tenure"})
	if err != nil {
		return err
	}
	if m.sc, err = m.ledger.Scope(ctx, benchAccount, month); err != nil {
		return err
	}
	m.sc.At = benchNow
	if m.run, err = m.ledger.Begin(ctx, m.sc, recon.Machine(), benchNow, audit.Entry{}); err != nil {
		return err
	}
	paid := fmt.Sprintf(`to_timestamp(%d + n::bigint * 2678400 / %d)`, m.sc.Interval.Start.Unix(), m.f.invoices)
	if err := m.stage(ctx); err != nil {
		return err
	}
	for _, sql := range []string{
		`SELECT ensure_month_partition('reward_events', '2026-01-01')`,
		fmt.Sprintf(`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, subscription_id, invoice_id, charge_id, amount_minor, currency, effective_at, event_id, detail, recorded_at)
			SELECT '%[1]s', 'live', 'revenue_confirmation:in_' || n, 'revenue_confirmation', true, 'in_' || n, 'cus_' || n / 4, 'sub_' || n / 4, 'in_' || n, 'ch_' || n, 1000 + n %% 7000, 'usd', %[2]s, 'evt_' || n, '{"flags": {}}', %[2]s + interval '1 minute'
			FROM generate_series(0, %[3]d) n`, benchAccount, paid, m.f.invoices-1),
		fmt.Sprintf(`INSERT INTO mapping_spans (connection_id, subject_id, valid_from, valid_to, state, user_id)
			SELECT '%s', 'cus_' || n, '0001-01-01', 'infinity', 'linked', 'u-' || n FROM generate_series(0, %d) n`, benchAccount, m.f.invoices/4),
		fmt.Sprintf(`INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, watermark, opened_at, updated_at)
			SELECT '%[1]s.2026-01', '%[1]s', 'live', '2026-01', '2026-01-01Z', '2026-02-01Z', '%[1]s', '%[1]s', 'computing', t, t, t FROM (SELECT '%[2]s'::timestamptz AS t) s`, benchAccount, benchNow.Format(time.RFC3339)),
		fmt.Sprintf(`INSERT INTO cycle_buckets (cycle_id, bucket, currency, amount_minor, events)
			SELECT '%[1]s.2026-01', 'before_exposure', currency, sum(amount_minor), count(*) FROM reward_events WHERE connection_id = '%[1]s' GROUP BY currency`, benchAccount),
		"VACUUM (ANALYZE) reward_events", "VACUUM (ANALYZE) recon_objects", "VACUUM (ANALYZE) mapping_spans", "CHECKPOINT", // as a database at rest would be
	} {
		if _, err := m.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// stage stores Stripe's side as a run does, in pages of the size of Stripe's.
func (m *benchMonthSides) stage(ctx context.Context) error {
	const page = 100
	began := monotonic()
	for from := 0; from < m.f.invoices; from += page {
		objects := make([]recon.Object, 0, page)
		for n := from; n < min(from+page, m.f.invoices); n++ {
			o := recon.Object{
				Kind: recon.Payment, ID: fmt.Sprintf("in_%d", n), Status: "paid", NetMinor: int64(1000 + n%7000), Currency: "usd", Balanced: true, Livemode: true,
				CustomerID: fmt.Sprintf("cus_%d", n/4), ChargeID: fmt.Sprintf("ch_%d", n), At: m.sc.Interval.Start.Add(time.Duration(int64(n)*2678400/int64(m.f.invoices)) * time.Second),
			}
			if n*m.f.breaks/m.f.invoices != (n-1)*m.f.breaks/m.f.invoices || n == 0 {
				o.NetMinor++ // spread over the month
			}
			o.CashMinor = o.NetMinor
			objects = append(objects, o)
		}
		if err := m.ledger.Stage(ctx, m.run.ID, objects, benchNow); err != nil {
			return err
		}
	}
	m.staged = int64(monotonic()-began) * page / int64(m.f.invoices)
	return nil
}

// aggregate is the floor: both sides' rows, counted and summed by currency.
func (m *benchMonthSides) aggregate(ctx context.Context) error {
	var n, sum int64
	err := m.conn.QueryRow(ctx, `SELECT sum(n)::bigint, sum(amount)::bigint FROM (SELECT currency, count(*) AS n, sum(amount) AS amount FROM (
			SELECT currency, amount_minor AS amount FROM reward_events WHERE connection_id = $1 AND kind = 'revenue_confirmation' AND effective_at >= $2 AND effective_at < $3
			UNION ALL SELECT currency, net_minor FROM recon_objects WHERE run_id = $4 AND kind = 'invoice') rows GROUP BY currency) s`,
		benchAccount, m.sc.Interval.Start, m.sc.Interval.End, m.run.ID).Scan(&n, &sum)
	if err == nil && n != int64(2*m.f.invoices) {
		err = fmt.Errorf("the aggregate found %d rows", n)
	}
	return err
}

func (m *benchMonthSides) measure(ctx context.Context) (reconcileFigures, error) {
	var aggregate, whole, compare, internals, finish, page []int64
	for range m.f.runs {
		began := monotonic()
		if err := m.aggregate(ctx); err != nil {
			return reconcileFigures{}, err
		}
		a := monotonic()
		c, err := m.ledger.Compare(ctx, m.sc, m.run.ID)
		if err != nil {
			return reconcileFigures{}, err
		}
		b := monotonic()
		in, err := m.ledger.Internals(ctx, m.sc, c)
		if err != nil {
			return reconcileFigures{}, err
		}
		d := monotonic()
		if err := m.store(ctx, c, in); err != nil {
			return reconcileFigures{}, err
		}
		e := monotonic()
		if _, err := m.ledger.Breaks(ctx, reconcile.BreaksFilter{Scope: access.Everything(), AccountID: benchAccount, State: "open", Limit: 50}, benchNow); err != nil {
			return reconcileFigures{}, err
		}
		for into, took := range map[*[]int64]time.Duration{&aggregate: a - began, &compare: b - a, &internals: d - b, &finish: e - d, &whole: e - a, &page: monotonic() - e} {
			*into = append(*into, int64(took))
		}
	}
	out := reconcileFigures{
		Invoices: m.f.invoices, Breaks: m.f.breaks, Runs: m.f.runs, Aggregate: median(aggregate), Reconcile: median(whole), Compare: median(compare),
		Internals: median(internals), Finish: median(finish), Page: median(page), Stage: m.staged,
	}
	out.Ratio = float64(out.Reconcile) / float64(out.Aggregate)
	return out, nil
}

// store judges and stores what was found, in a run of its own that takes the staged
// objects of the first one for granted.
func (m *benchMonthSides) store(ctx context.Context, c reconcile.Compared, in recon.Internals) error {
	var found []recon.Break
	var changes []recon.Change
	for _, p := range c.Pairs {
		for _, f := range m.sc.Window().Judge(p) {
			b, change := recon.NewBreak(benchAccount, m.sc.Period.String(), f, benchNow)
			found, changes = append(found, b), append(changes, change)
		}
	}
	others := m.sc.Window().JudgeLedger(in, benchNow)
	if len(found) != m.f.breaks || len(others) != 0 {
		return errors.Join(fmt.Errorf("%d differences were found among the payments, and %d elsewhere", len(found), len(others)))
	}
	var id int64
	err := m.conn.QueryRow(ctx, `INSERT INTO recon_runs (account_id, environment, period, state, requested_by, started_at, beat_at) VALUES ($1, 'live', '1999-01', 'running', 'bench', $2, $2) RETURNING id`, benchAccount, benchNow).Scan(&id)
	if err != nil {
		return err
	}
	_, err = m.ledger.Finish(ctx, m.sc, reconcile.Run{ID: id}, benchNow, func([]recon.Break) reconcile.Merged {
		return reconcile.Merged{Breaks: found, Changes: changes, Sums: c.Sums, Found: len(found)}
	})
	return err
}
