package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/recon"
)

// inner loads the facts of our own side, part by part.
type inner struct {
	tx       *gorm.DB
	sc       reconcile.Scope
	in       *recon.Internals
	compared reconcile.Compared
	// cycle is empty when the period has none.
	cycle struct {
		ID, State string
		Watermark *time.Time
		PaidMinor *int64
	}
}

// Internals are the facts of our own side.
func (r *Recon) Internals(ctx context.Context, sc reconcile.Scope, c reconcile.Compared) (recon.Internals, error) {
	var out recon.Internals
	err := r.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for _, set := range reconPlanner {
			if err := tx.Exec(set).Error; err != nil {
				return err
			}
		}
		w := &inner{tx: tx, sc: sc, in: &out, compared: c}
		if err := tx.Raw(`SELECT id, state, watermark, paid_minor FROM cycles WHERE account_id = ? AND period = ?`, sc.Account.ID, sc.Period.String()).Scan(&w.cycle).Error; err != nil {
			return err
		}
		out.CycleID = billing.CycleID(sc.Account.ID, sc.Period)
		out.Foreign = foreign(sc.Currency, c)
		for _, load := range []func(context.Context) error{w.expected, w.unmapped, w.buckets, w.decisions, w.returned, w.disputed, w.leaked, w.digests, w.replayed} {
			if err := load(ctx); err != nil {
				return err
			}
		}
		if c.Late > 0 || len(out.Returned) > 0 {
			return w.late(ctx)
		}
		return nil
	})
	return out, wrap(err)
}

// foreign is the revenue in other currencies, but for what only we have in that currency:
// that is a break of its own.
func foreign(currency string, c reconcile.Compared) []recon.Money {
	wrong := map[string]recon.Money{}
	for _, p := range c.Pairs {
		if p.Kind == recon.Payment && p.Ours != nil && p.Theirs != nil && p.Ours.Currency != p.Theirs.Currency && p.Ours.CountedMinor != 0 {
			w := wrong[p.Ours.Currency]
			w.AmountMinor, w.Facts = w.AmountMinor+p.Ours.CountedMinor, w.Facts+1
			wrong[p.Ours.Currency] = w
		}
	}
	var out []recon.Money
	for _, f := range c.Facts {
		w := wrong[f.Currency]
		if f.AmountMinor, f.Facts = f.AmountMinor-w.AmountMinor, f.Facts-w.Facts; f.Currency != currency && f.Facts > 0 {
			out = append(out, f)
		}
	}
	return out
}

// expected is when the cycle should have been finished.
func (w *inner) expected(ctx context.Context) error {
	w.in.CycleState = w.cycle.State
	w.in.Finished = billing.CycleState(w.cycle.State).Terminal()
	c, err := contractAt(ctx, w.tx, w.sc.Account.ID, w.sc.Period)
	if err != nil {
		return err
	}
	var days *int
	err = w.tx.Raw(`SELECT (plan::json ->> 'attribution_days')::int FROM measurement_plans WHERE account_id = ? ORDER BY version DESC LIMIT 1`, w.sc.Account.ID).Scan(&days).Error
	if err != nil || days == nil {
		return err // without a plan nothing is due
	}
	w.in.Due, err = c.SettledAt(w.sc.Period, *days)
	return err
}

// unmapped sums the revenue of customers who are nobody's. Most customers are somebody's
// for the whole period; only stretches with others are looked into.
func (w *inner) unmapped(context.Context) error {
	if len(w.compared.Doubtful) == 0 {
		return nil
	}
	in, source := w.sc.Interval, w.sc.Account.SourceConnection
	return w.tx.Raw(fmt.Sprintf(`
		WITH facts AS MATERIALIZED (
			SELECT `+factColumns+`, r.amount_minor, r.currency FROM unnest(?::timestamptz[]) starts
			JOIN reward_events r ON r.effective_at >= starts AND r.effective_at < starts + interval '%d seconds'`+factJoins+`
			WHERE r.connection_id = ? AND r.kind = 'revenue_confirmation' AND r.effective_at >= ? AND r.effective_at < ?)
		SELECT f.customer_id || '/' || f.currency AS id, f.customer_id, f.currency, sum(f.amount_minor)::bigint AS amount_minor, count(*) AS facts
		FROM facts f`+ownerJoins+` WHERE NOT f.own_invoice AND `+ownerUser+` = '' GROUP BY f.customer_id, f.currency ORDER BY 1`, reconBucketSeconds),
		timesArray(w.compared.Doubtful), source, in.Start, in.End).Scan(&w.in.Unmapped).Error
}

// timesArray is an array of instants as PostgreSQL reads it.
func timesArray(all []time.Time) string {
	texts := make([]string, len(all))
	for i, t := range all {
		texts[i] = t.UTC().Format(time.RFC3339)
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// buckets is the frozen revenue of users without a decision: of the contract year so
// far, as the cycle has it.
func (w *inner) buckets(context.Context) error {
	return w.tx.Raw(`SELECT currency AS id, currency, sum(amount_minor)::bigint AS amount_minor, sum(events)::bigint AS facts FROM cycle_buckets
		WHERE cycle_id = ? AND bucket = 'no_decision' GROUP BY currency ORDER BY 1`, w.cycle.ID).Scan(&w.in.NoDecision).Error
}

// decisions counts those whose probabilities nobody can divide by.
func (w *inner) decisions(context.Context) error {
	return w.tx.Raw(`SELECT count(*) FROM decisions d WHERE d.account_id = ? AND d.ts >= ? AND d.ts < ?
		AND NOT coalesce(d.propensity[array_position(d.eligible_actions, d.action)] > 0 AND d.propensity[array_position(d.eligible_actions, d.action)] <= 1, false)`,
		w.sc.Account.ID, w.sc.Interval.Start, w.sc.Interval.End).Scan(&w.in.BadDecisions).Error
}

// returnsOf are facts r of money that went back from a payment p of the period.
const returnsOf = `
	FROM reward_events r` + factJoins + `
	WHERE r.connection_id = ? AND r.kind IN ('refund', 'dispute', 'dispute_won', 'dispute_lost') AND r.effective_at >= ? AND r.amount_minor <> 0
		AND NOT coalesce(o.own_invoice, false) AND p.effective_at >= ? AND p.effective_at < ?`

// returned is money of an invoiced period that went back after it was frozen. Undecided
// disputes are not returned yet.
func (w *inner) returned(context.Context) error {
	if w.cycle.Watermark == nil || billing.CycleState(w.cycle.State) != billing.Invoiced {
		return nil
	}
	return w.tx.Raw(`SELECT r.fact_key AS id, coalesce(nullif(r.customer_id, ''), o.customer_id, '') AS customer_id, r.currency, r.amount_minor, 1 AS facts`+returnsOf+`
		AND r.recorded_at > ? AND (r.kind = 'refund' OR EXISTS (SELECT 1 FROM reward_events d WHERE d.connection_id = r.connection_id AND d.kind IN ('dispute_won', 'dispute_lost')
			AND d.effective_at >= ? AND d.object_id = r.object_id)) ORDER BY 1`,
		w.sc.Account.SourceConnection, w.sc.Interval.Start, w.sc.Interval.Start, w.sc.Interval.End, *w.cycle.Watermark, w.sc.Interval.Start).Scan(&w.in.Returned).Error
}

// disputed are the disputes about payments of the period that are not decided.
func (w *inner) disputed(context.Context) error {
	return w.tx.Raw(`SELECT r.object_id AS id, coalesce(nullif(r.customer_id, ''), o.customer_id, '') AS customer_id, r.currency, r.amount_minor, 1 AS facts`+returnsOf+`
		AND r.kind = 'dispute' AND NOT EXISTS (SELECT 1 FROM reward_events d WHERE d.connection_id = r.connection_id AND d.kind IN ('dispute_won', 'dispute_lost')
			AND d.effective_at >= ? AND d.object_id = r.object_id) ORDER BY 1`,
		w.sc.Account.SourceConnection, w.sc.Interval.Start, w.sc.Interval.Start, w.sc.Interval.End, w.sc.Interval.Start).Scan(&w.in.Disputed).Error
}

// late are the facts of the frozen period that were recorded later, without those that
// have a break of their own.
func (w *inner) late(context.Context) error {
	if w.cycle.Watermark == nil {
		return nil
	}
	known := []string{""}
	for _, m := range w.in.Returned {
		known = append(known, m.ID)
	}
	disputes := []string{""}
	for _, m := range w.in.Disputed {
		disputes = append(disputes, m.ID)
	}
	return w.tx.Raw(`SELECT r.fact_key AS id, coalesce(nullif(r.customer_id, ''), o.customer_id, '') AS customer_id, r.currency, r.amount_minor, 1 AS facts
		FROM reward_events r LEFT JOIN charge_owners o ON o.connection_id = r.connection_id AND o.charge_id = r.charge_id AND r.charge_id <> ''
		WHERE r.connection_id = ? AND r.kind IN ? AND r.amount_minor <> 0 AND r.effective_at >= ? AND r.effective_at < ? AND r.recorded_at > ?
			AND NOT coalesce(o.own_invoice, false) AND r.fact_key NOT IN ? AND r.object_id NOT IN ? ORDER BY 1`,
		w.sc.Account.SourceConnection, moneyKinds(), w.sc.Interval.Start, w.sc.Interval.End, *w.cycle.Watermark, known, disputes).Scan(&w.in.Late).Error
}

// leaked are objects of the other mode that were sent to the source in the period.
func (w *inner) leaked(context.Context) error {
	return w.tx.Raw(`SELECT coalesce(nullif(e.object_id, ''), e.event_id) AS id, count(*) AS facts FROM event_processing p
		JOIN stripe_events e ON e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created
		WHERE p.connection_id = ? AND p.status IN ('dead', 'quarantined') AND p.reason = ? AND e.created >= ? AND e.created < ? GROUP BY 1 ORDER BY 1`,
		w.sc.Account.SourceConnection, ingest.ReasonModeMismatch, w.sc.Interval.Start, w.sc.Interval.End).Scan(&w.in.Leaked).Error
}

// replayed is how the newest replay of the period ended.
func (w *inner) replayed(context.Context) error {
	var rows []struct {
		RunAt time.Time
		Equal bool
	}
	err := w.tx.Raw(`SELECT run_at, equal FROM event_replays WHERE account_id = ? AND period = ? ORDER BY seq DESC LIMIT 1`, w.sc.Account.ID, w.sc.Period.String()).Scan(&rows).Error
	if err == nil && len(rows) > 0 {
		w.in.Replay = &recon.Replay{At: rows[0].RunAt.UTC(), Equal: rows[0].Equal}
	}
	return err
}

// digests computes the digest of everything that the period rests on once more.
func (w *inner) digests(ctx context.Context) error {
	account := w.sc.Account.ID
	for _, part := range []struct {
		what, sql string
		args      []any
		digest    func(doc string) (string, error)
	}{
		{"contract", `SELECT id, terms AS doc, terms_hash AS stored FROM contracts WHERE account_id = ?`, []any{account}, textDigest},
		{"plan", `SELECT id, plan AS doc, plan_hash AS stored FROM measurement_plans WHERE account_id = ?`, []any{account}, textDigest},
		{"readout", `SELECT snapshot_id AS id, manifest AS doc, case_id AS stored FROM readouts WHERE cycle_id = ?`, []any{w.cycle.ID}, func(doc string) (string, error) { return lift.CaseIDOf([]byte(doc)), nil }},
		{"invoice", `SELECT cycle_id AS id, plan AS doc, plan_hash AS stored FROM invoices WHERE cycle_id = ?`, []any{w.cycle.ID}, func(doc string) (string, error) {
			var p billing.InvoicePlan
			err := json.Unmarshal([]byte(doc), &p)
			return p.Hash(), err
		}},
	} {
		var rows []struct{ ID, Doc, Stored string }
		if err := w.tx.Raw(part.sql, part.args...).Scan(&rows).Error; err != nil {
			return err
		}
		for _, row := range rows {
			got, err := part.digest(row.Doc)
			if err != nil {
				got = "unreadable"
			}
			w.in.Digests = append(w.in.Digests, recon.Digest{What: part.what, ID: row.ID, Stored: row.Stored, Computed: got})
		}
	}
	return w.frozen(ctx)
}

func textDigest(doc string) (string, error) { return lift.Digest256([]byte(doc)), nil }

// frozen compares the facts of a frozen year with the buckets into which its cycle put
// every cent of them.
func (w *inner) frozen(ctx context.Context) error {
	if w.cycle.Watermark == nil {
		return nil
	}
	c, err := contractAt(ctx, w.tx, w.sc.Account.ID, w.sc.Period)
	if err != nil {
		return err
	}
	zone, err := c.Zone()
	if err != nil {
		return err
	}
	first, err := c.YearStart(w.sc.Period)
	if err != nil {
		return err
	}
	d := recon.Digest{What: "revenue", ID: w.in.CycleID}
	stored, err := w.sums(`SELECT currency, sum(amount_minor)::bigint AS amount_minor, sum(events)::bigint AS facts FROM cycle_buckets WHERE cycle_id = ? GROUP BY 1`, w.cycle.ID)
	if err != nil {
		return err
	}
	d.Stored = totals(stored)
	// The comparison has read the period's payments already: what is left are those of the
	// year's earlier months, and the year's returns, which have an index of their own.
	begin, end := first.In(zone).Start, w.sc.Period.In(zone).End
	earlier, err := w.sums(`SELECT currency, sum(amount_minor)::bigint AS amount_minor, count(*) AS facts FROM reward_events
		WHERE connection_id = ? AND kind = 'revenue_confirmation' AND amount_minor <> 0 AND NOT historic AND effective_at >= ? AND effective_at < ? AND recorded_at <= ? GROUP BY 1`,
		w.sc.Account.SourceConnection, begin, w.sc.Interval.Start, *w.cycle.Watermark)
	if err != nil {
		return err
	}
	returns, err := w.sums(`SELECT currency, sum(amount_minor)::bigint AS amount_minor, count(*) AS facts FROM reward_events
		WHERE connection_id = ? AND kind IN ('refund', 'dispute', 'dispute_won', 'dispute_lost') AND amount_minor <> 0 AND NOT historic AND effective_at >= ? AND effective_at < ? AND recorded_at <= ? GROUP BY 1`,
		w.sc.Account.SourceConnection, begin, end, *w.cycle.Watermark)
	d.Computed = totals(w.compared.Frozen, earlier, returns)
	w.in.Digests = append(w.in.Digests, d)
	return err
}

func (w *inner) sums(sql string, args ...any) ([]recon.Money, error) {
	var rows []recon.Money
	err := w.tx.Raw(sql, args...).Scan(&rows).Error
	return rows, err
}

// totals writes sums by currency as a text that can be compared.
func totals(parts ...[]recon.Money) string {
	minor, facts := map[string]int64{}, map[string]int64{}
	for _, part := range parts {
		for _, m := range part {
			minor[m.Currency], facts[m.Currency] = minor[m.Currency]+m.AmountMinor, facts[m.Currency]+m.Facts
		}
	}
	var out []string
	for _, c := range slices.Sorted(maps.Keys(facts)) {
		if facts[c] != 0 {
			out = append(out, fmt.Sprintf("%d %s in %d", minor[c], c, facts[c]))
		}
	}
	return strings.Join(out, ", ")
}
