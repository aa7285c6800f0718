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

// TestASkippedMonthConsumesNothing: a skipped cycle is finished, gets no invoice, and what
// was measured in it is billed by the next month; one whose invoice may be at Stripe is
// not skipped.
func TestASkippedMonthConsumesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	desk := &invoicing.Decisions{Work: w.db.Deciding(), Clock: clock.Fixed(now)}
	skip := func(cycleID, reason string) (invoicing.Standing, error) {
		return desk.Decide(w.ctx, access.Operator("kim"), invoicing.Wish{CycleID: cycleID, Action: billing.ActSkip, Reason: reason})
	}
	require.NoError(t, w.exec("UPDATE connections SET write_back = false WHERE id = 'acme'"))
	first := w.propose("acme", "2026-01", 100_000)
	require.Equal(t, billing.Blocked, first.State)
	_, err := skip(first.ID, " ")
	require.Equal(t, "reason_missing", fault.CodeOf(err))
	_, err = skip("nobody.2026-01", "why not")
	require.Equal(t, "cycle_not_found", fault.CodeOf(err))
	out, err := skip(first.ID, "the pilot month is free")
	require.NoError(t, err)
	require.Equal(t, billing.Skipped, out.State)
	require.True(t, out.State.Terminal())
	_, err = skip(first.ID, "again")
	require.Equal(t, "cycle_state", fault.CodeOf(err))
	_, err = (&invoicing.Service{Ledger: w.db.NewInvoicing(), Clock: clock.Fixed(now)}).Draft(w.ctx, first.ID)
	require.NoError(t, err)
	require.Equal(t, "skipped", one[string](w, "SELECT state FROM cycles WHERE id = $1", first.ID), "a run does not undo it")

	require.NoError(t, w.exec("UPDATE connections SET write_back = true WHERE id = 'acme'"))
	second := w.propose("acme", "2026-02", 150_000)
	require.Equal(t, billing.Writing, second.State)
	require.Equal(t, []any{int64(0), one[int64](w, "SELECT measured_minor FROM cycle_lines WHERE cycle_id = $1 AND snapshot_id = 's-a'", second.ID)},
		[]any{one[int64](w, "SELECT high_water_from FROM cycle_lines WHERE cycle_id = $1 AND snapshot_id = 's-a'", second.ID), one[int64](w, "SELECT base_minor FROM cycle_lines WHERE cycle_id = $1 AND snapshot_id = 's-a'", second.ID)},
		"the year's lift up to the second month, all of it")
	require.Equal(t, "usr_ada", one[string](w, "SELECT actor_id FROM cycle_decisions WHERE cycle_id = $1", second.ID), "the skipped month was no first invoice")
	due, err := w.db.NewCycles().DuePeriods(w.ctx, account.Live, billing.DefaultTerms().CalendarOf(), now.AddDate(0, 1, 0))
	require.NoError(t, err)
	require.NotContains(t, due, first.Period, "a skipped month is not due again")

	// Begun at Stripe, then blocked: not skipped, because a draft may be there.
	ledger := w.db.NewInvoicing()
	in, err := ledger.Intent(w.ctx, second.ID)
	require.NoError(t, err)
	require.NoError(t, ledger.Pin(w.ctx, in.ID, "in_1", now))
	require.NoError(t, ledger.Move(w.ctx, second.ID, billing.Blocked, billing.UnmetPayerEmail, now))
	_, err = skip(second.ID, "too late")
	require.Equal(t, "writing_begun", fault.CodeOf(err))
}
