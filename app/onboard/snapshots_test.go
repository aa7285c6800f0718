package onboard_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// TestASnapshotNeverChanges: the same ID with other content is refused and the attempt is
// written down with what stands and what was asked for; a retirement holds from a moment
// on, once, and everything about it that would change it is refused and written down.
func TestASnapshotNeverChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	_, _, err := w.svc.SealPlan(w.ctx, by, "acme", onboard.PlanInput{ID: "p1", Plan: plan(t, "2026-10", 2), SaltHex: saltHex})
	require.NoError(t, err)
	shipped, _, err := w.svc.ShipSnapshot(w.ctx, by, "acme", onboard.SnapshotInput{ID: "s", Name: "First"})
	require.NoError(t, err)
	_, _, err = w.svc.ShipSnapshot(w.ctx, by, "acme", onboard.SnapshotInput{ID: "s", Name: "Second"})
	require.Equal(t, "snapshot_exists", fault.CodeOf(err))

	for code, in := range map[string]onboard.RetirementInput{
		"reason_length":          {SnapshotID: "s", Reason: "  "},
		"retired_before_shipped": {SnapshotID: "s", Reason: "late", RetiredAt: shipped.ShippedAt.Add(-time.Second)},
		"snapshot_not_found":     {SnapshotID: "nobody", Reason: "late"},
	} {
		_, _, err := w.svc.RetireSnapshot(w.ctx, by, "acme", in)
		require.Equal(t, code, fault.CodeOf(err))
	}
	at := shipped.ShippedAt.Add(time.Hour)
	first, created, err := w.svc.RetireSnapshot(w.ctx, by, "acme", onboard.RetirementInput{SnapshotID: "s", Reason: "replaced", RetiredAt: at})
	require.NoError(t, err)
	require.True(t, created)
	w.svc.Clock = clock.Fixed(now.Add(2 * time.Hour))
	for _, again := range []onboard.RetirementInput{{SnapshotID: "s", Reason: "replaced", RetiredAt: at}, {SnapshotID: "s", Reason: "replaced"}} {
		got, created, err := w.svc.RetireSnapshot(w.ctx, by, "acme", again)
		require.NoError(t, err)
		require.False(t, created)
		require.Equal(t, first, got)
	}
	_, _, err = w.svc.RetireSnapshot(w.ctx, by, "acme", onboard.RetirementInput{SnapshotID: "s", Reason: "replaced", RetiredAt: at.Add(time.Hour)})
	require.Equal(t, "snapshot_retired", fault.CodeOf(err))
	finance := access.Principal{Kind: access.User, ID: "f", Roles: access.Roles{access.Finance}, Scope: access.Everything()}
	_, _, err = w.svc.RetireSnapshot(w.ctx, finance, "acme", onboard.RetirementInput{SnapshotID: "s", Reason: "replaced", RetiredAt: at})
	require.True(t, fault.Is(err, fault.Forbidden))

	var told []string
	for _, e := range w.entries(t) {
		if e.Object == "snapshot" {
			told = append(told, string(e.Action)+" "+string(e.Outcome)+" "+e.Before+" > "+e.After)
		}
	}
	when := func(t time.Time) string { return t.Format(time.RFC3339) }
	require.Equal(t, []string{
		`snapshot.shipped done  > {"name":"First","shipped_at":"` + when(shipped.ShippedAt) + `"}`,
		`snapshot.shipped refused {"name":"First","shipped_at":"` + when(shipped.ShippedAt) + `"} > {"name":"Second","shipped_at":"` + when(shipped.ShippedAt) + `"}`,
		`snapshot.retired done  > {"reason":"replaced","retired_at":"` + when(at) + `"}`,
		`snapshot.retired refused {"reason":"replaced","retired_at":"` + when(at) + `"} > {"reason":"replaced","retired_at":"` + when(at.Add(time.Hour)) + `"}`,
	}, told)
}
