package recon_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/recon"
)

func intent() recon.Intent {
	return recon.Intent{
		CycleID: "acme.2026-10", Key: "lb:1", PlanHash: "h", Period: "2026-10", InvoiceID: "in_1", ConnectionID: "issuer", Customer: "cus_payer",
		Currency: "usd", TotalMinor: 1500, Written: true, Lines: []recon.PlanLine{{"a", 1000}, {"b", 500}},
	}
}

func issued() recon.Issued {
	return recon.Issued{
		ID: "in_1", Status: "open", Livemode: true, Currency: "usd", NetMinor: 1500, TotalMinor: 1500, Created: inside, Key: "lb:1", PlanHash: "h", Period: "2026-10",
		Lines: []recon.IssuedLine{{"il_1", 1000, "lb:1", "a"}, {"il_2", 500, "lb:1", "b"}},
	}
}

func TestIntents(t *testing.T) {
	t.Parallel()
	twin := issued()
	twin.ID = "in_2"
	draft := issued()
	draft.ID, draft.Status = "in_3", "draft"
	for name, c := range map[string]struct {
		intent  func(*recon.Intent)
		pinned  func(*recon.Issued)
		others  []recon.Issued
		pending []recon.PendingItem
		gone    bool
		want    recon.Type
		subject string
		diff    int64
		amount  int64
	}{
		"as planned":            {},
		"gone":                  {gone: true, want: recon.MissingInStripe, subject: "invoice", diff: 1500, amount: 1500},
		"void":                  {pinned: func(i *recon.Issued) { i.Status = "void" }, want: recon.StateMismatch, subject: "invoice", diff: 1500, amount: 1500},
		"paid":                  {pinned: func(i *recon.Issued) { i.Status = "paid" }},
		"other mode":            {pinned: func(i *recon.Issued) { i.Livemode = false }, want: recon.ModeLeak, subject: "invoice"},
		"other currency":        {pinned: func(i *recon.Issued) { i.Currency = "eur" }, want: recon.CurrencyDiffers, subject: "invoice", diff: 1500, amount: 1500},
		"a twin":                {others: []recon.Issued{twin}, want: recon.DuplicateInvoice, subject: "in_2", diff: -1500, amount: 1500},
		"known before finalize": {intent: func(i *recon.Intent) { i.Written = false; i.InvoiceID = "" }, others: []recon.Issued{twin}, gone: true, want: recon.MissingInLedger, subject: "in_2", diff: -1500, amount: 1500},
		"an old draft":          {others: []recon.Issued{draft}, want: recon.OrphanDraft, subject: "in_3", amount: 1500},
		"a pending item":        {pending: []recon.PendingItem{{"ii_1", 500, "usd", "lb:1"}, {"ii_2", 70, "usd", "else"}}, want: recon.OrphanPendingItem, subject: "ii_1", amount: 500},
		"metadata":              {pinned: func(i *recon.Issued) { i.PlanHash = "" }, want: recon.MetadataAltered, subject: "metadata"},
		"a foreign line": {pinned: func(i *recon.Issued) {
			i.Lines, i.NetMinor, i.TotalMinor = append(i.Lines, recon.IssuedLine{"il_3", 40, "", ""}), 1540, 1540
		}, want: recon.ForeignLine, subject: "il_3", diff: -40, amount: 40},
		"a line twice": {pinned: func(i *recon.Issued) {
			i.Lines, i.NetMinor, i.TotalMinor = append(i.Lines, recon.IssuedLine{"il_3", 500, "lb:1", "b"}), 2000, 2000
		}, want: recon.LineCount, subject: "il_3", diff: -500, amount: 500},
		"a line less": {pinned: func(i *recon.Issued) { i.Lines, i.NetMinor, i.TotalMinor = i.Lines[:1], 1000, 1000 }, want: recon.LineCount, subject: "line/b", diff: 500, amount: 500},
		"a line's amount": {pinned: func(i *recon.Issued) {
			i.Lines[1].AmountMinor, i.NetMinor, i.TotalMinor = 480, 1480, 1480
		}, want: recon.AmountDiffers, subject: "line/b", diff: 20, amount: 20},
		"a discount":        {pinned: func(i *recon.Issued) { i.NetMinor, i.TotalMinor = 1400, 1400 }, want: recon.AmountDiffers, subject: "total", diff: 100, amount: 100},
		"tax that is wrong": {pinned: func(i *recon.Issued) { i.TaxMinor, i.TotalMinor = 190, 1700 }, want: recon.TaxDiffers, subject: "tax", amount: 10},
		"tax that is right": {pinned: func(i *recon.Issued) { i.TaxMinor, i.TotalMinor = 190, 1690 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, inv := intent(), issued()
			if c.intent != nil {
				c.intent(&in)
			}
			if c.pinned != nil {
				c.pinned(&inv)
			}
			all := c.others
			if !c.gone {
				all = append([]recon.Issued{inv}, all...)
			}
			got := recon.JudgeIntent(in, all, c.pending, true, inside.Add(recon.OrphanAge))
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Equal(t, c.want, got[0].Type)
			require.Equal(t, c.subject, got[0].Subject)
			require.Equal(t, c.diff, got[0].Difference("usd"))
			require.Equal(t, c.amount, got[0].AmountMinor)
		})
	}
	young := recon.JudgeIntent(intent(), []recon.Issued{issued(), draft}, nil, true, inside.Add(time.Hour))
	require.Empty(t, young, "a write-back that is under way has a draft")
}

// TestIntentBreaksExplainTheWholeDifference: whatever stands on the invoice, the
// findings sum to what the plan's total differs from it.
func TestIntentBreaksExplainTheWholeDifference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, inv := intent(), issued()
		inv.Lines, inv.NetMinor = nil, 0
		n := rapid.IntRange(0, 5).Draw(t, "lines")
		for range n {
			l := recon.IssuedLine{
				ID: rapid.StringMatching(`il_[a-z]{5}`).Draw(t, "id"), AmountMinor: rapid.Int64Range(-5, 1000).Draw(t, "amount"),
				Key: rapid.SampledFrom([]string{"lb:1", "lb:1", ""}).Draw(t, "key"), Line: rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "line"),
			}
			inv.Lines, inv.NetMinor = append(inv.Lines, l), inv.NetMinor+l.AmountMinor
		}
		inv.NetMinor += rapid.SampledFrom([]int64{0, 0, -7}).Draw(t, "discount")
		inv.TotalMinor = inv.NetMinor
		var sum int64
		for _, f := range recon.JudgeIntent(in, []recon.Issued{inv}, nil, true, after) {
			sum += f.Difference("usd")
		}
		require.Equal(t, in.TotalMinor-inv.NetMinor, sum)
	})
}
