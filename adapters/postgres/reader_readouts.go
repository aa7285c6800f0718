package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// environmentOf reads a stored environment; the tables hold no other value.
func environmentOf(s string) account.Environment { return account.Environment(s) }

type readoutRow struct {
	CaseID, PreviousCaseID, CycleID, AccountID, AccountName, Environment, SnapshotID, SnapshotName, Period, Currency string
	Units, HoldoutUnits, ObservedMinor                                                                               int64
	Lift, Counterfactual, SE, VarianceCR, VarianceB, Variance0, IntervalLow, IntervalHigh, Bound, ESS                float64
	Z, Verdict, Headline, Explanation, Checks, PlanHash, Estimator, InputDigest, Manifest                            string
	Watermark                                                                                                        time.Time
	BaseMinor, FeeMinor                                                                                              int64
	Billed, Superseded                                                                                               bool
	Revision                                                                                                         int
}

// readoutSelect selects readouts of every revision: a case ID that somebody was given leads to
// its readout for ever, and the readout says that another one took its place.
const readoutSelect = `
	SELECT r.case_id, r.previous_case_id, r.cycle_id, r.account_id, a.name AS account_name, r.environment, r.snapshot_id,
		coalesce(s.name, 'All snapshots together') AS snapshot_name, r.period, r.currency, r.units, r.holdout_units, r.observed_minor,
		r.lift, r.counterfactual, r.se, r.variance_cr AS variance_cr, r.variance_b AS variance_b, r.variance_0 AS variance0,
		r.interval_low, r.interval_high, r.bound, r.ess, r.z, r.verdict, r.headline, r.explanation, r.checks::text AS checks, r.plan_hash,
		r.estimator, r.manifest, coalesce(v.previous_input_digest, c.input_digest) AS input_digest, coalesce(v.previous_watermark, c.watermark) AS watermark,
		r.revision, r.revision <> c.revision AS superseded, coalesce(l.base_minor, 0) AS base_minor, coalesce(l.fee_minor, 0) AS fee_minor,
		coalesce(l.fee_minor > 0 AND i.phase <> 'shadow', false) AS billed
	FROM all_readouts r JOIN accounts a ON a.id = r.account_id JOIN cycles c ON c.id = r.cycle_id
	LEFT JOIN cycle_revisions v ON v.cycle_id = r.cycle_id AND v.revision = r.revision + 1
	LEFT JOIN policy_snapshots s ON s.account_id = r.account_id AND s.id = r.snapshot_id
	LEFT JOIN all_cycle_lines l ON l.cycle_id = r.cycle_id AND l.revision = r.revision AND l.snapshot_id = r.snapshot_id
	LEFT JOIN all_invoices i ON i.cycle_id = r.cycle_id AND i.revision = r.revision`

func (r readoutRow) view() (reconcile.Readout, error) {
	v := reconcile.Readout{
		CaseID: r.CaseID, PreviousCaseID: r.PreviousCaseID, CycleID: r.CycleID, AccountID: r.AccountID, AccountName: r.AccountName,
		Environment: environmentOf(r.Environment), SnapshotID: r.SnapshotID, SnapshotName: r.SnapshotName, Period: r.Period, Currency: r.Currency,
		Units: r.Units, HoldoutUnits: r.HoldoutUnits, ObservedMinor: r.ObservedMinor, Lift: r.Lift, Counterfactual: r.Counterfactual, SE: r.SE,
		VarianceCR: r.VarianceCR, VarianceB: r.VarianceB, Variance0: r.Variance0, IntervalLow: r.IntervalLow, IntervalHigh: r.IntervalHigh,
		Bound: r.Bound, Z: r.Z, ESS: r.ESS, Verdict: r.Verdict, HeadlineCode: r.Headline, Explanation: r.Explanation, PlanHash: r.PlanHash,
		Estimator: r.Estimator, InputDigest: r.InputDigest, Watermark: r.Watermark.UTC(), Manifest: r.Manifest,
		Billed: r.Billed && !r.Superseded, BaseMinor: r.BaseMinor, FeeMinor: r.FeeMinor, Revision: r.Revision, Superseded: r.Superseded,
	}
	var checks []lift.Check
	if err := json.Unmarshal([]byte(r.Checks), &checks); err != nil {
		return v, fault.Wrap(err, fault.Internal, "checks_unreadable", "the checks of case %s cannot be read", r.CaseID)
	}
	for _, c := range checks {
		v.Checks = append(v.Checks, reconcile.Check{Code: string(c.Code), Status: string(c.Status), Value: c.Value, Threshold: c.Threshold, Explain: c.Explain})
	}
	return v, nil
}

// Readout loads one readout by its case ID.
func (r *Reader) Readout(ctx context.Context, caseID string) (reconcile.Readout, error) {
	var row readoutRow
	if err := r.db.gorm.WithContext(ctx).Raw(readoutSelect+" WHERE r.case_id = ?", caseID).Scan(&row).Error; err != nil {
		return reconcile.Readout{}, wrap(err)
	}
	if row.CaseID == "" {
		return reconcile.Readout{}, fault.New(fault.NotFound, "readout_not_found", "there is no readout with the case ID %q", caseID)
	}
	v, err := row.view()
	if err != nil {
		return v, err
	}
	v.Revisions, err = revisionsOf(r.db.gorm.WithContext(ctx), v.CycleID)
	return v, wrap(err)
}

// Readouts pages by (period, snapshot), newest period first.
func (r *Reader) Readouts(ctx context.Context, accountID string, f reconcile.CyclesFilter) (reconcile.Page[reconcile.Readout], error) {
	if err := r.exists(ctx, accountID); err != nil {
		return reconcile.Page[reconcile.Readout]{}, err
	}
	q := where{}
	q.add("r.account_id = ?", accountID) // the cursor's key is unique within an account only
	q.add("r.revision = c.revision")
	q.eq("r.period", f.Period)
	var page reconcile.Page[reconcile.Readout]
	if err := q.after(f.Cursor, "(r.period, r.snapshot_id) < (?, ?)"); err != nil {
		return page, err
	}
	var rows []readoutRow
	err := r.db.gorm.WithContext(ctx).Raw(readoutSelect+q.sql()+" ORDER BY r.period DESC, r.snapshot_id DESC LIMIT ?", append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return page, wrap(err)
	}
	return pageOf(rows, f.Limit, readoutRow.view, func(last readoutRow) string { return cursor(last.Period, last.SnapshotID) })
}

// RewardEvents pages by (effective_at, fact_key), newest first.
func (r *Reader) RewardEvents(ctx context.Context, f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error) {
	if err := r.exists(ctx, f.AccountID); err != nil {
		return reconcile.Page[reconcile.RewardEvent]{}, err
	}
	q := where{}
	q.add("e.connection_id = (SELECT source_connection FROM accounts WHERE id = ?)", f.AccountID)
	q.eq("e.kind", f.Kind)
	if f.Period != "" {
		in, err := r.interval(ctx, f.AccountID, f.Period)
		if err != nil {
			return reconcile.Page[reconcile.RewardEvent]{}, err
		}
		q.add("e.effective_at >= ? AND e.effective_at < ?", in.Start, in.End)
	}
	switch f.Mapped {
	case "yes":
		q.add(ownerUser + " <> ''")
	case "no":
		q.add(ownerUser + " = ''")
	}
	if f.Search != "" {
		q.add("? IN (f.customer_id, e.subscription_id, e.invoice_id, e.charge_id, e.event_id, e.object_id, e.fact_key, "+ownerUser+")", f.Search)
	}
	var page reconcile.Page[reconcile.RewardEvent]
	if f.Cursor != "" {
		at, _, err := parseCursor(f.Cursor)
		if err == nil {
			_, err = time.Parse(time.RFC3339Nano, at)
		}
		if err != nil {
			return page, badCursor(f.Cursor)
		}
	}
	if err := q.after(f.Cursor, "(e.effective_at, e.fact_key) < (?::timestamptz, ?)"); err != nil {
		return page, err
	}
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT e.connection_id, e.fact_key, e.kind, e.is_reward, f.customer_id, `+ownerUser+` AS user_id, `+ownerSource+` AS mapped_by, `+ownerState+` AS link_state,
			e.subscription_id, e.invoice_id, e.charge_id, e.amount_minor, e.currency, e.effective_at, e.event_id, f.own_invoice,
			e.historic, coalesce((e.detail -> 'flags' ->> 'inferred')::boolean, false) AS inferred
		FROM reward_events e CROSS JOIN LATERAL (SELECT `+factColumns+` FROM (SELECT e.*) r`+factJoins+`) f`+ownerJoins+
		q.sql()+` ORDER BY e.effective_at DESC, e.fact_key DESC LIMIT ?`, append(q.args, f.Limit+1)...).Scan(&page.Items).Error
	if err != nil {
		return page, wrap(err)
	}
	if len(page.Items) > f.Limit {
		page.Items = page.Items[:f.Limit]
		last := page.Items[f.Limit-1]
		page.NextCursor = cursor(last.EffectiveAt.UTC().Format(time.RFC3339Nano), last.FactKey)
	}
	return page, nil
}

// interval is a month of the account's contract, whose time zone bounds it; an account
// without a contract has UTC's months.
func (r *Reader) interval(ctx context.Context, accountID, name string) (period.Interval, error) {
	m, err := period.Parse(name)
	if err != nil {
		return period.Interval{}, err
	}
	zone := time.UTC
	c, err := agreements{r.db.gorm}.Contract(ctx, accountID)
	switch {
	case fault.Is(err, fault.NotFound):
	case err != nil:
		return period.Interval{}, err
	default:
		if zone, err = c.Zone(); err != nil {
			return period.Interval{}, err
		}
	}
	return m.In(zone), nil
}

// exists answers NotFound for an account that is not there: a typo must not look like
// an account without revenue.
func (r *Reader) exists(ctx context.Context, accountID string) error {
	if accountID == "" {
		return nil
	}
	_, err := accounts{r.db.gorm}.Account(ctx, accountID)
	return err
}

// Accounts lists accounts with what flows through them.
func (r *Reader) Accounts(ctx context.Context, scope access.Scope) ([]reconcile.Overview, error) {
	q := where{}
	q.scoped(scope, "a.environment", "a.id")
	var rows []struct {
		reconcile.Overview
		Env, Terms string
	}
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT a.id, a.name, a.environment AS env, a.source_connection, coalesce(a.issuer_connection, '') AS issuer_connection,
			coalesce(a.payer_customer, '') AS payer_customer,
			coalesce((SELECT id FROM contracts k WHERE k.account_id = a.id ORDER BY version DESC LIMIT 1), '') AS contract_id,
			coalesce((SELECT terms FROM contracts k WHERE k.account_id = a.id ORDER BY version DESC LIMIT 1), '') AS terms,
			coalesce((SELECT id FROM measurement_plans p WHERE p.account_id = a.id ORDER BY version DESC LIMIT 1), '') AS plan_id,
			(SELECT count(*) FROM policy_snapshots s WHERE s.account_id = a.id) AS snapshots,
			(SELECT count(*) FROM decision_keys d WHERE d.account_id = a.id) AS decisions,
			(SELECT count(*) FROM event_processing e WHERE e.connection_id = a.source_connection) AS stripe_events,
			(SELECT count(*) FROM event_processing e WHERE e.connection_id = a.source_connection AND e.status = 'pending') AS pending_events,
			(SELECT count(*) FROM event_processing e WHERE e.connection_id = a.source_connection AND e.status IN ('dead', 'quarantined')) AS dead_events,
			(SELECT max(created) FROM stripe_events e WHERE e.connection_id = a.source_connection) AS last_event_at
		FROM accounts a`+q.sql()+` ORDER BY a.id`, q.args...).Scan(&rows).Error
	out := make([]reconcile.Overview, len(rows))
	for i, row := range rows {
		out[i] = row.Overview
		out[i].Environment = environmentOf(row.Env)
		if row.Terms == "" {
			continue
		}
		var t billing.Terms
		if err := json.Unmarshal([]byte(row.Terms), &t); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "contract_unreadable", "contract %s cannot be read", row.ContractID)
		}
		out[i].Basis, out[i].Settlement = t.Basis, t.Settlement
	}
	return out, wrap(err)
}

var _ reconcile.Reader = (*Reader)(nil)
