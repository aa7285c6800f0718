package recon_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

func TestAges(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]recon.Age{
		0: recon.Days1, 24 * time.Hour: recon.Days1, 25 * time.Hour: recon.Days3, 72 * time.Hour: recon.Days3, 73 * time.Hour: recon.Days7,
		30 * 24 * time.Hour: recon.Days30, 31 * 24 * time.Hour: recon.DaysMore,
	} {
		require.Equal(t, want, recon.AgeOf(after.Add(-d), after), d)
	}
	rapid.Check(t, func(t *rapid.T) {
		first := after.Add(-time.Duration(rapid.Int64Range(0, int64(50*24*time.Hour)).Draw(t, "age")))
		n := 0
		for _, a := range recon.Ages() {
			from, to, err := a.Bounds(after)
			require.NoError(t, err)
			if !first.Before(from) && first.Before(to) {
				n++
				require.Equal(t, a, recon.AgeOf(first, after))
			}
		}
		require.Equal(t, 1, n, "the ages tile the past")
	})
	_, _, err := recon.Age("old").Bounds(after)
	require.Equal(t, "filter_unknown", fault.CodeOf(err))
}

func TestTolerances(t *testing.T) {
	t.Parallel()
	near := window.Judge(recon.Pair{Kind: recon.Payment, ID: "in_2", Ours: booked(900, end.Add(-time.Minute)), Theirs: paid(900, after)})[0]
	all := []recon.Finding{amountBreak(897), amountBreak(896), amountBreak(880), near, critical()}
	require.Empty(t, recon.Tolerance{}.Apply(all), "nothing is tolerated that no term states")
	got := recon.Tolerance{LineMinor: 5, BatchMinor: 7, CutOff: time.Hour}.Apply(all)
	require.Len(t, got, 3)
	require.Contains(t, got, 0)
	require.Contains(t, got, 1)
	require.Contains(t, got, 3)
	require.Empty(t, recon.Tolerance{LineMinor: 5, BatchMinor: 6}.Apply(all), "together they are too much")
	unbalanced := paid(900, inside)
	unbalanced.Balanced = false
	require.Empty(t, recon.Tolerance{LineMinor: 5, BatchMinor: 5}.Apply(window.Judge(recon.Pair{Kind: recon.Payment, ID: "in_1", Ours: booked(900, inside), Theirs: unbalanced})), "it is no amount that is wrong")
	inv := issued()
	inv.NetMinor, inv.TotalMinor = 1499, 1499
	require.Empty(t, recon.Tolerance{LineMinor: 5, BatchMinor: 5}.Apply(recon.JudgeIntent(intent(), []recon.Issued{inv}, nil, true, after)), "an invoice is exact")

	require.NoError(t, recon.Tolerance{LineMinor: 1, BatchMinor: 1, CutOff: time.Hour}.Check())
	for _, bad := range []recon.Tolerance{{LineMinor: -1}, {LineMinor: 2, BatchMinor: 1}, {CutOff: -1}, {CutOff: 100 * time.Hour}} {
		require.Equal(t, "tolerance_range", fault.CodeOf(bad.Check()))
	}
}

func TestLedgerFindings(t *testing.T) {
	t.Parallel()
	sum := func(id string) []recon.Money {
		return []recon.Money{{ID: id, Currency: "usd", AmountMinor: -250, Facts: 2}}
	}
	in := recon.Internals{
		CycleID: "acme.2026-10", Unmapped: sum("cus_1"), Foreign: sum("eur"), NoDecision: sum("usd"), BadDecisions: 3, Late: sum("f1"), Returned: sum("f2"), Disputed: sum("dp_1"), Leaked: sum("evt_9"),
		Digests: []recon.Digest{{"plan", "p", "a", "b"}, {"contract", "c", "x", "x"}}, Replay: &recon.Replay{At: after}, Newest: &recon.Newest{EventID: "evt_1", Created: inside},
		Due: after, CycleState: "computing",
	}
	types := func(all []recon.Finding) []recon.Type {
		var out []recon.Type
		for _, f := range all {
			require.Equal(t, recon.NoLine, f.Line, "no sum of both sides changes")
			out = append(out, f.Type)
		}
		return out
	}
	require.Equal(t, []recon.Type{
		recon.UnmappedCustomer, recon.FXMissing, recon.RewardWithoutDecision, recon.LateEvent, recon.RefundAfterInvoice, recon.OpenDispute, recon.ModeLeak,
		recon.DecisionWithoutPropensity, recon.DigestDiffers, recon.ReplayDiffers, recon.StaleWebhook, recon.ExpectedMissing,
	}, types(window.JudgeLedger(in, after.Add(recon.CycleGrace))))
	require.NotContains(t, types(window.JudgeLedger(in, after)), recon.ExpectedMissing, "it has two days")
	in = recon.Internals{Replay: &recon.Replay{Equal: true}, Newest: &recon.Newest{Here: true}, Due: start, Finished: true}
	require.Empty(t, window.JudgeLedger(in, after.Add(recon.CycleGrace)))
}
