package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
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
	if err := s.agreements(ctx); err != nil {
		return err
	}
	// Rows are made as the product makes them, but in bulk: what triggers and foreign keys
	// check of single rows is left out, as by a restore.
	if _, err := s.conn.Exec(ctx, "SET session_replication_role = replica"); err != nil {
		return errors.Join(errors.New("the benchmark needs a server on which it may leave out triggers"), err)
	}
	for n := range listsMonths + 1 {
		for _, table := range []string{"reward_events", "stripe_events", "decisions"} {
			if _, err := s.conn.Exec(ctx, "SELECT ensure_month_partition($1, $2)", table, listsBegin.AddDate(0, n, 0)); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(s.note, "making %d reward events of %d accounts\n", s.events, s.accounts)
	for i := range s.accounts {
		if err := s.account(ctx, i); err != nil {
			return err
		}
	}
	for _, sql := range listsOnce {
		if _, err := s.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%.60s: %w", strings.TrimSpace(sql), err)
		}
	}
	fmt.Fprintln(s.note, "vacuuming")
	for _, sql := range []string{"SET session_replication_role = DEFAULT", "VACUUM (ANALYZE)", "CHECKPOINT"} { // as a database at rest would be
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
func (s *listsSeed) account(ctx context.Context, i int) error {
	n := s.shares[i]
	with := strings.NewReplacer(
		"@now", "'"+benchNow.Format(time.RFC3339)+"'::timestamptz", "@id", "'"+listsAccount(i)+"'", "@env", "'"+listsEnvironment(i).String()+"'", "@live", fmt.Sprint(listsEnvironment(i) == account.Live),
		"@currency", "'"+string(listsCurrency(i))+"'", "@events", fmt.Sprint(n), "@customers", fmt.Sprint(max(1, n/10)), "@no", fmt.Sprint(i),
		"@begin", fmt.Sprint(listsBegin.Unix()), "@step", fmt.Sprintf("%.3f", benchNow.Sub(listsBegin).Seconds()/float64(n)),
	)
	for _, sql := range listsPerAccount {
		if _, err := s.conn.Exec(ctx, with.Replace(sql)); err != nil {
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
		CASE kind WHEN 'revenue_confirmation' THEN 1000 + n * 7919 % 9000 WHEN 'refund' THEN -(500 + n % 300) WHEN 'dispute' THEN -(500 + n % 300) END,
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
	`INSERT INTO cycle_buckets (cycle_id, bucket, snapshot_id, currency, amount_minor, events)
	SELECT cycle_id, b, '', currency, 100000, 100 FROM months, unnest(ARRAY['unmapped', 'no_decision', 'before_exposure']) b
	UNION ALL SELECT cycle_id, 'snapshot', 'snap-' || n, currency, 175000, 100 FROM months, generate_series(0, 3) n`,
	`INSERT INTO readouts (case_id, cycle_id, environment, account_id, snapshot_id, period, currency, units, holdout_units, observed_minor, lift, counterfactual, se, variance_cr, variance_b, variance_0, interval_low, interval_high,
		bound, z, ess, verdict, headline, explanation, checks, plan_hash, estimator, manifest, build, created_at)
	SELECT substr(md5(cycle_id || n) || md5(n::text), 1, 26), cycle_id, environment, account_id, 'snap-' || n, period, currency, 10000, 2000, 175000, 50000 + no * 31 % 977, 100000, 9000, 1, 1, 1, 30000, 70000,
		31000, '1.96', 5000, v, CASE v WHEN 'withheld' THEN 'LIFT_NOT_PROVEN' ELSE '' END, 'The measured lift is above zero.', (SELECT jsonb_agg(jsonb_build_object('code', 'CHECK_' || i, 'status', 'passed', 'value', '1.25', 'threshold', '2', 'explain', repeat('why it holds ', 6))) FROM generate_series(1, 20) i),
		'hash', 'dr', repeat('m', 2000), '{}', ends FROM months, generate_series(0, 3) n, LATERAL (SELECT CASE WHEN n = 3 OR no % 7 = 0 THEN 'withheld' ELSE 'passed' END AS v) t`,
	`INSERT INTO cycle_lines (cycle_id, environment, snapshot_id, case_id, verdict, measured_minor, bound_minor, high_water_from, high_water_to, base_minor, deferred_minor, fee_minor, billed_minor)
	SELECT cycle_id, environment, snapshot_id, case_id, verdict, 50000, 31000, 0, b, b, 0, b / 5, b / 5 FROM readouts, LATERAL (SELECT CASE verdict WHEN 'passed' THEN 50000 ELSE 0 END AS b) t`,
	`INSERT INTO invoices (cycle_id, environment, currency, total_minor, plan, plan_hash, created_at, phase)
	SELECT m.cycle_id, m.environment, m.currency, 30000 + m.no * 7919 % 50000, '{}', 'hash', m.ends, 'full' FROM months m JOIN cycles c ON c.id = m.cycle_id WHERE c.state <> 'withheld'`,
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
