package campaign_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/internal/campaign"
	"github.com/liftbill/liftbill/internal/campaign/pgledger"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// carryOut runs schedules and demands that the auditor objects to nothing.
func carryOut(t *testing.T, schedules []campaign.Schedule, open func(campaign.Schedule) campaign.Ledger) *campaign.Tally {
	t.Helper()
	if open == nil {
		open = func(campaign.Schedule) campaign.Ledger { return campaign.NewMemory() }
	}
	tally, err := campaign.All(t.Context(), schedules, 2, open, nil)
	require.NoError(t, err)
	require.Equal(t, len(schedules), tally.Schedules)
	var text bytes.Buffer
	require.NoError(t, tally.Print(&text))
	require.Empty(t, tally.Wrong, text.String())
	t.Log(text.String())
	return tally
}

func ofClass(all []campaign.Schedule, classes ...campaign.Class) []campaign.Schedule {
	var out []campaign.Schedule
	for _, s := range all {
		for _, c := range classes {
			if s.Class == c {
				out = append(out, s)
			}
		}
	}
	return out
}

// systematic is the part of a plan that is the same for every seed.
func systematic() []campaign.Schedule { return campaign.Plan(1, campaign.Systematic()) }

// TestWriteBackFaultMatrix breaks every request of the sequence in every way, and goes on
// at once, when Stripe has pruned the keys, weeks later, and with our metadata cleared.
func TestWriteBackFaultMatrix(t *testing.T) {
	t.Parallel()
	all := ofClass(systematic(), campaign.Single)
	require.Greater(t, len(all), 500)
	carryOut(t, all, nil)
}

// TestWriteBackCrashes ends the process before and after each of its calls, to the ledger
// and to Stripe; a new one goes on, at once or when all keys are pruned.
func TestWriteBackCrashes(t *testing.T) {
	t.Parallel()
	all := ofClass(systematic(), campaign.Crash)
	tally := carryOut(t, all, nil)
	require.Equal(t, len(all), tally.Deaths, "every one of them struck")
}

// TestWriteBackTwoWorkers lets a worker stand still at each of its calls while another
// one carries the invoice out, and lets two go on in an order drawn from a seed.
func TestWriteBackTwoWorkers(t *testing.T) {
	t.Parallel()
	carryOut(t, ofClass(append(systematic(), campaign.Draw(11, 600)...), campaign.Two), nil)
}

// TestWriteBackSchedules is a short campaign.
func TestWriteBackSchedules(t *testing.T) {
	t.Parallel()
	tally := carryOut(t, campaign.Draw(12, 400), nil)
	require.Positive(t, tally.Ends[campaign.Mended])
	require.Positive(t, tally.Ends[campaign.Refused])
}

// TestWriteBackSchedulesOnPostgres runs some on the real ledger.
func TestWriteBackSchedulesOnPostgres(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	var some []campaign.Schedule
	for _, s := range campaign.Draw(13, 60) {
		if s.OnPostgres() && s.Lines < 10 {
			some = append(some, s)
		}
	}
	carryOut(t, some, func(campaign.Schedule) campaign.Ledger { return pgledger.New(l.DB, l.SQL) })
}

// takenBack has somebody take the invoice back before each request, for the month to be written
// as it was, or as another revision, or not at all, and breaks a request of what follows.
func takenBack(kinds []stripefake.FaultKind) []campaign.Schedule {
	var out []campaign.Schedule
	for _, what := range []string{"has the draft taken back", "has the draft taken back for good", "has the month computed again"} {
		for at := range 12 {
			for i, kind := range kinds {
				n := len(out) + 1
				out = append(out, campaign.Schedule{
					Number: n, Seed: uint64(n), Class: campaign.Operator, Lines: 2, Currency: "usd", Workers: 1, Act: &campaign.Act{What: what, At: at},
					Faults: []campaign.Fault{{Kind: kind, At: at + (i+at)%8}},
				})
			}
		}
	}
	return out
}

// TestInvoicesThatAreTakenBack: nothing of them is left, nothing is billed twice, and what is
// computed again is billed as it came out.
func TestInvoicesThatAreTakenBack(t *testing.T) {
	t.Parallel()
	tally := carryOut(t, takenBack(campaign.Kinds()), nil)
	require.Positive(t, tally.Ends[campaign.Dropped])
	require.Positive(t, tally.Ends[campaign.Billed])
}

// TestInvoicesThatAreTakenBackOnPostgres has the product's own desk take them back.
func TestInvoicesThatAreTakenBackOnPostgres(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	all := takenBack([]stripefake.FaultKind{stripefake.FaultDropAfter})
	tally := carryOut(t, all, func(campaign.Schedule) campaign.Ledger { return pgledger.New(l.DB, l.SQL) })
	inMemory := carryOut(t, all, nil)
	require.Equal(t, inMemory.Ends, tally.Ends, "both ledgers take back the same")
}

// TestTestAccountOnPostgres: the database does not even take the cycle at its write-back.
func TestTestAccountOnPostgres(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for _, s := range campaign.Draw(14, 400) {
		if !s.OnPostgres() {
			_, err := campaign.Run(t.Context(), s, pgledger.New(l.DB, l.SQL), nil)
			require.ErrorContains(t, err, "violates check constraint")
			return
		}
	}
	t.Fatal("no schedule has a test account")
}

// TestSchedulesThatFoundADefect runs again what once found one.
func TestSchedulesThatFoundADefect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		seed   uint64
		number int
	}{
		{20261125, 2540},  // a claim that was stored a day after the clock was read for it
		{20261126, 17277}, // a finalize that was sent 40 days after the claim for it
	} {
		plan := campaign.Plan(c.seed, max(c.number+1, 30_000))
		i := slices.IndexFunc(plan, func(s campaign.Schedule) bool { return s.Number == c.number })
		require.Contains(t, plan[i].String(), "stands still")
		carryOut(t, plan[i:i+1], nil)
	}
}

// The same seed gives the same campaign.
func TestPlansAreRepeatable(t *testing.T) {
	t.Parallel()
	one, other := campaign.Plan(5, 2_000), campaign.Plan(5, 2_000)
	require.Equal(t, one, other)
	require.NotEqual(t, campaign.Plan(5, 2_000), campaign.Plan(6, 2_000))
	for _, s := range campaign.Draw(5, 40) {
		first, err := campaign.Run(t.Context(), s, campaign.NewMemory(), nil)
		require.NoError(t, err)
		again, err := campaign.Run(t.Context(), s, campaign.NewMemory(), nil)
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
}
