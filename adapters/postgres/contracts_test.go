package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/reward"
)

// amend stores a new version as the use case does.
func (w *world) amend(accountID, id, from string, at time.Time, change func(*billing.Terms)) (billing.Contract, error) {
	w.t.Helper()
	svc := onboard.Service{Work: w.db.Onboarding(), Clock: clock.Fixed(at)}
	all, err := svc.ContractVersions(w.ctx, accountID)
	require.NoError(w.t, err)
	terms := all[len(all)-1].Terms
	terms.EffectiveFrom = from
	change(&terms)
	c, _, err := svc.AmendContract(w.ctx, access.Operator("tester"), accountID, id, terms)
	return c, err
}

const insertVersion = `INSERT INTO contracts (id, account_id, environment, version, terms, terms_hash, time_zone, close_lag_days, first_period, effective_from, created_at)
	VALUES ($1, 'acme', 'live', $2, '{}', '', $3, 3, $4, $5, now())`

// Whoever writes a version: it follows the last one, changes nothing that is for life,
// and leaves alone months that have a cycle.
func TestVersionsCannotOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("acme", "2026-01")
	w.open("acme", "2026-02")
	require.NoError(t, w.exec(insertVersion, "v2", 2, "UTC", "2026-01", "2026-05"))
	for name, c := range map[string][5]any{
		"the same month":      {"v3", 3, "UTC", "2026-01", "2026-05"},
		"an earlier month":    {"v3", 3, "UTC", "2026-01", "2026-04"},
		"a number left out":   {"v3", 4, "UTC", "2026-01", "2026-06"},
		"another zone":        {"v3", 3, "Europe/Berlin", "2026-01", "2026-06"},
		"another first month": {"v3", 3, "UTC", "2026-06", "2026-06"},
		"no month":            {"v3", 3, "UTC", "2026-01", "2026-13"},
	} {
		err := w.exec(insertVersion, c[:]...)
		require.Error(t, err, name)
		require.Contains(t, err.Error(), "23514", name)
	}
	w.refused("23505", insertVersion, "v2b", 2, "UTC", "2026-01", "2026-06")
	w.refused(check, `INSERT INTO contracts (id, account_id, environment, version, terms, terms_hash, time_zone, close_lag_days, first_period, effective_from, created_at)
		VALUES ('t1', 'trial', 'test', 2, '{}', '', 'UTC', 3, '2026-01', '2026-01', now())`)
	// February has a cycle: no version can begin with it or before.
	w.connect("late", account.Live)
	w.accountUnder("late", account.Live, func(*billing.Terms) {})
	cycle := `INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, opened_at, updated_at)
		VALUES ('late.' || $1, 'late', 'live', $1, '2026-02-01', '2026-03-01', $2, 'late-p1', 'collecting', now(), now())`
	require.NoError(t, w.exec(cycle, "2026-02", "late-c1"))
	_, err := w.amend("late", "late-c2", "2026-02", opened, func(*billing.Terms) {})
	require.Equal(t, "constraint", fault.CodeOf(err))
	require.ErrorContains(t, err, "a month from 2026-02 on has a cycle already")
	_, err = w.amend("late", "late-c2", "2026-03", opened, func(*billing.Terms) {})
	require.NoError(t, err)
	// A cycle is opened under the version that holds in its month.
	w.refused(check, cycle, "2026-03", "late-c1")
	require.NoError(t, w.exec(cycle, "2026-03", "late-c2"))
	w.refused(restrict, "UPDATE contracts SET effective_from = '2026-09'")
}

// The same version twice is one, another one under its name is refused, and of two that
// want the same month at once one is stored.
func TestAmendIsIdempotentAndSerial(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := onboard.Service{Work: w.db.Onboarding(), Clock: clock.Fixed(now)}
	terms := billing.DefaultTerms()
	terms.EffectiveFrom, terms.PlatformFeeMinor = "2026-04", 500
	first, created, err := svc.AmendContract(w.ctx, access.Operator("tester"), "acme", "acme-c2", terms)
	require.NoError(t, err)
	require.True(t, created)
	svc.Clock = clock.Fixed(now.AddDate(0, 6, 0)) // April has begun since
	again, created, err := svc.AmendContract(w.ctx, access.Operator("tester"), "acme", "acme-c2", terms)
	require.NoError(t, err)
	require.False(t, created)
	require.Empty(t, cmp.Diff(first, again, cmp.AllowUnexported(period.Month{})))
	terms.PlatformFeeMinor = 501
	_, _, err = svc.AmendContract(w.ctx, access.Operator("tester"), "acme", "acme-c2", terms)
	require.Equal(t, "contract_exists", fault.CodeOf(err))
	_, _, err = svc.AmendContract(w.ctx, access.Operator("tester"), "acme", "acme-c1", terms)
	require.Equal(t, "contract_exists", fault.CodeOf(err))
	_, _, err = svc.AmendContract(w.ctx, access.Operator("tester"), "nobody", "x", terms)
	require.Equal(t, "account_not_found", fault.CodeOf(err))

	svc.Clock = clock.Fixed(now)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			own := billing.DefaultTerms()
			own.EffectiveFrom = "2026-09"
			_, _, errs[i] = svc.AmendContract(context.WithoutCancel(w.ctx), access.Operator("tester"), "acme", id("acme-r%d", i), own)
		})
	}
	wg.Wait()
	stored := 0
	for _, err := range errs {
		if err == nil {
			stored++
			continue
		}
		require.Equal(t, "effective_overlap", fault.CodeOf(err))
	}
	require.Equal(t, 1, stored)
	all, err := svc.ContractVersions(w.ctx, "acme")
	require.NoError(t, err)
	require.Len(t, all, 3)
}

// A month belongs to the calendar of the version that holds in it.
func TestCalendarsFollowTheVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.amend("acme", "acme-c2", "2026-03", now, func(x *billing.Terms) { x.CloseLagDays = 10 })
	require.NoError(t, err)
	cycles := w.db.NewCycles()
	due := func(lag int) map[string]int {
		months, err := cycles.DuePeriods(w.ctx, account.Live, billing.Calendar{TimeZone: "UTC", CloseLagDays: lag}, time.Date(2026, 5, 5, 0, 0, 0, 0, time.UTC))
		require.NoError(t, err)
		out := map[string]int{}
		for m, n := range months {
			out[m.String()] = n
		}
		return out
	}
	require.Equal(t, map[string]int{"2026-01": 1, "2026-02": 1}, due(3))
	require.Equal(t, map[string]int{"2026-03": 1}, due(10), "April settles on 11 May")
	for month, lag := range map[string]int{"2026-02": 3, "2026-03": 10} {
		for _, l := range []int{3, 10} {
			ids, err := cycles.ListAccounts(w.ctx, billing.Cohort{Environment: account.Live, Calendar: billing.Calendar{TimeZone: "UTC", CloseLagDays: l}, Period: w.month(month)}, "", 9)
			require.NoError(t, err)
			require.Equal(t, l == lag, len(ids) == 1, "%s at %d", month, l)
			total, _, err := cycles.Counts(w.ctx, billing.Cohort{Environment: account.Live, Calendar: billing.Calendar{TimeZone: "UTC", CloseLagDays: l}, Period: w.month(month)})
			require.NoError(t, err)
			require.Equal(t, len(ids), total)
		}
	}
	all, err := cycles.Calendars(w.ctx)
	require.NoError(t, err)
	require.Equal(t, []billing.Calendar{{TimeZone: "UTC", CloseLagDays: 3}, {TimeZone: "UTC", CloseLagDays: 10}}, all[account.Live])
	_, err = cycles.OpenCycle(w.ctx, "acme", w.month("2026-03"), "wf", time.Date(2026, 4, 10, 23, 59, 59, 0, time.UTC))
	require.Equal(t, "period_not_settled", fault.CodeOf(err))
}

// A cycle's ledger sums to its invoice whoever writes it, and the tie-out shows all of it.
func TestChargesAreStoredAndSum(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("fees", account.Live)
	w.accountUnder("fees", account.Live, func(x *billing.Terms) {
		x.PlatformFeeMinor, x.Caps, x.Holdback = 5_000, &billing.Caps{MonthMinor: 15_000}, &billing.Holdback{Share: "0.1", ReleaseAfterMonths: 1}
	})
	first := w.propose("fees", "2026-01", 100_000)
	w.finish(first.ID)
	got, err := w.db.NewReader().TieOut(w.ctx, first.ID)
	require.NoError(t, err)
	// 20,000 − 5,000 above the cap + 5,000 platform fee − 1,500 held back
	require.Equal(t, int64(18_500), got.EngineMinor)
	require.Equal(t, int64(18_500), *got.StripeMinor)
	require.Equal(t, 2, got.CycleSummary.Lines, "what stands on the invoice")
	require.Equal(t, []int64{20_000, 13_500}, []int64{got.Lines[0].FeeMinor, got.Lines[0].BilledMinor})
	require.Equal(t, int64(13_500), *got.Lines[0].StripeMinor)
	var told []string
	for _, c := range got.Charges {
		told = append(told, id("%s %d %d %s", c.Kind, c.AmountMinor, c.BilledMinor, c.StripeLineID))
	}
	require.Equal(t, []string{"cap -5000 0 ", "platform_fee 5000 5000 ii_fee:platform_fee", "holdback -1500 0 "}, told)
	require.Equal(t, "full", got.Phase)
	require.Contains(t, got.Terms, "Platform fee of 50.00 USD a month")

	for _, sql := range []string{
		"UPDATE cycle_charges SET amount_minor = amount_minor + 1, billed_minor = 0 WHERE kind = 'platform_fee'",
		"UPDATE cycle_charges SET billed_minor = billed_minor - 1 WHERE kind = 'platform_fee'", "DELETE FROM cycle_charges WHERE kind = 'cap'",
		"UPDATE cycle_lines SET billed_minor = billed_minor - 1 WHERE cycle_id = 'fees.2026-01' AND fee_minor > 0",
		"INSERT INTO cycle_charges (cycle_id, environment, line, position, kind, description, amount_minor, billed_minor) VALUES ('fees.2026-01', 'live', 'fee:x', 9, 'floor', 'x', 1, 1)",
		// Measured is what cycle_lines says; a charge cannot.
		"INSERT INTO cycle_charges (cycle_id, environment, line, position, kind, description, amount_minor, billed_minor) VALUES ('fees.2026-01', 'live', 'fee:x', 9, 'lift', 'x', 0, 0)",
		"UPDATE cycle_charges SET billed_minor = amount_minor + 1 WHERE kind = 'platform_fee'", "UPDATE cycle_charges SET billed_minor = 1 WHERE kind = 'cap'",
		"UPDATE cycle_lines SET billed_minor = fee_minor + 1", "UPDATE cycle_lines SET waived_minor = waived_minor + 1",
	} {
		w.refused(check, sql)
	}

	// The next month knows the last one: its mark, its holdback.
	second := w.propose("fees", "2026-02", 150_000)
	got, err = w.db.NewReader().TieOut(w.ctx, second.ID)
	require.NoError(t, err)
	require.Equal(t, int64(10_000+5_000-1_000+1_500), got.EngineMinor)
	require.Equal(t, "holdback_release", got.Charges[2].Kind)
	require.Equal(t, "2026-01", got.Charges[2].Origin)
}

// A shadow month is stored in full, invoiced nothing, cannot get an intent by any way,
// and its lift is consumed.
func TestShadowMonthsAreNeverWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("shade", account.Live)
	w.accountUnder("shade", account.Live, func(x *billing.Terms) {
		x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 1}}
	})
	cy := w.propose("shade", "2026-01", 100_000)
	require.Equal(t, billing.Withheld, cy.State)
	got, err := w.db.NewReader().TieOut(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Equal(t, []any{"shadow_phase", "shadow", int64(0), int64(20_000)}, []any{got.Reason, got.Phase, got.EngineMinor, got.Lines[0].FeeMinor})
	for mode, want := range map[string]int{reconcile.ModeShadow: 1, reconcile.ModeLive: 0, reconcile.ModeTest: 0} {
		page, err := w.db.NewReader().Cycles(w.ctx, reconcile.CyclesFilter{Scope: access.Everything(), Mode: mode, Limit: 10})
		require.NoError(t, err)
		require.Len(t, page.Items, want, mode)
	}
	require.Equal(t, reconcile.ModeShadow, got.Mode())
	stored := one[[]float64](w, "SELECT ARRAY[interval_low, interval_high, ess] FROM readouts WHERE case_id = $1", got.Lines[0].CaseID)
	require.Equal(t, []float64{got.Lines[0].IntervalLow, got.Lines[0].IntervalHigh, got.Lines[0].ESS}, stored)
	require.False(t, got.Lines[0].Billed)
	require.Equal(t, int64(5_000), got.Lines[1].WaivedMinor, "withheld, and never billed later")
	require.Equal(t, "shadow", got.Charges[0].Kind)
	require.Zero(t, one[int](w, "SELECT count(*) FROM writeback_intents"))
	_, err = w.db.NewInvoicing().Intent(w.ctx, cy.ID)
	require.True(t, fault.Is(err, fault.NotFound))
	require.NoError(t, w.exec(insertDecision, cy.ID, "live", "h", now))
	w.refused(check, insertIntent, cy.ID, "live", true, "shade", "shade")
	w.refused("23001", "UPDATE invoices SET total_minor = 20000 WHERE cycle_id = $1", cy.ID)

	j, err := w.db.NewInvoicing().Judged(w.ctx, w.open("shade", "2026-02").ID)
	require.Equal(t, "not_estimated", fault.CodeOf(err))
	require.Empty(t, j.Readouts)
	next := w.propose("shade", "2026-02", 150_000)
	got, err = w.db.NewReader().TieOut(w.ctx, next.ID)
	require.NoError(t, err)
	require.Equal(t, []int64{100_000, 50_000, 10_000}, []int64{got.Lines[0].HighWaterFrom, got.Lines[0].BaseMinor, got.EngineMinor})
	require.Equal(t, int64(5_000), got.Lines[1].HighWaterFrom)
	page, err := w.db.NewReader().Cycles(w.ctx, reconcile.CyclesFilter{Scope: access.Everything(), Mode: reconcile.ModeLive, Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []string{next.ID}, []string{page.Items[0].ID})
}

// An amount that Stripe cannot take is for a person, and nothing is sent.
func TestTooLargeForStripe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("huge", account.Live)
	w.accountUnder("huge", account.Live, func(x *billing.Terms) { x.PlatformFeeMinor = 100_000_000 })
	cy := w.propose("huge", "2026-01", 100_000)
	require.Equal(t, billing.Blocked, cy.State)
	require.Equal(t, billing.UnmetMaximum, one[string](w, "SELECT reason FROM cycles WHERE id = $1", cy.ID))
	require.Zero(t, one[int](w, "SELECT count(*) FROM writeback_intents"))
}

// Outcomes are counted of users for whom the policy decided, after the first decision and
// within the plan's window; a conversion when it has paid; each one once, also when it
// becomes known after the cycle's watermark.
func TestOutcomesThatCount(t *testing.T) {
	t.Parallel()
	for _, kind := range billing.OutcomeKinds() {
		require.True(t, reward.Kind(kind).IsReward(), "%s can be priced and is never booked", kind)
	}
	w := newWorld(t)
	w.connect("count", account.Live)
	w.accountUnder("count", account.Live, func(x *billing.Terms) {
		x.Outcomes = []billing.OutcomePrice{{Kind: "conversion", PriceMinor: "100"}, {Kind: "upgrade", PriceMinor: "10"}}
	})
	decide := func(user, arm string, at time.Time) {
		require.NoError(t, w.exec(`INSERT INTO decisions (account_id, environment, decision_id, unit_id, user_id, snapshot_id, ts, arm, arm_prob, action, baseline_action, eligible_actions, propensity, features, recorded_at)
			VALUES ('count', 'live', 'd-' || $1, $1, $1, 's-a', $3, $2, 0.5, 'a', 'a', '{a}', '{1}', '{}', $3)`, user, arm, at))
		require.NoError(t, w.exec(`INSERT INTO mapping_spans (connection_id, subject_id, valid_from, valid_to, state, user_id, link_id, source)
			VALUES ('count', 'cus_' || $1::text, '0001-01-01', 'infinity', 'linked', $1, 'by hand', 'metadata')`, user))
	}
	n := 0
	fact := func(kind, user string, at, recorded time.Time) {
		n++
		require.NoError(t, w.exec(`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, subscription_id, amount_minor, currency, effective_at, event_id, recorded_at)
			VALUES ('count', 'live', $1, $2, true, 'o', 'cus_' || $3::text, 'sub_' || $3, CASE WHEN $2 = 'revenue_confirmation' THEN 500 END, 'usd', $4, 'evt', $5)`, id("f%d", n), kind, user, at, recorded))
	}
	for _, user := range []string{"paid", "unpaid", "early", "late", "known-later"} {
		decide(user, "policy", day(10))
	}
	decide("control", "holdout", day(10))
	fact("conversion", "paid", day(12), day(12))
	fact("revenue_confirmation", "paid", day(11), day(12))
	fact("conversion", "unpaid", day(12), day(12))
	for _, c := range []struct {
		user     string
		at, seen time.Time
	}{
		{"paid", day(13), day(13)}, {"paid", day(14), day(14)}, {"early", day(9), day(9)}, {"late", day(10).AddDate(0, 0, 90), day(10)}, {"control", day(12), day(12)},
		{"stranger", day(12), day(12)}, {"known-later", day(12), now.AddDate(0, 0, 5)},
	} {
		fact("upgrade", c.user, c.at, c.seen)
	}
	cy := w.propose("count", "2026-01", 100_000)
	charges := func(cycleID string) (out []string) {
		got, err := w.db.NewReader().TieOut(w.ctx, cycleID)
		require.NoError(t, err)
		for _, c := range got.Charges {
			out = append(out, id("%s ×%d = %d", c.Line, c.Quantity, c.AmountMinor))
		}
		return out
	}
	require.Equal(t, []string{"fee:per_outcome:conversion ×1 = 100", "fee:per_outcome:upgrade ×2 = 20"}, charges(cy.ID))
	w.finish(cy.ID)

	// The second cycle's watermark lies after what became known late.
	require.NoError(t, w.exec("UPDATE reward_events SET recorded_at = $1 WHERE recorded_at > $1", now))
	fact("revenue_confirmation", "unpaid", day(20), day(20))
	require.Equal(t, []string{"fee:per_outcome:conversion ×1 = 100", "fee:per_outcome:upgrade ×1 = 10"}, charges(w.propose("count", "2026-02", 100_000).ID))
}

// A month waits for what an earlier year left open: caps, balances and holdbacks come
// from there. Months that never had a cycle are not waited for.
func TestEarlierYearsMustBeFinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("old", account.Live)
	w.accountUnder("old", account.Live, func(x *billing.Terms) { x.FirstPeriod = "2025-01" })
	w.anotherYear("old", "2025-01", 90)
	require.NoError(t, w.exec(`INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, opened_at, updated_at)
		VALUES ('old.2025-11', 'old', 'live', '2025-11', '2025-11-01', '2025-12-01', 'old-c1', 'old-p2', 'blocked', now(), now())`))
	cycles := w.db.NewCycles()
	cy := w.open("old", "2026-01")
	require.NoError(t, cycles.SaveCollection(w.ctx, cy, measure.Collection{Watermark: now, SourceWatermark: now, InputDigest: "inputs"}, now))
	cy, err := cycles.Cycle(w.ctx, cy.ID)
	require.NoError(t, err)
	require.NoError(t, cycles.SaveReadouts(w.ctx, cy, w.readouts(cy, 100_000), nil, now))
	svc := &invoicing.Service{Ledger: w.db.NewInvoicing(), Clock: clock.Fixed(now)}
	_, err = svc.Draft(w.ctx, cy.ID)
	require.Equal(t, "earlier_cycle_open", fault.CodeOf(err))
	require.ErrorContains(t, err, "old.2025-11")
	require.NoError(t, w.exec("UPDATE cycles SET state = 'withheld' WHERE id = 'old.2025-11'"))
	out, err := svc.Draft(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Equal(t, int64(20_000), out.TotalMinor)
}
