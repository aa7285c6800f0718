package recon_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
)

var (
	start  = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	end    = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	inside = time.Date(2026, 10, 12, 8, 0, 0, 0, time.UTC)
	after  = end.Add(time.Minute)
	window = recon.Window{Period: period.Interval{Start: start, End: end}, Live: true, ConnectionID: "acme-stripe"}
)

func booked(minor int64, at time.Time) *recon.Booked {
	b := &recon.Booked{Facts: 1, AmountMinor: minor, Currency: "usd", CustomerID: "cus_1", At: at}
	if window.Period.Contains(at) {
		b.CountedMinor = minor
	}
	return b
}

func paid(minor int64, at time.Time) *recon.Object {
	return &recon.Object{Kind: recon.Payment, ID: "in_1", Status: "paid", NetMinor: minor, CashMinor: minor, Balanced: true, Currency: "usd", CustomerID: "cus_1", At: at, Livemode: true}
}

func returned(kind recon.Kind, minor int64, at time.Time) *recon.Object {
	return &recon.Object{Kind: kind, ID: "re_1", Status: "succeeded", NetMinor: minor, Currency: "usd", ChargeID: "ch_1", At: at, Livemode: true, Balanced: true}
}

func with[T any](v *T, change func(*T)) *T { change(v); return v }

func TestPairs(t *testing.T) {
	t.Parallel()
	pay := func(o *recon.Booked, s *recon.Object) recon.Pair {
		return recon.Pair{Kind: recon.Payment, ID: "in_1", Ours: o, Theirs: s}
	}
	back := func(o *recon.Booked, s *recon.Object) recon.Pair {
		return recon.Pair{Kind: recon.Refund, ID: "re_1", Ours: o, Theirs: s}
	}
	for name, c := range map[string]struct {
		pair recon.Pair
		want recon.Type
		diff int64
		at   int64
	}{
		"both agree":                {pay(booked(900, inside), paid(900, inside)), "", 0, 0},
		"not booked":                {pay(nil, paid(900, inside)), recon.MissingInLedger, -900, 900},
		"not booked, other period":  {pay(nil, paid(900, after)), "", 0, 0},
		"not at Stripe":             {pay(booked(900, inside), nil), recon.MissingInStripe, 900, 900},
		"not at Stripe, other":      {pay(booked(900, after), nil), "", 0, 0},
		"amount":                    {pay(booked(900, inside), paid(870, inside)), recon.AmountDiffers, 30, 30},
		"tax":                       {pay(booked(1190, inside), with(paid(1000, inside), func(o *recon.Object) { o.CashMinor, o.TaxMinor = 1190, 190 })), recon.TaxDiffers, 190, 190},
		"paid a minute later":       {pay(booked(900, inside), paid(900, after)), recon.Timing, 900, 900},
		"booked a minute later":     {pay(booked(900, after), paid(900, inside)), recon.Timing, -900, 900},
		"currency":                  {pay(booked(900, inside), with(paid(800, inside), func(o *recon.Object) { o.Currency = "eur" })), recon.CurrencyDiffers, 900, 900},
		"booked twice":              {pay(with(booked(1800, inside), func(b *recon.Booked) { b.Facts = 2 }), paid(900, inside)), recon.DuplicateReward, 900, 900},
		"our own invoice":           {pay(booked(900, inside), with(paid(900, inside), func(o *recon.Object) { o.Own = true })), recon.SelfRevenue, 900, 900},
		"our own, not booked":       {pay(nil, with(paid(900, inside), func(o *recon.Object) { o.Own = true })), "", 0, 0},
		"test object":               {pay(booked(900, inside), with(paid(900, inside), func(o *recon.Object) { o.Livemode = false })), recon.ModeLeak, 0, 0},
		"paid outside Stripe":       {pay(nil, with(paid(0, inside), func(o *recon.Object) { o.OutOfBandMinor = 700 })), recon.OutOfBand, 0, 700},
		"does not sum":              {pay(booked(900, inside), with(paid(900, inside), func(o *recon.Object) { o.Balanced = false })), recon.AmountDiffers, 0, 0},
		"refund agrees":             {back(booked(-300, inside), returned(recon.Refund, 300, inside)), "", 0, 0},
		"refund not booked":         {back(nil, returned(recon.Refund, 300, inside)), recon.ReversalNotApplied, 300, 300},
		"refund not at Stripe":      {back(booked(-300, inside), nil), recon.MissingInStripe, -300, 300},
		"refund booked in part":     {back(booked(-200, inside), returned(recon.Refund, 300, inside)), recon.ReversalNotApplied, 100, 100},
		"refund booked too high":    {back(booked(-400, inside), returned(recon.Refund, 300, inside)), recon.AmountDiffers, -100, 100},
		"refund of another period":  {back(booked(-300, inside), returned(recon.Refund, 300, after)), recon.Timing, -300, 300},
		"refund of our own invoice": {back(nil, with(returned(recon.Refund, 300, inside), func(o *recon.Object) { o.Own = true })), "", 0, 0},
		"failed refund, taken back": {back(with(booked(0, inside), func(b *recon.Booked) { b.Facts, b.UndoneAt = 2, inside }), with(returned(recon.Refund, 300, inside), func(o *recon.Object) { o.TakenBack = true })), "", 0, 0},
		"failed refund, booked":     {back(booked(-300, inside), with(returned(recon.Refund, 300, inside), func(o *recon.Object) { o.TakenBack = true })), recon.AmountDiffers, -300, 300},
		"refund in test mode":       {back(booked(-300, inside), with(returned(recon.Refund, 200, inside), func(o *recon.Object) { o.Livemode = false })), recon.ModeLeak, -100, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := window.Judge(c.pair)
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Equal(t, c.want, got[0].Type)
			require.Equal(t, c.diff, got[0].Difference("usd"))
			require.Equal(t, c.at, got[0].AmountMinor)
			require.NotEmpty(t, got[0].Detail)
		})
	}
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	same := recon.Pair{Kind: recon.Subscription, ID: "sub_1", Ours: &recon.Booked{Status: "active"}, Theirs: &recon.Object{Status: "active"}}
	require.Empty(t, window.Judge(same))
	same.Theirs.Status = "canceled"
	got := window.Judge(same)
	require.Len(t, got, 1)
	require.Equal(t, recon.StateMismatch, got[0].Type)
	require.Equal(t, recon.Target{ConnectionID: "acme-stripe", Object: "subscription", ID: "sub_1"}, got[0].Target)
	open := got[0].Fingerprint()
	same.Theirs.Status = "unpaid"
	require.NotEqual(t, open, window.Judge(same)[0].Fingerprint())
}

// drawPair draws any pair of payments or reversals, also absurd ones.
func drawPair(t *rapid.T) recon.Pair {
	times := []time.Time{inside, after, start, end, end.Add(-time.Second), start.Add(-time.Second)}
	at := rapid.SampledFrom(times)
	currency := rapid.SampledFrom([]string{"usd", "usd", "usd", "eur"})
	p := recon.Pair{Kind: rapid.SampledFrom([]recon.Kind{recon.Payment, recon.Refund, recon.Dispute}).Draw(t, "kind"), ID: "x_" + rapid.StringMatching(`[a-z]{6}`).Draw(t, "id")}
	sign := int64(1)
	if p.Kind != recon.Payment {
		sign = -1
	}
	amount := rapid.Int64Range(1, 4)
	if rapid.Bool().Draw(t, "ours") {
		o := booked(sign*amount.Draw(t, "booked"), at.Draw(t, "booked at"))
		o.Currency, o.Facts = currency.Draw(t, "our currency"), rapid.IntRange(1, 2).Draw(t, "facts")
		p.Ours = o
	}
	if rapid.Bool().Draw(t, "theirs") {
		s := returned(p.Kind, amount.Draw(t, "moved"), at.Draw(t, "moved at"))
		s.Currency, s.Own, s.Livemode = currency.Draw(t, "their currency"), rapid.IntRange(0, 5).Draw(t, "own") == 0, rapid.IntRange(0, 5).Draw(t, "mode") > 0
		s.CashMinor, s.TaxMinor = s.NetMinor+1, 1
		if p.Kind != recon.Payment && rapid.Bool().Draw(t, "back") {
			s.TakenBack = true
			if rapid.Bool().Draw(t, "said when") {
				s.UndoneAt = at.Draw(t, "back at")
			}
		}
		p.Theirs = s
	}
	return p
}

// TestBreaksExplainTheWholeDifference: whatever the two sides hold, the findings of all
// pairs sum to the difference of the two sums, in each currency and on each line.
func TestBreaksExplainTheWholeDifference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pairs := rapid.SliceOfN(rapid.Custom(drawPair), 0, 6).Draw(t, "pairs")
		var sums []recon.Sum
		var breaks []recon.Break
		for _, p := range pairs {
			line := map[recon.Kind]recon.Line{recon.Payment: recon.Revenue, recon.Refund: recon.Refunds, recon.Dispute: recon.Disputes}[p.Kind]
			left, right := window.Sums(p)
			sums = append(sums, recon.Sum{Line: line, Currency: left.Currency, LeftMinor: left.CountedMinor}, recon.Sum{Line: line, Currency: right.Currency, RightMinor: right.CountedMinor})
			found := window.Judge(p)
			require.LessOrEqual(t, len(found), 1, "a pair has one cause")
			for _, f := range found {
				b, _ := recon.NewBreak("acme", "2026-10", f, after)
				breaks = append(breaks, b)
			}
		}
		for _, l := range recon.NewTieOut(sums, breaks).Lines {
			require.Zero(t, l.UnfoundMinor, "%+v %+v", l, breaks)
		}
		for i := range breaks {
			breaks[i].State = recon.Resolved
		}
		require.True(t, recon.NewTieOut(sums, breaks).Ties())
	})
}

func TestEveryTypeHasARule(t *testing.T) {
	t.Parallel()
	seen := map[recon.Type]bool{}
	for _, r := range recon.Rules() {
		require.False(t, seen[r.Type], r.Type)
		seen[r.Type] = true
		got, ok := recon.RuleOf(r.Type)
		require.True(t, ok)
		require.Equal(t, r, got)
		require.NotEmpty(t, r.Title)
		require.NotEmpty(t, r.NextAction)
		require.NotEmpty(t, r.Severity)
		require.NotEmpty(t, r.Effect)
	}
	require.Len(t, seen, 29)
	_, ok := recon.RuleOf("nothing")
	require.False(t, ok)
}
