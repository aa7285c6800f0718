package notice_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/notice"
)

var now = time.Date(2026, 11, 4, 6, 0, 0, 0, time.UTC)

func cycle(state billing.CycleState, change func(*notice.Cycle)) notice.Cycle {
	c := notice.Cycle{ID: "acme.2026-10", AccountID: "acme", AccountName: "Acme", Period: "2026-10", Environment: account.Live, State: state,
		Since: now, Until: now.AddDate(0, 0, 5), TotalMinor: 12_345, Currency: "usd"}
	if change != nil {
		change(&c)
	}
	return c
}

func kinds(list []notice.Notice) (out []notice.Kind) {
	for _, n := range list {
		out = append(out, n.Kind)
	}
	return out
}

// Who is told what, by where a cycle stands.
func TestWhoIsToldWhat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cycle notice.Cycle
		at    time.Time
		want  []notice.Kind
	}{
		"waits":           {cycle(billing.AwaitingApproval, nil), now, []notice.Kind{notice.ApprovalWaiting}},
		"the first":       {cycle(billing.AwaitingApproval, func(c *notice.Cycle) { c.RequiresPerson = true }), now, []notice.Kind{notice.FirstInvoice}},
		"reminded":        {cycle(billing.AwaitingApproval, func(c *notice.Cycle) { c.Reminders = 2 }), now, []notice.Kind{notice.ApprovalWaiting, notice.Reminder}},
		"runs out":        {cycle(billing.AwaitingApproval, nil), now.AddDate(0, 0, 4), []notice.Kind{notice.ApprovalWaiting, notice.Expiring}},
		"held":            {cycle(billing.Held, nil), now, nil},
		"held, runs out":  {cycle(billing.Held, nil), now.AddDate(0, 0, 5), []notice.Kind{notice.Expiring}},
		"without an end":  {cycle(billing.AwaitingApproval, func(c *notice.Cycle) { c.Until = time.Time{} }), now.AddDate(1, 0, 0), []notice.Kind{notice.ApprovalWaiting}},
		"expired":         {cycle(billing.Expired, nil), now, []notice.Kind{notice.Expired, notice.Expired}},
		"returned":        {cycle(billing.Returned, func(c *notice.Cycle) { c.Reason = "wrong PO" }), now, []notice.Kind{notice.Returned}},
		"blocked":         {cycle(billing.Blocked, func(c *notice.Cycle) { c.Reason = billing.UnmetPayerMissing }), now, []notice.Kind{notice.Blocked}},
		"needs a person":  {cycle(billing.NeedsHuman, func(c *notice.Cycle) { c.Reason = "total_differs: 1 and 2" }), now, []notice.Kind{notice.NeedsHuman}},
		"nothing to do":   {cycle(billing.Writing, nil), now, nil},
		"nothing to do 2": {cycle(billing.Invoiced, nil), now, nil},
	} {
		got := notice.Of([]notice.Cycle{c.cycle}, nil, c.at)
		require.Equal(t, c.want, kinds(got), name)
		for _, n := range got {
			require.Contains(t, n.Title, "Acme, 2026-10: ", name)
			require.NotEmpty(t, n.Detail, name)
			require.Equal(t, "/cycles/acme.2026-10", n.Path)
		}
	}
	blocked := notice.Of([]notice.Cycle{cycle(billing.Blocked, func(c *notice.Cycle) { c.Reason = billing.UnmetPayerMissing })}, nil, now)[0]
	require.Equal(t, []any{access.Finance, billing.NextAction(billing.Blocked, billing.UnmetPayerMissing)}, []any{blocked.Role, blocked.Next})
	months := notice.Of(nil, []notice.Month{{AccountID: "acme", AccountName: "Acme", Period: "2026-10", Environment: account.Live, Breaks: 1}, {AccountID: "b", AccountName: "B", Period: "2026-09", Environment: account.Test, Breaks: 3}}, now)
	require.Equal(t, "Acme, 2026-10: an open break keeps the month from being closed", months[0].Title)
	require.Equal(t, "B, 2026-09: 3 open breaks keep the month from being closed", months[1].Title)
}

// The key says which deadline and role it is about, never when it was asked: the same wait
// has one key for ever, and another wait another one.
func TestKeysAreNatural(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		state := rapid.SampledFrom([]billing.CycleState{billing.AwaitingApproval, billing.Held, billing.Expired, billing.Returned, billing.Blocked, billing.NeedsHuman}).Draw(rt, "state")
		c := cycle(state, func(c *notice.Cycle) {
			c.Reminders, c.Decisions = rapid.IntRange(0, 3).Draw(rt, "reminders"), rapid.IntRange(0, 3).Draw(rt, "decisions")
			c.RequiresPerson = rapid.Bool().Draw(rt, "first")
			c.Reason = rapid.SampledFrom([]string{"payer_missing", "total_differs: 1"}).Draw(rt, "reason")
		})
		later := time.Duration(rapid.IntRange(0, 200).Draw(rt, "hours")) * time.Hour
		first := map[string]notice.Kind{}
		for _, n := range notice.Of([]notice.Cycle{c}, nil, now) {
			require.NotContains(rt, first, n.ID, "two notices with one key")
			first[n.ID] = n.Kind
			require.Contains(rt, notice.Kinds(), n.Kind)
		}
		for _, n := range notice.Of([]notice.Cycle{c}, nil, now.Add(later)) {
			if _, known := first[n.ID]; !known {
				require.Equal(rt, notice.Expiring, n.Kind, "only time running out is news")
			}
		}
		c.Until = c.Until.Add(time.Hour)
		if state == billing.AwaitingApproval {
			for _, n := range notice.Of([]notice.Cycle{c}, nil, now) {
				require.NotContains(rt, first, n.ID, "another wait")
			}
		}
	})
}
