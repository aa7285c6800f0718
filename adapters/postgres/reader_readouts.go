package postgres

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
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

// What a filtered page of facts may look at: one compares a column, the other one looks
// up whose each fact is.
const (
	factsLooked  = 8000
	ownersLooked = 300
)

// RewardEvents pages by (effective_at, fact_key), newest first. A page that is filtered by
// what has no index looks at so many facts at most: it may be short, or empty, and still have
// a next one.
func (r *Reader) RewardEvents(ctx context.Context, f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error) {
	if err := r.exists(ctx, f.AccountID); err != nil {
		return reconcile.Page[reconcile.RewardEvent]{}, err
	}
	of := where{}
	of.add("e.connection_id = (SELECT source_connection FROM accounts WHERE id = ?)", f.AccountID)
	if f.Period != "" {
		in, err := r.interval(ctx, f.AccountID, f.Period)
		if err != nil {
			return reconcile.Page[reconcile.RewardEvent]{}, err
		}
		of.add("e.effective_at >= ? AND e.effective_at < ?", in.Start, in.End)
	}
	looked := r.facts
	if f.Mapped != "" {
		looked = r.owners
	}
	return inSteps(f.Limit, looked, f.Cursor, func(cursor string, limit, looked int) (reconcile.Page[reconcile.RewardEvent], error) {
		step := f
		step.Cursor, step.Limit = cursor, limit
		return r.rewardEvents(ctx, of.clone(), step, looked)
	})
}

func (r *Reader) rewardEvents(ctx context.Context, q where, f reconcile.RewardEventsFilter, looked int) (reconcile.Page[reconcile.RewardEvent], error) {
	var page reconcile.Page[reconcile.RewardEvent]
	order, key, err := rewardOrders.page(&q, f.Sort, f.Cursor)
	if err != nil {
		return page, err
	}
	next := ""
	if f.Search == "" && (f.Kind != "" || f.Mapped != "") {
		if next, err = rewardOrders.reach(&q, f.Sort, looked, func(offset int) (keys []reconcile.RewardEvent, err error) {
			err = r.db.gorm.WithContext(ctx).Raw("SELECT e.effective_at, e.fact_key FROM reward_events e"+q.sql()+" ORDER BY "+order+" LIMIT 2 OFFSET ?", append(slices.Clone(q.args), offset)...).Scan(&keys).Error
			return keys, err
		}); err != nil {
			return page, wrap(err)
		}
	}
	q.eq("e.kind", f.Kind)
	with, source, args := "", "reward_events e", []any(nil)
	switch {
	case f.Search != "":
		with, source, args = factsFound, "found e", factsFoundArgs(f.AccountID, f.Search)
	case f.Mapped == "": // the page is known before anything is looked up for its rows
		source, args = "(SELECT e.* FROM reward_events e"+q.sql()+" ORDER BY "+order+" LIMIT ?) e", append(q.args, f.Limit+1)
		q = where{}
	}
	ownerConditions(&q, f)
	var rows []reconcile.RewardEvent
	err = r.db.gorm.WithContext(ctx).Raw(with+`
		SELECT e.connection_id, e.fact_key, e.kind, e.is_reward, f.customer_id, `+ownerUser+` AS user_id, `+ownerSource+` AS mapped_by, `+ownerState+` AS link_state,
			e.subscription_id, e.invoice_id, e.charge_id, e.amount_minor, e.currency, e.effective_at, e.event_id, f.own_invoice,
			e.historic, coalesce((e.detail -> 'flags' ->> 'inferred')::boolean, false) AS inferred
		FROM `+source+` CROSS JOIN LATERAL (SELECT `+factColumns+` FROM (SELECT e.*) r`+factJoins+`) f`+ownerJoins+
		q.sql()+` ORDER BY `+order+` LIMIT ?`, slices.Concat(args, q.args, []any{f.Limit + 1})...).Scan(&rows).Error
	if err != nil {
		return page, wrap(err)
	}
	page, err = pageOf(rows, f.Limit, func(e reconcile.RewardEvent) (reconcile.RewardEvent, error) { return e, nil }, key)
	if page.NextCursor == "" {
		page.NextCursor = next
	}
	return page, err
}

// ownerConditions are those that need to know whose a fact is.
func ownerConditions(q *where, f reconcile.RewardEventsFilter) {
	switch f.Mapped {
	case "yes":
		q.add(ownerUser + " <> ''")
	case "no":
		q.add(ownerUser + " = ''")
	}
	if f.Search != "" {
		q.add("? IN (f.customer_id, e.subscription_id, e.invoice_id, e.charge_id, e.event_id, e.object_id, e.fact_key, "+ownerUser+")", f.Search)
	}
}

var rewardOrders = keyset[reconcile.RewardEvent]{
	id: "e.fact_key", value: func(e reconcile.RewardEvent) string { return e.FactKey }, first: "effective",
	by: map[string]sorting[reconcile.RewardEvent]{
		"effective": {"e.effective_at", byTime, func(e reconcile.RewardEvent) string { return instantKey(e.EffectiveAt) }},
	},
}

// factsFound are the facts that a Stripe ID or a user may be found in, each way by an index:
// those of the customers whom it names or belongs to, their charges', and those that an
// event told or that are about the object. The conditions of the list are asked of them.
const factsFound = `
	WITH source AS MATERIALIZED (SELECT source_connection AS id FROM accounts WHERE id = ?),
	known AS MATERIALIZED (
		SELECT CAST(? AS text) AS id
		UNION SELECT m.subject_id FROM source s JOIN mapping_spans m ON m.connection_id = s.id AND m.user_id = ?
		UNION SELECT b.customer_id FROM source s JOIN stripe_subscriptions b ON b.connection_id = s.id AND b.id = ?
		UNION SELECT i.customer_id FROM source s JOIN stripe_invoices i ON i.connection_id = s.id AND i.id = ?
		UNION SELECT o.customer_id FROM source s JOIN charge_owners o ON o.connection_id = s.id AND o.charge_id = ?
		UNION SELECT h.customer_id FROM source s JOIN stripe_charges h ON h.connection_id = s.id AND h.id = ?),
	whose AS MATERIALIZED (
		SELECT id FROM known WHERE id LIKE 'cus\_%'
		UNION SELECT b.customer_id FROM known k, source s JOIN stripe_subscriptions b ON b.connection_id = s.id WHERE b.id = k.id AND k.id LIKE 'sub\_%'),
	charged AS MATERIALIZED (
		SELECT o.charge_id FROM whose w, source s JOIN charge_owners o ON o.connection_id = s.id WHERE o.customer_id = w.id
		UNION SELECT CAST(? AS text)),
	hits AS MATERIALIZED (
		SELECT e.effective_at, e.fact_key FROM source s, whose w, reward_events e WHERE e.connection_id = s.id AND e.customer_id = w.id
		UNION SELECT e.effective_at, e.fact_key FROM source s, charged c, reward_events e WHERE e.connection_id = s.id AND e.charge_id = c.charge_id AND e.customer_id = '' AND e.charge_id <> ''
		UNION SELECT e.effective_at, e.fact_key FROM source s, reward_events_about(CAST(? AS text)) e WHERE e.connection_id = s.id
		UNION SELECT e.effective_at, e.fact_key FROM source s, reward_events_told_by(CAST(? AS text)) e WHERE e.connection_id = s.id),
	found AS MATERIALIZED (
		SELECT e.* FROM source s, hits h, reward_events e WHERE e.connection_id = s.id AND e.effective_at = h.effective_at AND e.fact_key = h.fact_key)`

// factsFoundArgs are the arguments of factsFound. Only an event tells facts, and one that is
// about a customer is its own; the key of a fact ends with its object.
func factsFoundArgs(accountID, search string) []any {
	var object, event any
	switch parts := strings.Split(search, ":"); {
	case len(parts) > 1:
		object = parts[1]
	case strings.HasPrefix(search, "evt_"):
		event = search
	case !strings.HasPrefix(search, "cus_"):
		object = search
	}
	return []any{accountID, search, search, search, search, search, search, search, object, event}
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

var _ reconcile.Reader = (*Reader)(nil)
