package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
)

// The rows of the benchmark of lists lie in the 24 months before benchNow, in as many
// partitions.
const listsMonths = 24

var listsBegin = time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)

// listsSeed fills a migrated database. The accounts differ in size as customers do: the
// first one has as much as the second and the third together.
type listsSeed struct {
	*benchDatabase
	events, accounts int
	note             io.Writer
	// shares are the events of each account.
	shares []int
}

func listsAccount(i int) string { return fmt.Sprintf("acct-%04d", i+1) }

// listsEnvironment makes every tenth account one of test.
func listsEnvironment(i int) account.Environment {
	if i%10 == 9 {
		return account.Test
	}
	return account.Live
}

// listsCurrency gives some accounts currencies with other decimals.
func listsCurrency(i int) money.Currency {
	return []money.Currency{"usd", "usd", "eur", "usd", "jpy", "usd", "gbp", "usd", "huf", "usd"}[i%10]
}

func (s *listsSeed) fill(ctx context.Context) error {
	var sum float64
	for i := range s.accounts {
		sum += 1 / float64(i+1)
	}
	for i := range s.accounts {
		s.shares = append(s.shares, max(20, int(math.Round(float64(s.events)/float64(i+1)/sum))))
	}
	if _, err := s.conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS bench_stages (name text PRIMARY KEY, events int NOT NULL, accounts int NOT NULL)"); err != nil {
		return err
	}
	for _, stage := range []struct {
		name string
		make func(context.Context) error
	}{{"agreements", s.agreements}, {"bulk", s.bulk}, {"months", s.months}} {
		if err := s.stage(ctx, stage.name, stage.make); err != nil {
			return err
		}
	}
	return nil
}

// stage makes a part of the rows unless an earlier run that kept its database has made it.
func (s *listsSeed) stage(ctx context.Context, name string, fill func(context.Context) error) error {
	var events, accounts int
	err := s.conn.QueryRow(ctx, "SELECT events, accounts FROM bench_stages WHERE name = $1", name).Scan(&events, &accounts)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return err
	case events != s.events || accounts != s.accounts:
		return fault.InvalidField("keep", "bench_other_size", "the kept database has %d events of %d accounts", events, accounts).Fix("Ask for as many, or name another --dir")
	default:
		return nil
	}
	began := monotonic()
	if err := fill(ctx); err != nil {
		return err
	}
	fmt.Fprintf(s.note, "%s: %s\n", name, (monotonic() - began).Round(time.Second))
	_, err = s.conn.Exec(ctx, "INSERT INTO bench_stages VALUES ($1, $2, $3)", name, s.events, s.accounts)
	return err
}

// bulkSession leaves out what triggers and foreign keys check of single rows, as a restore
// does, and waits for no commit; the checkpoint of the end writes all.
const bulkSession = "SET session_replication_role = replica; SET synchronous_commit = off"

// bulk makes the accounts' rows as the product makes them, several accounts at a time.
func (s *listsSeed) bulk(ctx context.Context) error {
	fmt.Fprintf(s.note, "making %d reward events of %d accounts\n", s.events, s.accounts)
	for n := range listsMonths + 1 {
		for _, table := range []string{"reward_events", "stripe_events", "decisions"} {
			if _, err := s.conn.Exec(ctx, "SELECT ensure_month_partition($1, $2)", table, listsBegin.AddDate(0, n, 0)); err != nil {
				return err
			}
		}
	}
	next := make(chan int)
	g, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			conn, err := pgx.Connect(ctx, s.server.URL(benchDatabaseName))
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // its rows are committed
			if _, err := conn.Exec(ctx, bulkSession); err != nil {
				return errors.Join(errors.New("the benchmark needs a server on which it may leave out triggers"), err)
			}
			for i := range next {
				if err := s.account(ctx, conn, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(next)
		for i := range s.accounts {
			select {
			case next <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

// months makes what follows from the accounts.
func (s *listsSeed) months(ctx context.Context) error {
	if _, err := s.conn.Exec(ctx, bulkSession); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		for _, sql := range listsOnce {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%.60s: %w", strings.TrimSpace(sql), err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.note, "vacuuming")
	for _, sql := range []string{"RESET session_replication_role; RESET synchronous_commit", "VACUUM (ANALYZE)", "CHECKPOINT"} { // as a database at rest would be
		if _, err := s.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// agreements makes each account with its connection, contract and the plans of its years.
func (s *listsSeed) agreements(ctx context.Context) error {
	const batch = 100
	for from := 0; from < s.accounts; from += batch {
		err := s.db.Onboarding().Do(ctx, func(ctx context.Context, st onboard.Stores) error {
			for i := from; i < min(from+batch, s.accounts); i++ {
				if err := s.agree(ctx, st, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *listsSeed) agree(ctx context.Context, st onboard.Stores, i int) error {
	id, env, opened := listsAccount(i), listsEnvironment(i), listsBegin.AddDate(0, -1, 0)
	terms := billing.DefaultTerms()
	terms.FirstPeriod, terms.Currency = listsBegin.Format("2006-01"), listsCurrency(i)
	contract, err := billing.NewContract(id, id, env, 1, terms, opened)
	if err != nil {
		return err
	}
	err = errors.Join(
		st.Connections.InsertConnection(ctx, onboard.SealedConnection{Connection: account.Connection{ID: id, Environment: env,
			Roles: account.Roles{Source: true, Issuer: true}, StripeAccountID: "acct_" + id, UserIDKey: "user_id", KeyMask: "none"}, SealedKey: []byte{}, CreatedAt: opened}),
		st.Accounts.InsertAccount(ctx, account.Account{ID: id, Environment: env, Name: "Customer " + id, SourceConnection: id, IssuerConnection: id, PayerCustomer: "cus_payer_" + id}, opened),
		st.Agreements.InsertContract(ctx, contract),
	)
	for year := 0; err == nil && year < listsMonths/12; year++ {
		var first period.Month
		if first, err = period.Parse(listsBegin.AddDate(year, 0, 0).Format("2006-01")); err != nil {
			return err
		}
		plan, planErr := lift.DefaultPlan(lift.PlanTerms{Version: year + 1, First: first, Currency: terms.Currency, Unit: "user", Baseline: "nothing",
			HoldoutProbability: "0.2", SaltCommitment: lift.SaltCommitment([]byte(id)), Features: []string{"tenure"}})
		if planErr != nil {
			return planErr
		}
		sealed, sealErr := plan.Seal(opened)
		if sealErr != nil {
			return sealErr
		}
		err = st.Agreements.InsertPlan(ctx, onboard.StoredPlan{ID: fmt.Sprintf("%s-p%d", id, year+1), AccountID: id, Environment: env, Plan: sealed, SealedSalt: []byte{}})
	}
	return err
}

// account makes the bulk of one account: facts, events, customers and decisions.
func (s *listsSeed) account(ctx context.Context, conn *pgx.Conn, i int) error {
	n := s.shares[i]
	with := strings.NewReplacer(
		"@now", "'"+benchNow.Format(time.RFC3339)+"'::timestamptz", "@id", "'"+listsAccount(i)+"'", "@env", "'"+listsEnvironment(i).String()+"'", "@live", fmt.Sprint(listsEnvironment(i) == account.Live),
		"@currency", "'"+string(listsCurrency(i))+"'", "@events", fmt.Sprint(n), "@customers", fmt.Sprint(max(1, n/10)), "@no", fmt.Sprint(i),
		"@begin", fmt.Sprint(listsBegin.Unix()), "@step", fmt.Sprintf("%.3f", benchNow.Sub(listsBegin).Seconds()/float64(n)),
	)
	for _, sql := range listsPerAccount {
		if _, err := conn.Exec(ctx, with.Replace(sql)); err != nil {
			return fmt.Errorf("%.60s: %w", strings.TrimSpace(sql), err)
		}
	}
	return nil
}

// listsPerAccount makes the rows of one account. A customer has ten facts over the months;
// of twenty facts, twelve are payments.
var listsPerAccount = []string{
	`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, subscription_id, invoice_id, charge_id, amount_minor, currency, effective_at, event_id, detail, recorded_at)
	SELECT @id, @env, kind || ':' || kind || n, kind, true, kind || n, CASE WHEN kind IN ('refund', 'dispute') THEN '' ELSE 'cus_@no_' || c END, 'sub_@no_' || c, 'in_@no_' || n, 'ch_@no_' || n,
		CASE kind WHEN 'revenue_confirmation' THEN 1000 + n::bigint * 7919 % 9000 WHEN 'refund' THEN -(500 + n % 300) WHEN 'dispute' THEN -(500 + n % 300) END,
		CASE WHEN kind IN ('revenue_confirmation', 'refund', 'dispute') THEN @currency ELSE '' END, at, 'evt_@no_' || n, '{"flags": {}}', at + interval '1 minute'
	FROM (SELECT n, n::bigint * 7919 % @customers AS c, to_timestamp(@begin + n * @step) AS at, (ARRAY['payment_failed', 'refund', 'trial_start', 'conversion', 'upgrade', 'churn', 'downgrade', 'dispute'])[CASE WHEN n % 20 > 11 THEN n % 20 - 11 END] AS other
		FROM generate_series(0, @events - 1) n) s, LATERAL (SELECT coalesce(other, 'revenue_confirmation') AS kind) k`,
	`INSERT INTO charge_owners SELECT @id, 'ch_@no_' || n, 'cus_@no_' || n::bigint * 7919 % @customers, 'in_@no_' || n, false FROM generate_series(0, @events - 1) n WHERE n % 20 IN (13, 19)`,
	`INSERT INTO stripe_events (connection_id, environment, event_id, created, type, object_id, api_version, livemode, sealed_body, body_sha256, received_at, source)
	SELECT @id, @env, 'evt_@no_' || n, at, (ARRAY['invoice.paid', 'invoice.created', 'customer.subscription.updated', 'charge.succeeded', 'charge.refunded', 'customer.updated'])[n % 6 + 1], 'in_@no_' || n,
		'2026-06-24', @live, '\x00112233445566778899aabbccddeeff', decode(md5(n::text) || md5(n::text), 'hex'), at + interval '2 seconds', 'webhook'
	FROM (SELECT n, to_timestamp(@begin + n * @step) AS at FROM generate_series(0, @events - 1, 2) n) s`,
	`INSERT INTO event_processing (connection_id, event_id, created, status, reason, processed_at, first_processed_at, attempts)
	SELECT @id, 'evt_@no_' || n, at, status, CASE status WHEN 'dead' THEN 'body_malformed' WHEN 'quarantined' THEN 'mode_mismatch' ELSE '' END,
		CASE WHEN status <> 'pending' THEN at + interval '3 seconds' END, NULL, 1
	FROM (SELECT n, to_timestamp(@begin + n * @step) AS at, CASE WHEN n > @events - 10 THEN 'pending' WHEN n % 5 = 0 THEN 'ignored' WHEN n % 4001 = 0 THEN 'dead' WHEN n % 4003 = 0 THEN 'quarantined' ELSE 'processed' END AS status
		FROM generate_series(0, @events - 1, 2) n) s`,
	`INSERT INTO stripe_customers (connection_id, id, currency, country, created_at, balance_minor, delinquent, has_payment_method, payment_method, undecided, said_rank, said_at, said_later, replaced, read_at, knows, same, simple)
	SELECT @id, 'cus_@no_' || c, @currency, (ARRAY['US', 'DE', 'JP', 'GB'])[c % 4 + 1], to_timestamp(@begin + c * @step * 10), 0, c % 50 = 0, true, 'card', false, 1, @begin, false, 0, 0, 0, 0, true FROM generate_series(0, @customers - 1) c`,
	`INSERT INTO stripe_subscriptions (connection_id, id, customer_id, status, currency, created_at, started_at, trial_end, trial_end_action, cancel_at_term_end, cancel_reason, collection_method, collection_paused, latest_invoice_id,
		has_payment_method, payment_method, price_ids, product_ids, items, discounts, mrr_minor, net_mrr_minor, list_mrr_minor, timeline, points, stands, since, undecided, said_rank, said_at, said_later, replaced, read_at, knows, same, simple)
	SELECT @id, 'sub_@no_' || c, 'cus_@no_' || c, status, @currency, to_timestamp(@begin + c * @step * 10), to_timestamp(@begin + c * @step * 10), CASE WHEN status = 'trialing' THEN @now + interval '3 days' END, '', false, '', 'charge_automatically', '', 'in_@no_' || c,
		true, 'card', ARRAY['price_' || c % 7], ARRAY['prod_' || c % 3], json_build_array(json_build_object('price', 'price_' || c % 7, 'product', 'prod_' || c % 3)), '[]', 4900, 4900, 4900,
		json_build_array(json_build_object('at', (@begin + c * @step * 10)::bigint, 'is', 'active')), 1, status, @begin + (c * @step * 10)::bigint, false, 1, @begin, false, 0, 0, 0, 0, true
	FROM (SELECT c, CASE WHEN c % 40 = 0 THEN 'past_due' WHEN c % 10 = 0 THEN 'canceled' WHEN c % 33 = 0 THEN 'trialing' ELSE 'active' END AS status FROM generate_series(0, @customers - 1) c) s`,
	`INSERT INTO stripe_invoices (connection_id, id, customer_id, subscription_id, charge_id, number, status, currency, billing_reason, collection_method, created_at, finalized_at, paid_at, total_minor, subtotal_minor, amount_due_minor, amount_paid_minor,
		out_of_band_minor, attempts, paid, own, undecided, said_rank, said_at, said_later, replaced, read_at, knows, same, simple)
	SELECT @id, 'in_@no_' || n, 'cus_@no_' || c, 'sub_@no_' || c, 'ch_@no_' || n, 'N-' || n, 'paid', @currency, 'subscription_cycle', 'charge_automatically', at, at, CASE WHEN c % 20 > 0 THEN at END, 4900, 4900, 4900, 4900, 0, 1, true, false, false, 1, @begin, false, 0, 0, 0, 0, true
	FROM (SELECT n, CASE WHEN n < 600 THEN 0 ELSE n % @customers END AS c, to_timestamp(@begin + n * @step) AS at FROM generate_series(0, @events / 10) n) s`,
	`INSERT INTO stripe_charges (connection_id, id, customer_id, invoice_id, status, currency, description, failure_code, payment_method, created_at, amount_minor, amount_refunded_minor, refunded, disputed,
		undecided, said_rank, said_at, said_later, replaced, read_at, knows, same, simple)
	SELECT @id, 'ch_@no_' || n, 'cus_@no_' || CASE WHEN n < 600 THEN 0 ELSE n % @customers END, 'in_@no_' || n, 'succeeded', @currency, '', '', 'card', to_timestamp(@begin + n * @step), 4900, 0, false, n < 120, false, 1, @begin, false, 0, 0, 0, 0, true
	FROM generate_series(0, @events / 10) n`,
	`INSERT INTO stripe_disputes (connection_id, id, charge_id, status, reason, currency, created_at, amount_minor, undecided, said_rank, said_at, said_later, replaced, read_at, knows, same, simple)
	SELECT @id, 'dp_@no_' || n, 'ch_@no_' || n, 'needs_response', 'fraudulent', @currency, to_timestamp(@begin + n * @step), 4900, false, 1, @begin, false, 0, 0, 0, 0, true FROM generate_series(0, 119) n`,
	`INSERT INTO mapping_statements (connection_id, link_id, subject_id, user_id, source, metadata_key, valid_from, event_id, recorded_at)
	SELECT @id, substr(md5('@no-' || c), 1, 26), 'cus_@no_' || c, 'user-' || c, 'metadata', 'user_id', '0001-01-01', 'evt_@no_' || c, to_timestamp(@begin + c * @step * 10) FROM generate_series(0, @customers - 1) c WHERE c % 10 > 0`,
	`INSERT INTO mapping_spans (connection_id, subject_id, valid_from, valid_to, state, user_id, link_id, source)
	SELECT @id, subject_id, '0001-01-01', 'infinity', 'linked', user_id, link_id, 'metadata' FROM mapping_statements WHERE connection_id = @id`,
	`INSERT INTO decision_keys SELECT @id, 'd-@no-' || n FROM generate_series(0, @events / 5) n`,
	`INSERT INTO decisions (account_id, environment, decision_id, unit_id, user_id, snapshot_id, ts, arm, arm_prob, action, baseline_action, eligible_actions, propensity, features, recorded_at)
	SELECT @id, @env, 'd-@no-' || n, 'user-' || n % @customers, 'user-' || n % @customers, 'snap-' || n % 4, to_timestamp(@begin + n * @step * 5), CASE WHEN n % 5 = 0 THEN 'holdout' ELSE 'policy' END, CASE WHEN n % 5 = 0 THEN 0.2 ELSE 0.8 END,
		'nudge', 'none', ARRAY['none', 'nudge'], ARRAY[0.2, 0.8], '{"tenure": 1}', to_timestamp(@begin + n * @step * 5) FROM generate_series(0, @events / 5) n`,
}

// listsOnce makes what follows from the accounts: snapshots, 24 cycles each with its
// readouts, lines and invoice, and what people did.
var listsOnce = []string{
	`CREATE TEMP TABLE months AS SELECT a.id AS account_id, a.environment, row_number() OVER (ORDER BY a.id) AS no, to_char(m, 'YYYY-MM') AS period, m AS starts, m + interval '1 month' AS ends,
		a.id || '.' || to_char(m, 'YYYY-MM') AS cycle_id, a.id || CASE WHEN m < '2025-02-01' THEN '-p1' ELSE '-p2' END AS plan_id, k.terms::jsonb ->> 'currency' AS currency, n AS month
	FROM accounts a JOIN contracts k ON k.account_id = a.id, generate_series(0, 23) n, LATERAL (SELECT '2024-02-01Z'::timestamptz + n * interval '1 month' AS m) t`,
	`INSERT INTO policy_snapshots (account_id, id, environment, name, shipped_at) SELECT a.id, 'snap-' || n, a.environment, 'Offer ' || n, '2024-02-01Z'::timestamptz + n * interval '1 day' FROM accounts a, generate_series(0, 11) n`,
	`INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, reason, watermark, input_digest, paid_minor, stripe_net_minor, opened_at, updated_at)
	SELECT cycle_id, account_id, environment, period, starts, ends, account_id, plan_id,
		CASE WHEN environment = 'test' THEN 'dry_run' WHEN month < 23 AND no % 7 = 0 THEN 'withheld' WHEN month < 23 THEN 'invoiced' WHEN no % 3 = 0 THEN 'awaiting_approval' WHEN no % 3 = 1 THEN 'needs_human' ELSE 'blocked' END,
		'', ends + interval '3 days', 'digest', 1000000, 1000000, ends, ends + interval '3 days' + no * interval '1 second' FROM months`,
	`INSERT INTO all_cycle_buckets (revision, cycle_id, bucket, snapshot_id, currency, amount_minor, events)
	SELECT 1, cycle_id, b, '', currency, 100000, 100 FROM months, unnest(ARRAY['unmapped', 'no_decision', 'before_exposure']) b
	UNION ALL SELECT 1, cycle_id, 'snapshot', 'snap-' || n, currency, 175000, 100 FROM months, generate_series(0, 3) n`,
	`INSERT INTO all_readouts (revision, case_id, cycle_id, environment, account_id, snapshot_id, period, currency, units, holdout_units, observed_minor, lift, counterfactual, se, variance_cr, variance_b, variance_0, interval_low, interval_high,
		bound, z, ess, verdict, headline, explanation, checks, plan_hash, estimator, manifest, build, created_at)
	SELECT 1, substr(md5(cycle_id || n) || md5(n::text), 1, 26), cycle_id, environment, account_id, 'snap-' || n, period, currency, 10000, 2000, 175000, 50000 + no * 31 % 977, 100000, 9000, 1, 1, 1, 30000, 70000,
		31000, '1.96', 5000, v, CASE v WHEN 'withheld' THEN 'LIFT_NOT_PROVEN' ELSE '' END, 'The measured lift is above zero.', (SELECT jsonb_agg(jsonb_build_object('code', 'CHECK_' || i, 'status', 'passed', 'value', '1.25', 'threshold', '2', 'explain', repeat('why it holds ', 6))) FROM generate_series(1, 20) i),
		'hash', 'dr', repeat('m', 2000), '{}', ends FROM months, generate_series(0, 3) n, LATERAL (SELECT CASE WHEN n = 3 OR no % 7 = 0 THEN 'withheld' ELSE 'passed' END AS v) t`,
	`INSERT INTO all_cycle_lines (revision, cycle_id, environment, snapshot_id, case_id, verdict, measured_minor, bound_minor, high_water_from, high_water_to, base_minor, deferred_minor, fee_minor, billed_minor)
	SELECT 1, cycle_id, environment, snapshot_id, case_id, verdict, 50000, 31000, 0, b, b, 0, b / 5, b / 5 FROM readouts, LATERAL (SELECT CASE verdict WHEN 'passed' THEN 50000 ELSE 0 END AS b) t`,
	`INSERT INTO all_invoices (revision, cycle_id, environment, currency, total_minor, plan, plan_hash, created_at, phase)
	SELECT 1, m.cycle_id, m.environment, m.currency, 30000 + m.no * 7919 % 50000, jsonb_build_object('Metadata', jsonb_build_object('lb_account', m.account_id, 'lb_cycle', m.period, 'lb_po_number', 'PO-' || m.no % 97, 'lb_readouts_sha256', md5(m.cycle_id)), 'Lines', '[]'::jsonb)::text, 'hash', m.ends, 'full' FROM months m JOIN cycles c ON c.id = m.cycle_id WHERE c.state <> 'withheld'`,
	`INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part, plan_hash, total_minor, state, invoice_id, number, stripe_status, stripe_total, finalized_at, created_at, updated_at)
	SELECT md5(m.cycle_id), m.cycle_id, 'live', true, m.account_id, m.account_id, 'cus_payer_' || m.account_id, m.currency, m.period, 'main', 'hash', i.total_minor, 'released', 'in_own_' || m.no, 'LB-' || lpad(m.no::text, 8, '0'),
		CASE WHEN m.month > 20 THEN 'open' WHEN m.no % 97 = 0 THEN 'void' ELSE 'paid' END, i.total_minor, m.ends + interval '4 days', m.ends, m.ends
	FROM months m JOIN cycles c ON c.id = m.cycle_id AND c.state = 'invoiced' JOIN invoices i ON i.cycle_id = m.cycle_id`,
	`INSERT INTO writeback_lines SELECT md5(l.cycle_id), l.snapshot_id, 'ii_' || l.case_id, l.billed_minor FROM cycle_lines l JOIN writeback_intents w ON w.cycle_id = l.cycle_id WHERE l.billed_minor > 0`,
	`INSERT INTO writeback_attempts (intent_id, at, operation, outcome, request_id) SELECT w.id, w.created_at, 'create', 'ok', 'req_' || n FROM writeback_intents w, generate_series(1, 12) n`,
	`INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
	SELECT w.cycle_id || '/1', w.cycle_id, 1, 'live', w.plan_hash, w.total_minor, 'approve', 'user', 'user_bench', 'N', 'user_bench', '', w.created_at FROM writeback_intents w`,
	`INSERT INTO corrections (id, cycle_id, environment, number, intent_id, invoice_id, kind, line, amount_minor, reason, state, proposed_by, proposed_at, approved_by, approved_at, stripe_id)
	SELECT w.cycle_id || '/c1', w.cycle_id, 'live', 1, w.id, w.invoice_id, 'credit_after_payment', 'snap-0', 100, 'a user was counted twice', CASE WHEN length(w.number) % 2 = 0 THEN 'done' ELSE 'proposed' END, 'user:a', w.created_at, 'user:b', w.created_at, 'cn_' || w.id
	FROM writeback_intents w WHERE right(w.number, 1) IN ('0', '5')`,
	`INSERT INTO recon_breaks (id, account_id, environment, period, type, subject, severity, line, left_source, left_id, left_minor, left_currency, left_counted, right_source, right_id, right_minor, right_currency, right_counted, amount_minor, currency, customer_id,
		detail, target_connection, target_object, target_id, state, owner, reason, first_seen, last_seen, fingerprint, requested_by, requested_person, forced_by, forced_person, updated_at)
	SELECT substr(md5(cycle_id || 'b' || n), 1, 26), account_id, environment, period, 'amount_differs', 'in_' || no || '_' || n, CASE WHEN n = 0 THEN 'error' ELSE 'warning' END, 'revenue', 'ledger', 'in_' || no || '_' || n, 500, currency, 500, 'stripe', 'in_' || no || '_' || n, 400, currency, 400,
		100 + no % 900, currency, 'cus_' || no, 'amounts differ', account_id, 'invoice', 'in_1', CASE WHEN month > 21 THEN 'open' ELSE 'gone' END, '', '', ends + no * interval '1 second', ends, 'f', '', '', '', '', ends FROM months, generate_series(0, 3) n`,
	`INSERT INTO cycle_revisions (cycle_id, environment, revision, decision_id, reason, actor, at, previous_state, previous_reason, previous_watermark, previous_input_digest)
	SELECT cycle_id, environment, 2, cycle_id || '/0', 'late events', 'user:a', ends + interval '2 days', 'awaiting_approval', '', ends + interval '1 day', 'digest' FROM months WHERE month = 16`,
	`UPDATE all_readouts x SET revision = 2 FROM months m WHERE m.month = 16 AND m.cycle_id = x.cycle_id`,
	`UPDATE all_cycle_lines x SET revision = 2 FROM months m WHERE m.month = 16 AND m.cycle_id = x.cycle_id`,
	`UPDATE all_cycle_buckets x SET revision = 2 FROM months m WHERE m.month = 16 AND m.cycle_id = x.cycle_id`,
	`UPDATE all_invoices x SET revision = 2 FROM months m WHERE m.month = 16 AND m.cycle_id = x.cycle_id`,
	`UPDATE cycles c SET revision = 2 FROM months m WHERE m.month = 16 AND m.cycle_id = c.id`,
	`INSERT INTO true_ups (id, account_id, environment, settlement_cycle, booking_cycle, number, watermark, state, fees_settled, fees_measured, booked_before, due_minor, recorded_at)
	SELECT account_id || '/' || month, account_id, environment, account_id || '.2025-01', cycle_id, month - 11, ends, CASE WHEN month = 23 THEN 'proposed' ELSE 'booked' END, 100000, 99000, 0, -1000, ends + no * interval '1 second' FROM months WHERE month > 11`,
	`INSERT INTO true_up_lines (true_up_id, origin_cycle, snapshot_id, cause, facts, happened_at, revenue_minor, lift_minor, amount_minor, adjustment_id)
	SELECT m.account_id || '/' || m.month, o.cycle_id, 'snap-' || n, c, 3, m.starts, -2000, -500, -100, CASE WHEN n = 0 THEN md5(m.cycle_id || o.cycle_id || c) ELSE '' END
	FROM months m JOIN months o ON o.account_id = m.account_id AND o.month < 6, generate_series(0, 1) n, unnest(ARRAY['refund', 'dispute']) c WHERE m.month > 11`,
	`INSERT INTO accruals (account_id, environment, period, as_of, run, period_start, period_end, time_zone, contract_id, computed_by, over, currency, phase, held, low_performance, low_fixed, low_balance,
		expected_performance, expected_fixed, expected_balance, high, lines, waits_for, input_digest, digest)
	SELECT account_id, environment, period, starts + d * interval '6 days' + no * interval '1 second', 'night/' || d, starts, ends, 'UTC', account_id, 'system:accruals', false, currency, 'full', '', 20000, 0, 0, 30000, 0, 0, 60000,
		(SELECT jsonb_agg(jsonb_build_object('snapshot_id', 'snap-' || n, 'minor', 7500)) FROM generate_series(0, 3) n), '[]', 'd', 'd' FROM months, generate_series(1, 4) d`,
	`INSERT INTO accrual_newest SELECT account_id, period, min(environment), max(as_of) FROM accruals GROUP BY account_id, period`,
	`INSERT INTO notifications (id, kind, environment, account_id, period, cycle_id, role, title, detail, next_action, path, opened_at, settled_at)
	SELECT 'approval_waiting|' || cycle_id || '|' || role, 'approval_waiting', environment, account_id, period, cycle_id, role, 'An invoice waits', 'Its lines are ready.', 'Decide it.', '/cycles/' || cycle_id, ends + no * interval '1 second', CASE WHEN month < 22 THEN ends + interval '2 days' END
	FROM months, unnest(ARRAY['finance', 'approver']) role`,
	`INSERT INTO notification_deliveries (notification_id, episode, channel, attempts, next_at, delivered_at) SELECT id, 1, 'mail', 1, opened_at, opened_at FROM notifications`,
	`INSERT INTO month_closes (account_id, environment, period, action, run_id, actor, person, reason, at) SELECT account_id, environment, period, 'closed', no, 'user:a', 'a', '', ends + interval '6 days' FROM months WHERE month < 20`,
	`INSERT INTO mapping_spans (connection_id, subject_id, valid_from, valid_to, state, user_id, link_id, source)
	SELECT a.source_connection, 'cus_' || n || '_conflict', '0001-01-01', 'infinity', 'conflict', '', md5(a.id || n), 'metadata' FROM accounts a, generate_series(1, 40) n`,
	`INSERT INTO event_replays (account_id, period, equal, report, run_by, run_at) SELECT account_id, period, true, jsonb_build_object('account_id', account_id, 'period', period, 'run_by', 'ada', 'equal', true), 'ada', ends FROM months WHERE month % 6 = 0`,
	`INSERT INTO audit_log (chain, seq, at, actor_kind, actor_id, actor_name, person, action, outcome, object, object_id, account_id, environment, request_id, reason, before, after, previous, hash)
	SELECT environment, row_number() OVER (PARTITION BY environment ORDER BY month, no, n), starts + n * interval '1 hour', 'user', 'user_' || no % 40, 'Ada', 'user_' || no % 40,
		(ARRAY['cycle.started', 'break.assigned', 'data.exported', 'cycle.approved'])[n % 4 + 1], CASE WHEN n % 9 = 0 THEN 'refused' ELSE 'done' END, (ARRAY['cycle', 'break', 'route', 'cycle'])[n % 4 + 1], cycle_id, account_id, environment, 'req', '', '', '{"state":"open"}',
		decode(md5('p') || md5('p'), 'hex'), decode(md5(cycle_id || n) || md5('h'), 'hex') FROM months, generate_series(0, 19) n`,
	`INSERT INTO connection_log (connection_id, action, detail, done_by, done_at) SELECT id, 'resumed', '', 'ada', created_at FROM connections, generate_series(1, 200) n`,
	`INSERT INTO api_tokens (id, environment, name, roles, accounts, secret_hash, created_at, created_by_kind, created_by, created_by_name, created_by_person)
	SELECT substr(md5(n::text), 1, 12), 'live', 'token ' || n, '{viewer}', '{}', decode(md5(n::text) || md5(n::text), 'hex'), '2025-01-01Z', 'user', 'user_1', 'Ada', 'user_1' FROM generate_series(1, 300) n`,
	`INSERT INTO users (id, email, name, roles, all_accounts, accounts, environments, created_at) SELECT 'user_' || n, 'n' || n || '@example.com', 'N ' || n, '{viewer}', true, '{}', '{live,test}', '2025-01-01Z' FROM generate_series(1, 200) n`,
}
