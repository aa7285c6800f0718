package recon_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

var (
	nina  = recon.Actor{ID: "user:nina", Person: "nina"}
	ninas = recon.Actor{ID: "token:1", Person: "nina"}
	omar  = recon.Actor{ID: "user:omar", Person: "omar"}
)

func amountBreak(minor int64) recon.Finding {
	return window.Judge(recon.Pair{Kind: recon.Payment, ID: "in_1", Ours: booked(900, inside), Theirs: paid(minor, inside)})[0]
}

func critical() recon.Finding {
	return window.Judge(recon.Pair{Kind: recon.Payment, ID: "in_1", Ours: booked(900, inside)})[0]
}

func TestASecondRunFindsTheSameBreak(t *testing.T) {
	t.Parallel()
	b, c := recon.NewBreak("acme", "2026-10", amountBreak(870), inside)
	require.Equal(t, recon.Detected, c.Action)
	require.Len(t, b.ID, 26)
	again, _ := recon.NewBreak("acme", "2026-10", amountBreak(860), after)
	require.Equal(t, b.ID, again.ID, "another amount is the same break")
	other, _ := recon.NewBreak("acme", "2026-11", amountBreak(870), after)
	require.NotEqual(t, b.ID, other.ID)
	_, ok := b.SeenAgain(amountBreak(870), after)
	require.False(t, ok)
	require.Equal(t, after, b.LastSeen)
	require.Equal(t, inside, b.FirstSeen)
	c, ok = b.SeenAgain(amountBreak(860), after)
	require.True(t, ok)
	require.Equal(t, recon.Changed, c.Action)
}

func TestWhatWasSettledStaysSettledWhileBothSidesSayTheSame(t *testing.T) {
	t.Parallel()
	b, _ := recon.NewBreak("acme", "2026-10", amountBreak(870), inside)
	_, err := b.Assign(nina, "nina", inside)
	require.NoError(t, err)
	require.Equal(t, recon.Assigned, b.State)
	c, err := b.ResolveWith(nina, recon.Explained, "a fee of the bank", inside)
	require.NoError(t, err)
	require.Equal(t, recon.Explained, c.Reason)
	_, ok := b.SeenAgain(amountBreak(870), after)
	require.False(t, ok)
	require.Equal(t, recon.Resolved, b.State)
	_, ok = b.Unseen(after)
	require.False(t, ok, "it stays as it was explained")
	c, ok = b.SeenAgain(amountBreak(800), after)
	require.True(t, ok)
	require.Equal(t, recon.Assigned, c.To, "with its owner")
	require.Empty(t, b.Reason)
}

func TestGoneAndBack(t *testing.T) {
	t.Parallel()
	b, _ := recon.NewBreak("acme", "2026-10", amountBreak(870), inside)
	c, ok := b.Repair(inside, "read again")
	require.True(t, ok)
	require.Equal(t, recon.Waiting, c.To)
	_, ok = b.Repair(inside, "read again")
	require.False(t, ok, "asked for once")
	c, ok = b.Unseen(after)
	require.True(t, ok)
	require.Equal(t, recon.AutoRepaired, c.To)
	c, ok = b.SeenAgain(amountBreak(870), after)
	require.True(t, ok)
	require.Equal(t, recon.Returned, c.Action)
	c, _ = b.Unseen(after)
	require.Equal(t, recon.Gone, c.To)
	c, err := b.ReopenFor(nina, "it is not gone", after)
	require.NoError(t, err)
	require.Equal(t, recon.Open, c.To)
	_, err = b.ReopenFor(nina, "again", after)
	require.Equal(t, "break_open", fault.CodeOf(err))
}

func TestCriticalBreaksNeedASecondPerson(t *testing.T) {
	t.Parallel()
	b, _ := recon.NewBreak("acme", "2026-10", critical(), inside)
	_, err := b.ResolveWith(nina, recon.Explained, "looked at it", inside)
	require.Equal(t, "second_person_needed", fault.CodeOf(err))
	_, err = b.ForceBy(omar, "fine", inside)
	require.Equal(t, "force_not_requested", fault.CodeOf(err))
	_, err = b.RequestForce(nina, recon.WrittenOff, "deleted test data", inside)
	require.NoError(t, err)
	for _, by := range []recon.Actor{nina, ninas} {
		_, err = b.ForceBy(by, "fine", inside)
		require.Equal(t, "four_eyes", fault.CodeOf(err), by.ID)
	}
	_, err = b.ForceBy(recon.Actor{ID: "token:2"}, "fine", inside)
	require.Equal(t, "approver_not_a_person", fault.CodeOf(err))
	c, err := b.ForceBy(omar, "seen the export", inside)
	require.NoError(t, err)
	require.Equal(t, recon.Forced, c.To)
	require.Equal(t, recon.WrittenOff, c.Reason)
	require.Equal(t, nina, b.RequestedBy)
	require.Equal(t, omar, b.ForcedBy)
}

func TestForceIsForWhatWasSeen(t *testing.T) {
	t.Parallel()
	b, _ := recon.NewBreak("acme", "2026-10", amountBreak(870), inside)
	_, err := b.RequestForce(nina, recon.Accepted, "small", inside)
	require.NoError(t, err)
	_, err = b.ResolveWith(nina, recon.Accepted, "small", inside)
	require.Equal(t, "force_requested", fault.CodeOf(err))
	_, ok := b.SeenAgain(amountBreak(1), after)
	require.True(t, ok)
	_, err = b.ForceBy(omar, "fine", after)
	require.Equal(t, "force_not_requested", fault.CodeOf(err), "the amount is another one now")
	_, err = b.RequestForce(nina, recon.Accepted, "not so small", inside)
	require.NoError(t, err)
	c, err := b.DeclineForce(omar, "no", after)
	require.NoError(t, err)
	require.Equal(t, recon.Open, c.To)
}

func TestTexts(t *testing.T) {
	t.Parallel()
	b, _ := recon.NewBreak("acme", "2026-10", amountBreak(870), inside)
	for _, link := range []string{"javascript:alert(1)", "https://user:pw@example.com/x", "no", "https://"} {
		_, err := b.Note(nina, "see", link, inside)
		require.Equal(t, "link_malformed", fault.CodeOf(err), link)
	}
	_, err := b.Note(nina, " ", "", inside)
	require.Equal(t, "text_missing", fault.CodeOf(err))
	c, err := b.Note(nina, "the bank's letter", "https://files.example.com/1", inside)
	require.NoError(t, err)
	require.Equal(t, recon.Linked, c.Action)
	require.Equal(t, recon.Open, b.State)
	_, err = b.ResolveWith(nina, "because", "x", inside)
	require.Equal(t, "reason_unknown", fault.CodeOf(err))
	_, err = b.ResolveWith(nina, recon.Tolerated, "x", inside)
	require.Equal(t, "reason_unknown", fault.CodeOf(err), "only the tolerance says so")
}

// TestLivesAreChains: whatever happens to a break, each change begins where the last one
// ended, and no break is settled by one person alone that needs two.
func TestLivesAreChains(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := amountBreak(870)
		if rapid.Bool().Draw(t, "critical") {
			first = critical()
		}
		b, c := recon.NewBreak("acme", "2026-10", first, inside)
		at, state := inside, c.To
		who := rapid.SampledFrom([]recon.Actor{nina, ninas, omar, {ID: "token:2"}})
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			at = at.Add(time.Hour)
			by := who.Draw(t, "by")
			var err error
			ok := true
			switch rapid.SampledFrom([]string{"seen", "changed", "unseen", "repair", "assign", "resolve", "ask", "force", "decline", "reopen", "note", "tolerate"}).Draw(t, "step") {
			case "seen":
				c, ok = b.SeenAgain(b.Finding, at)
			case "changed":
				f := b.Finding
				f.AmountMinor++
				c, ok = b.SeenAgain(f, at)
			case "unseen":
				c, ok = b.Unseen(at)
			case "repair":
				c, ok = b.Repair(at, "read")
			case "tolerate":
				c, ok = b.Tolerate(at, "small")
			case "assign":
				c, err = b.Assign(by, rapid.SampledFrom([]string{"", "nina"}).Draw(t, "owner"), at)
			case "resolve":
				c, err = b.ResolveWith(by, recon.Explained, "x", at)
			case "ask":
				c, err = b.RequestForce(by, recon.Explained, "x", at)
			case "force":
				c, err = b.ForceBy(by, "x", at)
				if err == nil {
					require.NotEqual(t, b.RequestedBy.Person, by.Person)
				}
			case "decline":
				c, err = b.DeclineForce(by, "x", at)
			case "reopen":
				c, err = b.ReopenFor(by, "x", at)
			default:
				c, err = b.Note(by, "x", "", at)
			}
			if err != nil || !ok {
				require.Equal(t, state, b.State, "what was refused changes nothing")
				continue
			}
			require.Equal(t, state, c.From)
			require.Equal(t, b.State, c.To)
			state = c.To
			require.True(t, slices.Contains(recon.States(), state))
			require.False(t, c.Action == recon.Resolve && c.Actor != recon.Machine() && b.Rule().Severity == recon.Critical)
			require.Equal(t, state == recon.Forced, b.ForcedBy != recon.Actor{})
		}
	})
}
