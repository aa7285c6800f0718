package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// A correction that waits for the next cycle is one line of it, tied to its month and line,
// whatever month comes to be priced, and never a line of a second one.
func TestCorrectionsAreDueOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("due", account.Live)
	w.accountUnder("due", account.Live, func(*billing.Terms) {})
	finance := access.Principal{Kind: access.User, ID: "usr_f", Name: "f", Person: "f", Roles: access.Roles{access.Finance}, Scope: access.Everything()}
	approver := access.Principal{Kind: access.User, ID: "usr_a", Name: "a", Person: "a", Roles: access.Roles{access.Approver}, Scope: access.Everything()}
	s := &invoicing.Service{Ledger: w.db.NewInvoicing(), Corrections: w.db.NewCorrections(), Clock: clock.Fixed(now)}
	first := w.propose("due", "2026-01", 100_000)
	want := invoicing.Wanted{CycleID: first.ID, Line: "s-a", TooMuchMinor: 4_000, NextCycle: true, Reason: "a user was counted twice"}
	_, err := s.ProposeCorrection(w.ctx, finance, want)
	require.Equal(t, "not_released", fault.CodeOf(err))
	w.finish(first.ID)
	c, err := s.ProposeCorrection(w.ctx, finance, want)
	require.NoError(t, err)
	require.Equal(t, billing.CorrectNext, c.Kind)
	want.TooMuchMinor = -1_500
	more, err := s.ProposeCorrection(w.ctx, finance, want)
	require.NoError(t, err)
	for _, id := range []string{c.ID, more.ID} {
		done, err := s.ApproveCorrection(w.ctx, approver, id)
		require.NoError(t, err)
		require.Equal(t, invoicing.CorrectionDone, done.State)
	}

	second := w.propose("due", "2026-02", 150_000)
	got, err := w.db.NewReader().TieOut(w.ctx, second.ID)
	require.NoError(t, err)
	require.Equal(t, int64(10_000-4_000+1_500), got.EngineMinor)
	var lines []string
	for _, x := range got.Charges {
		if x.Kind == "adjustment" {
			lines = append(lines, id("%d %s %s", x.AmountMinor, x.SnapshotID, x.Origin))
		}
	}
	require.ElementsMatch(t, []string{"-4000 s-a 2026-01", "1500 s-a 2026-01"}, lines)
	again, err := s.Draft(w.ctx, second.ID)
	require.NoError(t, err)
	require.Equal(t, int64(7_500), again.TotalMinor, "the stored price holds them still")
	w.finish(second.ID)
	third := w.propose("due", "2026-03", 200_000)
	got, err = w.db.NewReader().TieOut(w.ctx, third.ID)
	require.NoError(t, err)
	require.Equal(t, int64(10_000), got.EngineMinor, "and no other month does")
	w.refused("23001", "UPDATE adjustments SET amount_minor = 1")
	w.refused("23001", "DELETE FROM corrections")
}

// More may be due than a month earns: the rest is a credit of the month after, and no
// invoice is ever negative.
func TestCorrectionsNeverMakeABillNegative(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.propose("acme", "2026-01", 100_000)
	w.finish(first.ID)
	require.NoError(t, w.exec(`INSERT INTO adjustments (id, account_id, environment, origin_cycle, line, reason, happened_at, amount_minor, source, recorded_at)
		VALUES ('adj-1', 'acme', 'live', $1, 's-a', 'correction', now(), -15000, 'c', now())`, first.ID))
	second := w.propose("acme", "2026-02", 150_000) // 10,000 of fees
	require.Equal(t, billing.Withheld, second.State)
	require.Equal(t, string(billing.HeldCredit), one[string](w, "SELECT reason FROM cycles WHERE id = $1", second.ID))
	third := w.propose("acme", "2026-03", 200_000)
	got, err := w.db.NewReader().TieOut(w.ctx, third.ID)
	require.NoError(t, err)
	require.Equal(t, int64(5_000), got.EngineMinor)
}
