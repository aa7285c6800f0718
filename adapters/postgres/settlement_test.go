package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/whatif"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// anotherYear seals the plan of another contract year.
func (w *world) anotherYear(id, first string, attributionDays int) {
	w.t.Helper()
	plan, err := lift.DefaultPlan(lift.PlanTerms{Version: 2, First: w.month(first), Currency: "usd", Unit: "user", Baseline: "the old paywall",
		HoldoutProbability: "0.2", SaltCommitment: lift.SaltCommitment([]byte("the salt of the second year")), Features: []string{"tenure", "seats"}})
	require.NoError(w.t, err)
	plan.AttributionDays = attributionDays
	sealed, err := plan.Seal(opened)
	require.NoError(w.t, err)
	require.NoError(w.t, w.stores(func(st onboard.Stores) error {
		return st.Agreements.InsertPlan(w.ctx, onboard.StoredPlan{ID: id + "-p2", AccountID: id, Environment: account.Live, Plan: sealed, SealedSalt: []byte("sealed")})
	}))
}

// estimated takes a cycle up to its readouts.
func (w *world) estimated(accountID, month string, point float64) measure.Cycle {
	w.t.Helper()
	cycles := w.db.NewCycles()
	cy := w.open(accountID, month)
	require.NoError(w.t, cycles.SaveCollection(w.ctx, cy, measure.Collection{Watermark: now, SourceWatermark: now, InputDigest: "inputs"}, now))
	cy, err := cycles.Cycle(w.ctx, cy.ID)
	require.NoError(w.t, err)
	require.NoError(w.t, cycles.SaveReadouts(w.ctx, cy, w.readouts(cy, point), map[string]string{"go": "x"}, now))
	return cy
}

func (w *world) draft(cycleID string) (invoicing.Outcome, error) {
	return (&invoicing.Service{Ledger: w.db.NewInvoicing(), Clock: clock.Fixed(now)}).Draft(w.ctx, cycleID)
}

// A settlement is due when the attribution window of its year's own plan has passed, and
// its accounts are those whose window has.
func TestSettlementsAreDueAfterTheirWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cycles, cal := w.db.NewCycles(), billing.Calendar{TimeZone: "UTC", CloseLagDays: 3}
	settlement := w.month("2026-12-settlement")
	for at, want := range map[time.Time]int{
		time.Date(2027, 4, 3, 23, 59, 59, 0, time.UTC): 0, // 90 days after 1 January, and 3
		time.Date(2027, 4, 4, 0, 0, 0, 0, time.UTC):    1,
	} {
		due, err := cycles.DuePeriods(w.ctx, account.Live, cal, at)
		require.NoError(t, err)
		require.Equal(t, want, due[settlement], at)
		ids, err := cycles.ListAccounts(w.ctx, billing.Cohort{Environment: account.Live, Calendar: cal, Period: settlement, AsOf: at}, "", 9)
		require.NoError(t, err)
		require.Len(t, ids, want, at)
		n, _, err := cycles.Counts(w.ctx, billing.Cohort{Environment: account.Live, Calendar: cal, Period: settlement, AsOf: at})
		require.NoError(t, err)
		require.Equal(t, want, n, at)
		_, err = cycles.OpenCycle(w.ctx, "acme", settlement, "wf", at)
		require.Equal(t, want == 0, fault.CodeOf(err) == "period_not_settled", "%v: %v", at, err)
	}
	_, err := cycles.OpenCycle(w.ctx, "acme", w.month("2026-11-settlement"), "wf", now.AddDate(3, 0, 0))
	require.Equal(t, "period_no_year_end", fault.CodeOf(err))
	_, err = cycles.OpenCycle(w.ctx, "acme", w.month("2027-01"), "wf", now.AddDate(3, 0, 0))
	require.Equal(t, "plan_missing_for_year", fault.CodeOf(err))
	w.refused("23514", `INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, opened_at, updated_at)
		VALUES ('x', 'acme', 'live', '2027-01', '2027-01-01', '2027-02-01', 'acme-c1', 'acme-p1', 'collecting', now(), now())`)
	w.anotherYear("acme", "2027-01", 30)
	cy, err := cycles.OpenCycle(w.ctx, "acme", w.month("2027-01"), "wf", now.AddDate(3, 0, 0))
	require.NoError(t, err)
	require.Equal(t, "acme-p2", cy.PlanID)
	due, err := cycles.DuePeriods(w.ctx, account.Live, cal, time.Date(2028, 2, 3, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, 1, due[w.month("2027-12-settlement")], "a shorter window is over sooner")
}

// TestContractYear bills a whole year: months by their looks, month 12 shows only, and the
// settlement, beside the months of the following year, bills what is left and gives back
// what was not confirmed. Marks begin at 0 in every year.
func TestContractYear(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for m, point := w.month("2026-01"), 10_000.0; m.String() != "2026-12"; m, point = m.Add(1), point+10_000 {
		cy := w.propose("acme", m.String(), point)
		require.Equal(t, billing.Writing, cy.State, m)
		w.finish(cy.ID)
	}
	december := w.propose("acme", "2026-12", 150_000)
	require.Equal(t, billing.Withheld, december.State, "the settlement follows")
	w.anotherYear("acme", "2027-01", 90)

	january := w.estimated("acme", "2027-01", 40_000)
	settlement := w.estimated("acme", "2026-12-settlement", 80_000)
	require.Equal(t, period.Interval{Start: december.Interval.End, End: december.Interval.End.AddDate(0, 0, 90)}, settlement.Interval)
	require.Equal(t, december.Interval.End, settlement.Exposed.End)
	_, err := w.draft(january.ID)
	require.Equal(t, "earlier_cycle_open", fault.CodeOf(err), "the settlement is open, and comes first")
	out, err := w.draft(settlement.ID)
	require.NoError(t, err)
	require.Equal(t, billing.Withheld, out.State, "110,000 were billed, 80,000 are confirmed")
	require.Equal(t, string(billing.HeldCredit), out.Reason)
	require.Equal(t, int64(110_000), one[int64](w, "SELECT high_water_from FROM cycle_lines WHERE cycle_id = $1 AND snapshot_id = 's-a'", settlement.ID))
	require.Equal(t, int64(-6_000), one[int64](w, "SELECT amount_minor FROM cycle_charges WHERE cycle_id = $1 AND kind = 'settlement_credit'", settlement.ID), "a fifth of 30,000")

	out, err = w.draft(january.ID)
	require.NoError(t, err)
	require.Equal(t, int64(2_000), out.TotalMinor, "a fifth of 40,000, less the credit of the year before")
	require.Zero(t, one[int64](w, "SELECT high_water_from FROM cycle_lines WHERE cycle_id = $1 AND snapshot_id = 's-a'", january.ID))
	previous, err := w.db.NewCycles().PreviousCase(w.ctx, january, "s-a")
	require.NoError(t, err)
	require.Equal(t, one[string](w, "SELECT case_id FROM readouts WHERE cycle_id = $1 AND snapshot_id = 's-a'", december.ID), previous,
		"a month is chained to a month, whether the settlement came before it or not")

	answer, err := (&whatif.Service{Ledger: w.db.NewWhatIf()}).Price(w.ctx, "acme", 14, []byte(`{}`))
	require.NoError(t, err)
	require.Zero(t, answer.DifferenceMinor, "under its own terms the year comes to what it came to: %+v", answer.Months)
}

// A month of the following year that was priced before its settlement was opened comes
// first, and a price whose past moved while it was made is not stored.
func TestSettlementWaitsForPricedMonths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for m := w.month("2026-01"); m.Before(w.month("2027-01")); m = m.Add(1) {
		cy := w.propose("acme", m.String(), -10_000)
		require.Equal(t, billing.Withheld, cy.State, m)
	}
	w.anotherYear("acme", "2027-01", 90)
	january := w.propose("acme", "2027-01", 40_000)
	require.Equal(t, billing.Writing, january.State)
	settlement := w.estimated("acme", "2026-12-settlement", 50_000)
	_, err := w.draft(settlement.ID)
	require.Equal(t, "earlier_cycle_open", fault.CodeOf(err))
	w.finish(january.ID)

	ledger := w.db.NewInvoicing()
	stale, err := ledger.Judged(w.ctx, settlement.ID)
	require.NoError(t, err)
	require.Len(t, stale.Past, 13)
	require.NoError(t, w.exec(`UPDATE cycles SET state = 'needs_human' WHERE id = $1`, january.ID))
	_, err = w.draft(settlement.ID)
	require.Equal(t, "earlier_cycle_open", fault.CodeOf(err))
	_, _, err = ledger.SaveProposal(w.ctx, stale, invoicing.Proposal{}, now)
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	require.NoError(t, w.exec(`UPDATE cycles SET state = 'invoiced' WHERE id = $1`, january.ID))
	_, err = w.draft(settlement.ID)
	require.NoError(t, err)
	w.approve(settlement.ID)
	out, err := w.draft(settlement.ID)
	require.NoError(t, err)
	require.Equal(t, billing.Writing, out.State)
	require.Equal(t, int64(10_000), out.TotalMinor)
}
