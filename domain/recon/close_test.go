package recon_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

// ready is a month that can be closed.
func ready() recon.Month {
	return recon.Month{
		AccountID: "acme", Period: "2026-10", CycleState: "invoiced", Ended: true, ChangedAt: inside, RunID: 7, ComparedAt: after,
		TieOut: recon.NewTieOut([]recon.Sum{{Line: recon.Revenue, Currency: "usd", LeftMinor: 900, RightMinor: 900}}, nil),
	}
}

func TestAMonthIsClosedWhenNothingIsInTheWay(t *testing.T) {
	t.Parallel()
	c, err := ready().Close(nina, after)
	require.NoError(t, err)
	require.Equal(t, recon.Closing{AccountID: "acme", Period: "2026-10", Action: recon.Closed, RunID: 7, Actor: nina, At: after}, c)
	for code, spoil := range map[string]func(*recon.Month){
		"month_closed":       func(m *recon.Month) { m.Last = recon.Closed },
		"cycle_not_over":     func(m *recon.Month) { m.Ended, m.CycleState = false, "awaiting_approval" },
		"month_not_compared": func(m *recon.Month) { m.RunID = 0 },
		"month_blocked": func(m *recon.Month) {
			b, _ := recon.NewBreak("acme", "2026-10", amountBreak(870), inside)
			m.Breaks = []recon.Break{b}
		},
		"month_does_not_tie": func(m *recon.Month) {
			m.TieOut = recon.NewTieOut([]recon.Sum{{Line: recon.Revenue, Currency: "usd", LeftMinor: 900, RightMinor: 800}}, nil)
		},
	} {
		m := ready()
		spoil(&m)
		_, err := m.Close(nina, after)
		require.Equal(t, code, fault.CodeOf(err))
		require.Equal(t, code, fault.CodeOf(m.Obstacle()))
	}
	m := ready()
	require.NoError(t, m.Obstacle())
	m.ComparedAt = inside.Add(-time.Second)
	_, err = m.Close(nina, after)
	require.Equal(t, "month_not_compared", fault.CodeOf(err), "the cycle has changed since")
	m = ready()
	b, _ := recon.NewBreak("acme", "2026-10", amountBreak(870), inside)
	m.Breaks = []recon.Break{b}
	_, err = m.Close(nina, after)
	require.ErrorContains(t, err, "1 breaks keep 2026-10 from being closed: amount_differs of in_1")
}

func TestAMonthIsReopenedWithAReason(t *testing.T) {
	t.Parallel()
	m := ready()
	_, err := m.Reopen(nina, "late", after)
	require.Equal(t, "month_open", fault.CodeOf(err))
	m.Last, m.LastBy = recon.Closed, nina
	_, err = m.Reopen(omar, " ", after)
	require.Equal(t, "text_missing", fault.CodeOf(err))
	for _, same := range []recon.Actor{nina, ninas, {ID: nina.ID}} {
		_, err = m.Reopen(same, "late", after)
		require.Equal(t, "four_eyes", fault.CodeOf(err), "whoever closed it, by whatever token")
	}
	c, err := m.Reopen(omar, " a late letter ", after)
	require.NoError(t, err)
	require.Equal(t, recon.Closing{AccountID: "acme", Period: "2026-10", Action: recon.Reopened, Actor: omar, Reason: "a late letter", At: after}, c)
	m.LastBy = recon.Actor{ID: "cli:root"}
	_, err = m.Reopen(recon.Actor{ID: "cli:root"}, "late", after)
	require.Equal(t, "four_eyes", fault.CodeOf(err))
	_, err = m.Reopen(recon.Actor{ID: "cli:kim"}, "late", after)
	require.NoError(t, err, "two operators are two")
}

// TestNoBlockedMonthIsClosed: whatever breaks a month has, it closes only when none of them
// is pending and severe, and the refusal counts them.
func TestNoBlockedMonthIsClosed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, blocking := ready(), 0
		for range rapid.IntRange(0, 9).Draw(t, "breaks") {
			f := recon.Finding{Type: rapid.SampledFrom(recon.Rules()).Draw(t, "rule").Type, Subject: rapid.StringN(1, 4, 8).Draw(t, "subject")}
			b, _ := recon.NewBreak("acme", "2026-10", f, inside)
			b.State = rapid.SampledFrom(recon.States()).Draw(t, "state")
			if b.State.Pending() && b.Rule().Severity.Blocks() {
				blocking++
			}
			m.Breaks = append(m.Breaks, b)
		}
		_, err := m.Close(nina, after)
		require.Len(t, m.Blocking(), blocking)
		require.Equal(t, blocking > 0, fault.CodeOf(err) == "month_blocked")
		require.Equal(t, blocking == 0, err == nil)
	})
}
