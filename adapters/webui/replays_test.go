package webui_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/account"
)

// someReplays are one through Temporal that is equal, one that differs, and one of before the
// outputs had a digest.
func someReplays() []replay.Report {
	digest := func(c string) string { return strings.Repeat(c, 64) }
	return []replay.Report{
		{
			ID: 3, AccountID: "acme", Environment: account.Live, Period: "2026-12-settlement", CycleID: "acme.2026-10", Events: 9_001, Facts: 8_000, Equal: true, RunBy: "liftbill, for cli:ada", RunAt: now, FinishedAt: now.Add(41_230 * time.Millisecond),
			Inputs: replay.Digests{Ledger: digest("5"), Replay: digest("5")}, Outputs: replay.Digests{Ledger: digest("c"), Replay: digest("c")}, WorkflowID: "billing-replay/live/acme/2026-12-settlement", WorkflowRunID: "0192b3b8-7f0e",
		},
		{
			ID: 2, AccountID: "acme", Environment: account.Live, Period: "2026-10", CycleID: "acme.2026-10", Events: 17, Facts: 12, Difference: "input digest: the ledger has 55, the replay gives 66", RunBy: "cli:ada", RunAt: now.Add(-time.Hour), FinishedAt: now.Add(-time.Hour),
			Inputs: replay.Digests{Ledger: digest("5"), Replay: digest("6")}, Outputs: replay.Digests{Ledger: digest("c"), Replay: digest("d")},
		},
		{ID: 1, AccountID: "sandbox", Environment: account.Test, Period: "2026-09", CycleID: "sandbox.2026-10", Equal: true, RunBy: "cli:kim", RunAt: now.AddDate(0, -1, 0), Inputs: replay.Digests{Ledger: digest("5"), Replay: digest("5")}},
	}
}

// TestReplays: every run with both digests of what went in and of what came out, the first
// difference, how long it took, who had it run, and its run in Temporal.
func TestReplays(t *testing.T) {
	t.Parallel()
	l := fixture()
	l.next = "2"
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{TemporalUI: "http://127.0.0.1:8233/"})
	p := open(t, e, "/replays?result=different&account=acme&period=2026-10")
	require.Equal(t, []string{"different", "acme", "2026-10"}, []string{l.replaysAsked.Result, l.replaysAsked.AccountID, l.replaysAsked.Period})
	require.Contains(t, p.links, "/replays?account=acme&cursor=2&period=2026-10&result=different")
	equal := p.row(t, "2026-12-settlement")
	require.Equal(t, strings.Repeat("c", 64), equal[8])
	require.Equal(t, []string{"41,230", "liftbill, for cli:ada"}, equal[10:12])
	require.Contains(t, p.links, "http://127.0.0.1:8233/namespaces/default/workflows/billing-replay%2Flive%2Facme%2F2026-12-settlement/0192b3b8-7f0e/history")
	differs := p.row(t, "input digest")
	require.Equal(t, []string{"✕ different", "input digest: the ledger has 55, the replay gives 66", strings.Repeat("5", 64), strings.Repeat("6", 64) + " differs", strings.Repeat("c", 64), strings.Repeat("d", 64) + " differs"}, differs[3:9])
	require.Equal(t, "0", differs[10], "it took less than a millisecond")
	old := p.row(t, "cli:kim")
	require.Equal(t, []string{"–", "–"}, old[7:9])
	require.Equal(t, "–", old[10], "it was not kept how long it took")
	live, test := p.row(t, "Total LIVE"), p.row(t, "Total TEST")
	require.Equal(t, "Total LIVE 2 rows on this page", live[0])
	require.Equal(t, "Total TEST 1 row on this page", test[0])
	require.Equal(t, []string{"9,018", "0"}, []string{live[13], test[13]})
}
