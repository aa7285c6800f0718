package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

// What onboarding stores comes back as it was.
func TestOnboardingStoresRoundTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.stores(func(st onboard.Stores) error {
		a, err := st.Accounts.Account(w.ctx, "acme")
		require.NoError(t, err)
		require.Equal(t, account.Account{ID: "acme", Environment: account.Live, Name: "Account acme", SourceConnection: "acme", IssuerConnection: "acme", PayerCustomer: "cus_payer_acme"}, a)
		c, err := st.Connections.Connection(w.ctx, "acme")
		require.NoError(t, err)
		require.Equal(t, account.Roles{Source: true, Issuer: true}, c.Roles)
		require.Equal(t, opened, c.CreatedAt)
		plain, err := w.box.Open(onboard.KeyContext("acme"), c.SealedKey)
		require.NoError(t, err)
		require.Equal(t, "rk_live_4f8d2c1b9a7e6053unit", string(plain))
		k, err := st.Agreements.Contract(w.ctx, "acme")
		require.NoError(t, err)
		require.Equal(t, []string{"acme-c1", "0.20", "2026-01"}, []string{k.ID, k.Terms.Share, k.Terms.FirstPeriod})
		p, err := st.Agreements.Plan(w.ctx, "acme")
		require.NoError(t, err)
		require.Equal(t, opened, p.Plan.At())
		s, err := st.Agreements.Snapshots(w.ctx, "acme")
		require.NoError(t, err)
		require.Equal(t, onboard.Snapshot{ID: "s-b", AccountID: "acme", Environment: account.Live, Name: "Offer s-b", ShippedAt: opened}, s[1])

		// The secret that was current stays valid as the previous one.
		for i, secret := range []string{"one", "two", "three"} {
			require.NoError(t, st.Connections.UpsertEndpoint(w.ctx, onboard.Endpoint{ID: "we-acme", ConnectionID: "acme", Environment: account.Live,
				URL: id("https://x/%d", i), StripeID: id("we_%d", i), SealedSecret: []byte(secret), CreatedAt: opened}))
		}
		e, err := st.Connections.EndpointOf(w.ctx, "acme")
		require.NoError(t, err)
		require.Equal(t, onboard.Endpoint{ID: "we-acme", ConnectionID: "acme", Environment: account.Live, URL: "https://x/2", StripeID: "we_2",
			SealedSecret: []byte("three"), SealedPrevious: []byte("two"), SetUp: onboard.Registered, Status: onboard.StatusUnknown, CreatedAt: opened}, e)
		_, err = st.Accounts.Account(w.ctx, "nobody")
		require.Equal(t, "account_not_found", fault.CodeOf(err))
		require.ErrorContains(t, err, "nobody")
		return nil
	}))
	all, err := w.db.Connections(w.ctx, access.Everything())
	require.NoError(t, err)
	require.Len(t, all, 2)
	err = w.stores(func(st onboard.Stores) error {
		return st.Accounts.InsertAccount(w.ctx, account.Account{ID: "acme", Environment: account.Live, Name: "x", SourceConnection: "acme"}, now)
	})
	require.Equal(t, "duplicate", fault.CodeOf(err))
	err = w.stores(func(st onboard.Stores) error {
		return st.Accounts.InsertAccount(w.ctx, account.Account{ID: "mixed", Environment: account.Live, Name: "x", SourceConnection: "trial"}, now)
	})
	require.True(t, fault.Is(err, fault.Conflict), "a live account on a test connection")
}

// A cycle keeps the contract that it was opened under.
func TestCyclesKeepTheirAgreements(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.open("acme", "2026-01")
	terms := cy.Contract.Terms
	terms.Share, terms.EffectiveFrom = "0.5", "2026-02"
	second, err := billing.NewContract("acme-c2", "acme", account.Live, 2, terms, now)
	require.NoError(t, err)
	require.NoError(t, w.stores(func(st onboard.Stores) error { return st.Agreements.InsertContract(w.ctx, second) }))
	again, err := w.db.NewCycles().Cycle(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Equal(t, "acme-c1", again.Contract.ID)
	require.Equal(t, "acme-c1", w.open("acme", "2026-01").Contract.ID)
	require.Equal(t, "acme-c2", w.open("acme", "2026-02").Contract.ID)

	cycles := w.db.NewCycles()
	_, err = cycles.OpenCycle(w.ctx, "acme", w.month("2026-03"), "wf", time.Date(2026, 4, 3, 23, 59, 59, 0, time.UTC))
	require.Equal(t, "period_not_settled", fault.CodeOf(err))
	_, err = cycles.OpenCycle(w.ctx, "acme", w.month("2025-12"), "wf", now)
	require.Equal(t, "period_before_contract", fault.CodeOf(err))
	_, err = cycles.OpenCycle(w.ctx, "nobody", w.month("2026-01"), "wf", now)
	require.Equal(t, "account_not_found", fault.CodeOf(err))
	_, err = cycles.Cycle(w.ctx, "acme.2030-01")
	require.Equal(t, "cycle_not_found", fault.CodeOf(err))
}

// The collection is frozen: whoever comes second changes nothing; tables and readouts
// come back to the bit.
func TestCollectionsAreFrozen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cycles, cy := w.db.NewCycles(), w.open("acme", "2026-01")
	table, err := lift.NewUnitTable("s-a", []string{"tenure", "seats"}, []lift.UnitRow{
		{UnitID: "u1", Arm: lift.ArmPolicy, BaselineProb: 0.2, YMinor: -5, Features: []float64{1.0 / 3, 1e-300}, FirstExposure: day(2)},
		{UnitID: "ünit 2", Arm: lift.ArmHoldout, BaselineProb: 0.1 + 0.2, YMinor: 1 << 60, Features: []float64{0, 1e300}, FirstExposure: day(3)},
	})
	require.NoError(t, err)
	layout, err := table.Layout(cy.Plan.Plan())
	require.NoError(t, err)
	col := measure.Collection{Watermark: now, SourceWatermark: now, InputDigest: "d", PaidMinor: 7, Tables: []measure.Table{{
		UnitTable: table, Layout: layout, Inputs: lift.Inputs{Watermark: now, UnitDigest: table.Digest(), Units: 2}, Evidence: lift.Evidence{Environment: account.Live, Look: lift.LookMonth},
	}}}
	require.NoError(t, cycles.SaveCollection(w.ctx, cy, col, now))
	other := col
	other.InputDigest, other.Tables = "other", nil
	require.NoError(t, cycles.SaveCollection(w.ctx, cy, other, now))
	require.Equal(t, "d", one[string](w, "SELECT input_digest FROM cycles"))
	cy, err = cycles.Cycle(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Equal(t, now.Truncate(time.Microsecond), cy.Watermark)
	require.Equal(t, billing.Computing, cy.State)
	heads, err := cycles.Heads(w.ctx, cy)
	require.NoError(t, err)
	frozen := col.Tables[0]
	require.Empty(t, cmp.Diff([]measure.Head{{SnapshotID: "s-a", Layout: layout, Inputs: frozen.Inputs, Evidence: frozen.Evidence}}, heads))
	back, err := lift.NewUnitTable("s-a", table.Features, w.frozenUnits(cy, "s-a", 0, ope.Buckets))
	require.NoError(t, err)
	require.Equal(t, table.Digest(), back.Digest())
	w.requireMomentsAreKept(cycles, cy, heads[0], table)

	first := w.readouts(cy, 100_000)
	require.NoError(t, cycles.SaveReadouts(w.ctx, cy, first, nil, now))
	require.NoError(t, cycles.SaveReadouts(w.ctx, cy, first, nil, now), "the same cases again")
	err = cycles.SaveReadouts(w.ctx, cy, w.readouts(cy, 100_001), nil, now)
	require.Equal(t, "readout_differs", fault.CodeOf(err))
	previous, err := cycles.PreviousCase(w.ctx, w.later(cy), "s-a")
	require.NoError(t, err)
	require.Equal(t, first[0].CaseID, previous)
	judged, err := w.db.NewInvoicing().Judged(w.ctx, cy.ID)
	require.NoError(t, err)
	for i, id := range []int{3, 0, 1, 2} {
		require.Equal(t, first[id].CaseID, judged.Readouts[i].CaseID)
		require.Equal(t, first[id].Verdict.Passed, judged.Readouts[i].Verdict.Passed)
	}
}

// The intent of a proposed cycle, and what its end means for the months after it. What
// every ledger of intents must do is in pipelinetest.HoldToContract.
func TestIntents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.propose("acme", "2026-01", 100_000)
	require.Equal(t, billing.Writing, cy.State)
	ledger := w.db.NewInvoicing()
	in, err := ledger.Intent(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Equal(t, in.Plan.Key.ID(), in.ID)
	require.Equal(t, billing.IntentPlanned, in.State)
	in = w.finish(cy.ID)
	require.Equal(t, billing.IntentReleased, in.State)
	require.Equal(t, in.Plan.TotalMinor(), *in.StripeTotal)
	require.Equal(t, "already_final", fault.CodeOf(ledger.Unpin(w.ctx, in.ID, in.InvoiceID, now)))
	require.True(t, fault.Is(ledger.Move(w.ctx, cy.ID, billing.Writing, "", now), fault.Conflict))
	_, err = ledger.Intent(w.ctx, "trial.2026-01")
	require.Equal(t, "intent_not_found", fault.CodeOf(err))

	// What was billed is the mark of the next month; until then the earlier one is open.
	second := w.propose("acme", "2026-02", 150_000)
	require.Equal(t, int64(100_000), one[int64](w, "SELECT high_water_from FROM cycle_lines WHERE cycle_id = $1 AND snapshot_id = 's-a'", second.ID))
	w.open("acme", "2026-03")
	require.NoError(t, w.exec("INSERT INTO readouts SELECT 'aaaaaaaaaaaaaaaaaaaaaaaaaa', previous_case_id, 'acme.2026-03', environment, account_id, snapshot_id, period, currency, units, holdout_units, observed_minor, lift, counterfactual, se, variance_cr, variance_b, variance_0, interval_low, interval_high, bound, z, ess, verdict, headline, explanation, checks, plan_hash, estimator, manifest, build, created_at FROM readouts WHERE cycle_id = $1 AND snapshot_id = 's-a'", cy.ID))
	_, err = ledger.Judged(w.ctx, "acme.2026-03")
	require.Equal(t, "case_id_mismatch", fault.CodeOf(err), "an edited readout is refused")
}

func TestDuePeriods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cycles, cal := w.db.NewCycles(), billing.Calendar{TimeZone: "UTC", CloseLagDays: 3}
	due := func(env account.Environment, at time.Time) map[period.Month]int {
		got, err := cycles.DuePeriods(w.ctx, env, cal, at)
		require.NoError(t, err)
		return got
	}
	require.Empty(t, due(account.Live, time.Date(2026, 2, 3, 23, 59, 59, 0, time.UTC)))
	require.Equal(t, map[period.Month]int{w.month("2026-01"): 1}, due(account.Live, time.Date(2026, 2, 4, 0, 0, 0, 0, time.UTC)))
	w.propose("trial", "2026-01", 100_000)
	at := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
	require.Equal(t, map[period.Month]int{w.month("2026-02"): 1}, due(account.Test, at), "a dry run is finished")
	ids, err := cycles.ListAccounts(w.ctx, billing.Cohort{Environment: account.Live, Calendar: cal, Period: w.month("2026-01"), AsOf: at}, "", 10)
	require.NoError(t, err)
	require.Equal(t, []string{"acme"}, ids)
	ids, err = cycles.ListAccounts(w.ctx, billing.Cohort{Environment: account.Live, Calendar: cal, Period: w.month("2026-01"), AsOf: at}, "acme", 10)
	require.NoError(t, err)
	require.Empty(t, ids)
	calendars, err := cycles.Calendars(w.ctx)
	require.NoError(t, err)
	require.Equal(t, map[account.Environment][]billing.Calendar{account.Live: {cal}, account.Test: {cal}}, calendars)
	total, states, err := cycles.Counts(w.ctx, billing.Cohort{Environment: account.Test, Calendar: cal, Period: w.month("2026-01"), AsOf: at})
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, map[billing.CycleState]int{billing.DryRun: 1}, states)
}

// later is a cycle's account a month later.
func (w *world) later(cy measure.Cycle) measure.Cycle {
	return measure.Cycle{ID: billing.CycleID(cy.Account.ID, cy.Period.Add(1)), Account: cy.Account, Period: cy.Period.Add(1), Revision: 1}
}

// frozenUnits reads units as the estimator does, each copied out of the stream.
func (w *world) frozenUnits(cy measure.Cycle, snapshotID string, from, to int) []lift.UnitRow {
	w.t.Helper()
	var out []lift.UnitRow
	for u, err := range w.db.NewCycles().Units(w.ctx, cy, snapshotID)(from, to) {
		require.NoError(w.t, err)
		require.Equal(w.t, int(ope.BucketOf(u.Row.UnitID)), u.Bucket)
		row := *u.Row
		row.Features = slices.Clone(row.Features)
		out = append(out, row)
	}
	return out
}

// requireMomentsAreKept: what one worker leaves is what another one finds, a range is
// whole only when every bucket was read, and a reader may stop in the middle.
func (w *world) requireMomentsAreKept(cycles *postgres.Cycles, cy measure.Cycle, h measure.Head, table lift.UnitTable) {
	w.t.Helper()
	src := cycles.Units(w.ctx, cy, h.SnapshotID)
	want, err := lift.MomentsOf(h.Layout, table.Stream(), 0, ope.Buckets, "")
	require.ErrorContains(w.t, err, "beyond 2^53", "the table of this test is refused, so only its empty part is kept")
	require.Empty(w.t, want)
	for _, err := range src(0, ope.Buckets) {
		require.NoError(w.t, err)
		break
	}
	filled := int(ope.BucketOf(table.Rows[0].UnitID))
	none, whole, err := cycles.Moments(w.ctx, cy, h, 0, filled)
	require.NoError(w.t, err)
	require.Empty(w.t, none)
	require.False(w.t, whole)
	m, err := lift.MomentsOf(h.Layout, src, filled, filled+1, "")
	require.NoError(w.t, err)
	for range 2 {
		require.NoError(w.t, cycles.SaveMoments(w.ctx, cy, h.SnapshotID, filled, filled+2, m))
	}
	kept, whole, err := cycles.Moments(w.ctx, cy, h, filled, filled+2)
	require.NoError(w.t, err)
	require.True(w.t, whole)
	require.Len(w.t, kept, 1)
	require.Equal(w.t, m[0].Partial.Bytes(), kept[0].Partial.Bytes())
	require.Equal(w.t, m[0].Leaf, kept[0].Leaf)
	_, whole, err = cycles.Moments(w.ctx, cy, h, filled, filled+3)
	require.NoError(w.t, err)
	require.False(w.t, whole)
}
