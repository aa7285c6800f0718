package postgres

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
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
	Z, Verdict, Headline, Explanation, Checks, PlanHash, Estimator, InputDigest, Manifest, Build                     string
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
		r.estimator, r.manifest, r.build::text AS build, coalesce(v.previous_input_digest, c.input_digest) AS input_digest, coalesce(v.previous_watermark, c.watermark) AS watermark,
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
	if err := json.Unmarshal([]byte(r.Build), &v.Build); err != nil {
		return v, fault.Wrap(err, fault.Internal, "build_unreadable", "the build of case %s cannot be read", r.CaseID)
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
		return r.remeasuredReadout(ctx, caseID)
	}
	v, err := row.view()
	if err != nil {
		return v, err
	}
	v.Revisions, err = revisionsOf(r.db.gorm.WithContext(ctx), v.CycleID)
	return v, wrap(err)
}

// readoutOrders are for the readouts of one account, which are few enough to be sorted. An
// estimate that could not be made is none, and comes behind every number.
var readoutOrders = func() keyset[readoutRow] {
	number := func(column string, of func(readoutRow) float64) sorting[readoutRow] {
		return sorting[readoutRow]{"CASE WHEN " + column + " = 'NaN' THEN '-Infinity' ELSE " + column + " END", byFloat, func(r readoutRow) string {
			v := of(r)
			if math.IsNaN(v) {
				v = math.Inf(-1)
			}
			return strconv.FormatFloat(v, 'g', -1, 64)
		}}
	}
	return keyset[readoutRow]{
		id: "(r.period || ' ' || r.snapshot_id)", value: func(r readoutRow) string { return r.Period + " " + r.SnapshotID }, first: "period",
		by: map[string]sorting[readoutRow]{
			"period": {"r.period", byText, func(r readoutRow) string { return r.Period }},
			"lift":   number("r.lift", func(r readoutRow) float64 { return r.Lift }),
			"bound":  number("r.bound", func(r readoutRow) float64 { return r.Bound }),
			"ess":    number("r.ess", func(r readoutRow) float64 { return r.ESS }),
			"users":  {"r.units", byNumber, func(r readoutRow) string { return strconv.FormatInt(r.Units, 10) }},
		},
	}
}()

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
	order, key, err := readoutOrders.page(&q, f.Sort, f.Cursor)
	if err != nil {
		return page, err
	}
	var rows []readoutRow
	err = r.db.gorm.WithContext(ctx).Raw(readoutSelect+q.sql()+" ORDER BY "+order+" LIMIT ?", append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return page, wrap(err)
	}
	return pageOf(rows, f.Limit, readoutRow.view, key)
}

// interval is a month of the account's contract, whose time zone bounds it; an account
// without a contract has UTC's months.
func (r *Reader) interval(ctx context.Context, accountID, name string) (period.Interval, error) {
	m, err := period.Parse(name)
	if err != nil {
		return period.Interval{}, err
	}
	zone, err := r.Zone(ctx, accountID)
	if err != nil {
		return period.Interval{}, err
	}
	return m.In(zone), nil
}

// Zone is the time zone of the account's contract, UTC without one.
func (r *Reader) Zone(ctx context.Context, accountID string) (*time.Location, error) {
	c, err := agreements{r.db.gorm}.Contract(ctx, accountID)
	switch {
	case fault.Is(err, fault.NotFound):
		return time.UTC, nil
	case err != nil:
		return nil, err
	}
	return c.Zone()
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

var _ reconcile.Reader = (*Reader)(nil)
