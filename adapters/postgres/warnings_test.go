package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
)

func (w *world) warnings(cycleID string) map[string]reconcile.Warning {
	w.t.Helper()
	tie, err := w.db.NewReader().TieOut(w.ctx, cycleID)
	require.NoError(w.t, err)
	out := map[string]reconcile.Warning{}
	for _, warning := range tie.Warnings {
		out[warning.Code] = warning
	}
	return out
}

// An open month warns of customers that moved and of contested ones; a frozen month says
// that what came later changes nothing, and its figures stay.
func TestCyclesWarnOfMappings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_1", "customer.created", day(1), w.customer("cus_1", "u-1", day(1)), nil)
	w.paid(5, "cus_1")
	w.paid(6, "cus_2")
	w.drain()
	cy := w.open("acme", "2026-01")
	require.Empty(t, w.warnings(cy.ID))
	w.deliver("evt_2", "customer.updated", day(10), w.customer("cus_1", "u-2", day(1)), obj{"metadata": obj{"user_id": "u-1"}})
	w.drain()
	w.link("cus_2", "u-3", time.Time{})
	w.deliver("evt_3", "customer.updated", day(3), w.customer("cus_2", "u-4", day(1)), obj{"metadata": obj{"user_id": nil}})
	w.drain()
	got := w.warnings(cy.ID)
	require.Len(t, got, 2)
	require.EqualValues(t, 1, got[reconcile.WarnMoved].Count)
	require.Contains(t, got[reconcile.WarnMoved].Message, "cus_1, from u-1 to u-2 on 2026-01-10")
	require.Contains(t, got[reconcile.WarnConflict].Message, "cus_2")

	require.NoError(t, w.db.NewCycles().SaveCollection(w.ctx, cy, measure.Collection{Watermark: now, SourceWatermark: now, InputDigest: "x", PaidMinor: 1100,
		Buckets: []measure.Bucket{{Name: "unmapped", Currency: "usd", SumMinor: 1100, Events: 2}}}, now))
	before, err := w.db.NewReader().TieOut(w.ctx, cy.ID)
	require.NoError(t, err)
	service := w.mapping()
	service.Clock = clock.Fixed(now.Add(time.Hour))
	_, _, err = service.Link(w.ctx, mapping.LinkInput{ConnectionID: "acme", Customer: "cus_1", User: "u-9", From: day(12)}, anna)
	require.NoError(t, err)
	got = w.warnings(cy.ID)
	require.EqualValues(t, 1, got[reconcile.WarnLate].Count)
	require.EqualValues(t, 1, got[reconcile.WarnMoved].Count, "what was known before the freeze")
	after, err := w.db.NewReader().TieOut(w.ctx, cy.ID)
	require.NoError(t, err)
	before.Warnings, after.Warnings = nil, nil
	require.Equal(t, before, after, "a frozen month does not change")

	require.NoError(t, w.stores(func(st onboard.Stores) error {
		return st.Connections.SavePause(w.ctx, account.Connection{ID: "acme", Paused: true, PausedReason: account.PauseKeyRevoked, PausedBy: "liftbill", PausedAt: now})
	}))
	require.Contains(t, w.warnings(cy.ID)[reconcile.WarnSourcePaused].Message, "key_revoked")
}
