package accountbill_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// settledYear is a company whose contract year is settled and whose next year has begun.
type settledYear struct {
	*testing.T
	d          *pipelinetest.Deployment
	c          *pipelinetest.Company
	settlement string
	// total is the settlement's invoice.
	total int64
	// next is the month that is billed next; the year that follows began at start.
	next  period.Month
	start time.Time
}

func newSettledYear(t *testing.T) *settledYear {
	t.Helper()
	y := endedYear(t)
	_, err := y.d.TrueUps().Close(t.Context(), access.Operator("kim"), y.c.ID, "too early")
	require.NoError(t, err, "nothing came yet")
	spec := y.c.Business.Spec()
	y.d.Post(t, "/v1/accounts/"+y.c.ID+"/plans", httpapi.PlanCreate{
		ID: y.c.ID + "-plan-2", Version: 2, Salt: "6e6578742079656172732073616c742c2033322062797465732c2073656372657421", FirstPeriod: y.next.String(), Currency: "usd", Unit: "user",
		Baseline: "keep", HoldoutProbability: spec.HoldoutProbability, AttributionDays: pipelinetest.RunOffDays,
	}, nil)
	_, err = y.d.TrueUps().Close(t.Context(), access.Operator("kim"), y.c.ID, "cycles follow")
	require.Equal(t, "cycles_follow", fault.CodeOf(err))
	return y
}

// endedYear is a company whose contract year is settled and that has no plan for another one.
func endedYear(t *testing.T) *settledYear {
	t.Helper()
	d, c := pipelinetest.YearEnd(t)
	last, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	for m := last.Add(1 - lift.PeriodsPerYear); !last.Before(m); m = m.Add(1) {
		runPeriod(t, d, c, m)
	}
	step := runPeriod(t, d, c, last.Settlement())
	require.Equal(t, billing.Invoiced, step.State, step.Reason)
	return &settledYear{T: t, d: d, c: c, settlement: billing.CycleID(c.ID, last.Settlement()), total: step.TotalMinor, next: last.Add(1), start: last.In(time.UTC).End}
}

// charges are the charges of payments that the settlement attributed to the good snapshot,
// of users in an arm who were not decided about again.
func (y *settledYear) charges(arm lift.Arm) (out []string) {
	y.Helper()
	rows, err := y.d.SQL.Query(y.Context(), `
		SELECT r.charge_id FROM reward_events r JOIN fact_links k ON k.connection_id = r.connection_id AND k.fact_key = r.fact_key
		JOIN decisions d ON d.user_id = k.user_id AND d.account_id = $1
		WHERE r.kind = 'revenue_confirmation' AND r.amount_minor > 0 AND r.charge_id <> '' AND d.snapshot_id = $2 AND d.arm = $3 AND d.ts < $4 AND r.effective_at >= d.ts AND r.effective_at < d.ts + make_interval(days => $5)
			AND NOT EXISTS (SELECT 1 FROM decisions n WHERE n.account_id = d.account_id AND n.user_id = d.user_id AND n.ts >= $4)
			AND NOT EXISTS (SELECT 1 FROM reward_events b WHERE b.connection_id = r.connection_id AND b.charge_id = r.charge_id AND b.kind IN ('refund', 'dispute'))
		GROUP BY r.charge_id ORDER BY min(r.effective_at), r.charge_id`, y.c.ID, pipelinetest.Positive, string(arm), y.start, pipelinetest.RunOffDays)
	require.NoError(y, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		require.NoError(y, rows.Scan(&id))
		out = append(out, id)
	}
	require.NoError(y, rows.Err())
	return out
}

// bill runs the next month; the clock must have passed its end.
func (y *settledYear) bill() httpapi.TieOut {
	y.Helper()
	settles := y.next.In(time.UTC).End.AddDate(0, 0, 4)
	if y.d.Clock.Now().Before(settles) {
		require.NoError(y, y.d.Fake.SetTime(settles))
	}
	require.NoError(y, y.d.Fake.Advance(time.Hour))
	before, err := y.d.Previews().Run(y.Context(), access.Operator("kim"), y.c.ID, y.next.String())
	require.NoError(y, err)
	step := runPeriod(y.T, y.d, y.c, y.next)
	require.Equal(y, before.TotalMinor, step.TotalMinor, "the preview takes the same true-ups up")
	var tie httpapi.TieOut
	y.d.Get(y, "/v1/cycles/"+billing.CycleID(y.c.ID, y.next), &tie)
	y.next = y.next.Add(1)
	return tie
}

// adjustments are those that a cycle has found.
func (y *settledYear) adjustments(bookedBy string) (out []reconcile.Adjustment) {
	y.Helper()
	page, err := y.d.Reconcile().Adjustments(y.Context(), reconcile.AdjustmentsFilter{Scope: access.Everything(), AccountID: y.c.ID})
	require.NoError(y, err)
	for _, a := range page.Items {
		if a.BookedBy == bookedBy {
			out = append(out, a)
		}
	}
	return out
}

func sumOf(in []reconcile.Adjustment, of func(reconcile.Adjustment) int64) (sum int64) {
	for _, a := range in {
		sum += of(a)
	}
	return sum
}

func amount(a reconcile.Adjustment) int64 { return a.AmountMinor }

// TestRefundsAfterTheSettlement takes refunds and disputes of a settled year through the
// pipeline: each is trued up once, in the next cycle, tied to the month and the line of its
// payment; a dispute that is won comes back; the settlement's own books never change, and no
// invoice is negative.
func TestRefundsAfterTheSettlement(t *testing.T) {
	t.Parallel()
	y := newSettledYear(t)
	var settled httpapi.TieOut
	y.d.Get(t, "/v1/cycles/"+y.settlement, &settled)
	first := y.bill()
	require.Empty(t, y.adjustments(first.Cycle.ID), "nothing came since")

	paid := y.charges(lift.ArmPolicy)
	require.Greater(t, len(paid), 8)
	for _, id := range paid[:4] {
		y.d.Operator(t, y.c, "POST", "/v1/refunds", url.Values{"charge": {id}})
	}
	dispute, err := y.d.Fake.OpenDispute(stripefake.DisputeSpec{Account: y.c.StripeID, Mode: "live", Charge: paid[4]})
	require.NoError(t, err)
	second := y.bill()
	found := y.adjustments(second.Cycle.ID)
	causes := map[string]int{}
	for _, a := range found {
		causes[a.Cause] += a.Facts
		require.Equal(t, pipelinetest.Positive, a.Line)
		require.Contains(t, []string{pipelinetest.Month, pipelinetest.Month + "-settlement"}, a.OriginPeriod)
		require.Negative(t, *a.RevenueMinor)
		require.Negative(t, *a.LiftMinor, "paying users of the policy paid less")
		require.Negative(t, a.AmountMinor)
		require.Equal(t, reconcile.AdjustmentApplied, a.State)
		require.Equal(t, second.Cycle.ID, a.AppliedCycle)
		require.Equal(t, a.AmountMinor, a.AppliedMinor)
	}
	require.Equal(t, map[string]int{"refund": 4, "dispute": 1}, causes)
	y.readoutsOf(found)
	require.Equal(t, sumOf(found, amount), second.Cycle.TrueUps.Minor, "the board's true-ups are those of the page")
	require.Zero(t, second.Cycle.EngineTotal.Minor, "a credit is carried, never a negative invoice")
	require.Equal(t, string(billing.HeldCredit), second.Cycle.Reason)
	require.Equal(t, sumOf(found, amount), found[0].CarryMinor)
	require.Greater(t, sumOf(found, amount), -y.total)

	require.NoError(t, y.d.Fake.CloseDispute(y.c.StripeID, "live", dispute, "won"))
	third := y.bill()
	back := y.adjustments(third.Cycle.ID)
	require.Len(t, back, 1)
	require.Equal(t, "dispute", back[0].Cause)
	require.Positive(t, back[0].AmountMinor)
	require.LessOrEqual(t, sumOf(found, amount)+back[0].AmountMinor, int64(0))
	require.Empty(t, y.adjustments(y.bill().Cycle.ID), "what is trued up is not trued up again")

	var after httpapi.TieOut
	y.d.Get(t, "/v1/cycles/"+y.settlement, &after)
	require.Equal(t, settled.InputDigest, after.InputDigest)
	require.Equal(t, settled.Lines, after.Lines)
	y.speaksForThePolicy()
	y.inAnyOrder()
	require.Len(t, outcomeInvoices(t, y.d, y.c), 1, "there is no second bill")
}

// readoutsOf: a true-up leads to the readout that the year was settled with, and to the one that
// was measured with what came since, which can be read like any other.
func (y *settledYear) readoutsOf(found []reconcile.Adjustment) {
	y.Helper()
	var list httpapi.AdjustmentList
	y.d.Get(y, "/v1/adjustments?account="+y.c.ID, &list)
	require.Equal(y, found[0].RemeasuredCase, list.Items[0].RemeasuredCaseID)
	for _, a := range found {
		var settled, again httpapi.Readout
		y.d.Get(y, "/v1/readouts/"+a.SettledCase, &settled)
		y.d.Get(y, "/v1/readouts/"+a.RemeasuredCase, &again)
		require.Equal(y, y.settlement, settled.CycleID)
		require.Equal(y, httpapi.ReadoutTrueUp{}, settled.TrueUp)
		require.Equal(y, a.SettledCase, again.PreviousCaseID)
		require.Equal(y, httpapi.ReadoutTrueUp{SettlementCycleID: y.settlement, SettledCaseID: a.SettledCase, BookingCycleID: a.BookedBy, Look: again.TrueUp.Look, At: again.TrueUp.At}, again.TrueUp)
		require.Equal(y, []any{settled.Units, settled.HoldoutUnits, settled.PlanHash, settled.SnapshotID}, []any{again.Units, again.HoldoutUnits, again.PlanHash, again.SnapshotID})
		require.Less(y, again.Observed.Minor, settled.Observed.Minor, "money went back")
		require.Len(y, again.Checks, len(settled.Checks))
		require.False(y, again.Billed)
		var manifest struct {
			PlanHash string `json:"plan_hash"`
		}
		y.d.Get(y, "/v1/readouts/"+a.RemeasuredCase+"/manifest", &manifest)
		require.Equal(y, again.PlanHash, manifest.PlanHash)
	}
}

// speaksForThePolicy refunds a user of the holdout and books a payment that was late: both
// raise the lift, and under the default terms only what was credited before comes back.
func (y *settledYear) speaksForThePolicy() {
	y.Helper()
	held, paid := y.charges(lift.ArmHoldout), y.charges(lift.ArmPolicy)
	require.NotEmpty(y, held)
	y.d.Operator(y, y.c, "POST", "/v1/refunds", url.Values{"charge": {held[0]}})
	y.latePayment(paid[0])
	tie := y.bill()
	found := y.adjustments(tie.Cycle.ID)
	require.Len(y, found, 2)
	for _, a := range found {
		require.Positive(y, *a.LiftMinor, a.Cause)
		require.GreaterOrEqual(y, a.AmountMinor, int64(0), "down only")
	}
	page, err := y.d.Reconcile().Adjustments(y.Context(), reconcile.AdjustmentsFilter{Scope: access.Everything(), AccountID: y.c.ID})
	require.NoError(y, err)
	require.LessOrEqual(y, sumOf(page.Items, amount), int64(0), "the year never ends above its settlement")
}

// inAnyOrder: two cycles that look at once, a retry after a crash and an event that comes
// twice find the same, and no row can be added or changed by hand.
func (y *settledYear) inAnyOrder() {
	y.Helper()
	t, paid := y.T, y.charges(lift.ArmPolicy)
	y.d.Operator(t, y.c, "POST", "/v1/refunds", url.Values{"charge": {paid[1]}, "amount": {"1000"}})
	y.d.Operator(t, y.c, "POST", "/v1/refunds", url.Values{"charge": {paid[1]}, "amount": {"100"}})
	for _, id := range paid[2:7] {
		y.d.Operator(t, y.c, "POST", "/v1/refunds", url.Values{"charge": {id}})
	}
	y.collected()
	second := billing.CycleID(y.c.ID, y.next)
	y.race(second)
	rows := y.stored()
	_, err := y.d.TrueUps().Book(t.Context(), second, silently)
	require.NoError(t, err)
	require.Equal(t, rows, y.stored(), "a retry makes no other byte")
	sum := sumOf(y.adjustments(second), amount)
	require.Negative(t, sum)
	tie := y.bill()
	require.Equal(t, rows, y.stored(), "the cycle's own run finds what its first attempt wrote")
	require.Zero(t, tie.Cycle.EngineTotal.Minor)
	require.Equal(t, sum, sumOf(y.adjustments(second), func(a reconcile.Adjustment) int64 { return a.AppliedMinor }))

	require.NoError(t, y.d.DrainAll(t.Context(), y.c.ID+"-stripe"))
	_, err = y.d.SQL.Exec(t.Context(), `UPDATE event_processing p SET status = 'pending' FROM stripe_events e
		WHERE e.connection_id = $1 AND p.connection_id = e.connection_id AND p.event_id = e.event_id AND p.created = e.created AND e.type LIKE '%refund%'`, y.c.ID+"-stripe")
	require.NoError(t, err)
	require.Empty(t, y.adjustments(y.bill().Cycle.ID), "every refund once more, and nothing is due")
	for _, sql := range []string{
		`INSERT INTO true_up_facts SELECT (SELECT max(id) FROM true_ups), fact_key, unit_id, snapshot_id, cause, origin, happened_at, amount_minor FROM true_up_facts LIMIT 1`,
		`UPDATE true_up_lines SET amount_minor = 0`, `DELETE FROM true_ups`,
		`INSERT INTO true_ups SELECT id || 'x', account_id, environment, settlement_cycle, origin_cycle, 99, watermark, 'booked', '', 0, 0, 0, -5, recorded_at FROM true_ups, (SELECT id AS origin_cycle FROM cycles LIMIT 1) c LIMIT 1`,
	} {
		_, err := y.d.SQL.Exec(t.Context(), sql)
		require.Error(t, err, sql)
	}
}

func silently(int, int, string) {}

// latePayment books a payment of the year that became known after its settlement, of the
// payer of a charge.
func (y *settledYear) latePayment(charge string) {
	y.Helper()
	_, err := y.d.SQL.Exec(y.Context(), `
		WITH f AS (INSERT INTO reward_events SELECT (r).* FROM (
				SELECT jsonb_populate_record(r, jsonb_build_object('fact_key', 'revenue_confirmation:in_late', 'invoice_id', 'in_late', 'charge_id', '', 'recorded_at', $2::timestamptz)) AS r
				FROM reward_events r WHERE r.kind = 'revenue_confirmation' AND r.charge_id = $1) x RETURNING connection_id, fact_key)
		INSERT INTO fact_keys (connection_id, fact_key) SELECT * FROM f`, charge, y.d.Clock.Now().Add(time.Minute))
	require.NoError(y, err)
}

// collected takes the next month up to its readouts.
func (y *settledYear) collected() {
	y.Helper()
	settles := y.next.In(time.UTC).End.AddDate(0, 0, 4)
	if y.d.Clock.Now().Before(settles) {
		require.NoError(y, y.d.Fake.SetTime(settles))
	}
	s := y.d.Measure()
	opened, err := s.Open(y.Context(), y.c.ID, y.next, "by-hand")
	require.NoError(y, err)
	_, err = s.Collect(y.Context(), opened.CycleID, silently)
	require.NoError(y, err)
	_, err = s.Estimate(y.Context(), opened.CycleID, silently)
	require.NoError(y, err)
}

// race lets several workers look at once. Each finds it done, or is told to look again.
func (y *settledYear) race(cycleID string) {
	y.Helper()
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			_, err := y.d.TrueUps().Book(y.Context(), cycleID, silently)
			done <- err
		}()
	}
	ok := 0
	for range cap(done) {
		if err := <-done; err == nil {
			ok++
		} else {
			require.Equal(y, "true_up_moved", fault.CodeOf(err))
		}
	}
	require.Positive(y, ok)
}

// stored is everything that looks wrote.
func (y *settledYear) stored() (out string) {
	y.Helper()
	require.NoError(y, y.d.SQL.QueryRow(y.Context(), `SELECT concat((SELECT string_agg(t::text, ',' ORDER BY t::text) FROM true_ups t), (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM true_up_lines t),
		(SELECT string_agg(t::text, ',' ORDER BY t::text) FROM true_up_facts t), (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM true_up_readouts t), (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM adjustments t))`).Scan(&out))
	return out
}

// endedUntil: the account is named to whoever may see it until its contract trues the year up
// no more, to the microsecond, and when asked for by name also then.
func (y *settledYear) endedUntil(due trueups.Outstanding) {
	y.Helper()
	named := func(at time.Time, f trueups.EndedFilter) []trueups.Ended {
		s := *y.d.TrueUps()
		s.Clock = clock.Fixed(at)
		page, err := s.Ended(y.Context(), f)
		require.NoError(y, err)
		return page.Items
	}
	want, all, past := []trueups.Ended{{AccountID: y.c.ID, AccountName: due.AccountName, SettlementCycle: y.settlement}}, access.Everything(), due.Until.Add(time.Microsecond)
	require.Equal(y, want, named(due.Until, trueups.EndedFilter{Scope: all, Environment: due.Environment.String()}))
	require.Empty(y, named(due.Until, trueups.EndedFilter{Scope: all, Environment: "neither"}))
	require.Empty(y, named(due.Until, trueups.EndedFilter{AccountID: y.c.ID}))
	require.Empty(y, named(past, trueups.EndedFilter{Scope: all}))
	require.Equal(y, want, named(past, trueups.EndedFilter{Scope: all, AccountID: y.c.ID}))
}

// TestTrueUpsOfAnEndedContract: where no cycle follows, what came since is proposed as a credit
// of the year's invoice, within its line; somebody else approves it, the credit note is made
// once, and what was proposed is not proposed again.
func TestTrueUpsOfAnEndedContract(t *testing.T) {
	t.Parallel()
	y := endedYear(t)
	paid, operator := y.charges(lift.ArmPolicy), access.Operator("kim")
	for _, id := range paid[:3] {
		y.d.Operator(t, y.c, "POST", "/v1/refunds", url.Values{"charge": {id}})
	}
	require.NoError(t, y.d.Fake.Advance(time.Hour))
	require.NoError(t, y.d.DrainAll(t.Context(), y.c.ID+"-stripe"))
	_, err := y.d.TrueUps().Close(t.Context(), operator, y.c.ID, " ")
	require.Equal(t, "reason_missing", fault.CodeOf(err))
	before := y.stored()
	due, err := y.d.TrueUps().Outstanding(t.Context(), person("vic", access.Viewer), y.c.ID)
	require.NoError(t, err)
	require.True(t, due.Open)
	require.Negative(t, due.DueMinor)
	require.Equal(t, 3, due.Lines[0].Facts)
	require.Equal(t, before, y.stored(), "who looks stores nothing")
	y.endedUntil(due)
	credits, err := y.d.TrueUps().Close(t.Context(), operator, y.c.ID, "the contract ended")
	require.NoError(t, err)
	require.Len(t, credits, 1)
	require.Equal(t, -due.DueMinor, credits[0].AmountMinor, "what was shown is what is proposed")
	require.Equal(t, y.settlement, credits[0].CycleID)
	require.Equal(t, pipelinetest.Positive, credits[0].Line)
	require.Equal(t, billing.CorrectBefore, credits[0].Kind)
	found := y.adjustments(y.settlement)
	require.Len(t, found, 1)
	require.Equal(t, reconcile.AdjustmentProposed, found[0].State)
	require.Equal(t, -credits[0].AmountMinor, found[0].AmountMinor)
	again, err := y.d.TrueUps().Close(t.Context(), operator, y.c.ID, "once more")
	require.NoError(t, err)
	require.Empty(t, again)
	due, err = y.d.TrueUps().Outstanding(t.Context(), operator, y.c.ID)
	require.NoError(t, err)
	require.Zero(t, due.DueMinor, "it is proposed")

	approver := person("ada", access.Approver)
	_, err = y.d.Invoicing().ApproveCorrection(t.Context(), approver, credits[0].CorrectionID)
	require.NoError(t, err)
	_, err = y.d.Invoicing().CarryCorrections(t.Context())
	require.NoError(t, err)
	state, err := y.d.Fake.State(y.c.IssuerID, "live", "credit_notes")
	require.NoError(t, err)
	require.Len(t, state["credit_notes"], 1)
}
