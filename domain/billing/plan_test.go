package billing_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// planInput has n billed snapshots and a withheld one, each with a real readout.
func planInput(t *testing.T, n int, change func(*billing.Terms)) billing.PlanInput {
	t.Helper()
	plan := sealed(t, 4)
	in := billing.PlanInput{
		Account:  account.Account{ID: "acme", Environment: account.Live, IssuerConnection: "vendor", PayerCustomer: "cus_1"},
		Contract: contract(t, change), Period: month(t, "2026-01"), Interval: month(t, "2026-01").In(yearOpen.Location()),
		Names: map[string]string{}, Readouts: map[string]lift.Readout{},
	}
	price := billing.PriceInput{Contract: in.Contract, Period: in.Period}
	add := func(id string, e lift.Estimate, base int64) {
		r := readout(t, plan, e)
		in.Readouts[id], in.Names[id] = r, "Offer "+id
		price.Readouts = append(price.Readouts, r)
		price.Settled.Rows = append(price.Settled.Rows, lift.SettleRow{SnapshotID: id, PointMinor: r.Verdict.PointMinor, BoundMinor: r.Verdict.BoundMinor, DeltaMinor: base})
	}
	for i := range n {
		id := fmt.Sprintf("s%03d", i+1)
		add(id, estimate(id, 1500, 91), 1000) // bound 1500 − 3.290527 × 91
	}
	add("withheld", estimate("withheld", -1, 1), 0)
	var err error
	in.Priced, err = billing.Price(price)
	require.NoError(t, err)
	return in
}

// Case IDs are joined into values of at most 500 bytes, none is split, none is lost;
// where they do not fit, their count and digest still stand.
func TestMetadataChunks(t *testing.T) {
	t.Parallel()
	for n, chunks := range map[int]int{0: 0, 1: 1, 18: 1, 19: 2, 200: 12, 648: 36, 649: 0, 700: 0, 720: 0, 1000: 0} {
		var want []string
		for i := range n {
			want = append(want, fmt.Sprintf("%026d", i))
		}
		c := contract(t, nil)
		meta, err := billing.InvoiceMetadata(billing.InvoicePlan{AccountID: "acme", Key: billing.IntentKey{Period: "2026-01", Part: "1/1"}}, account.Live, c.Terms, want)
		require.NoError(t, err)
		var got []string
		for i := 1; ; i++ {
			v, ok := meta[fmt.Sprintf("lb_readouts_%d", i)]
			if !ok {
				require.Equal(t, chunks, i-1, "%d cases", n)
				break
			}
			require.LessOrEqual(t, len(v), 500)
			for _, id := range strings.Split(v, ",") {
				require.Len(t, id, 26, "a case ID was split")
				got = append(got, id)
			}
		}
		require.Less(t, len(meta), 50, "one more is the plan's hash")
		if chunks > 0 {
			require.Equal(t, want, got)
		}
		sum := sha256.Sum256([]byte(strings.Join(want, ",")))
		require.Equal(t, hex.EncodeToString(sum[:]), meta["lb_readouts_sha256"])
		require.Equal(t, fmt.Sprint(n), meta["lb_readouts_n"])
		for k, v := range meta {
			require.LessOrEqual(t, len(k), 40)
			require.NotEmpty(t, v, "an empty value would delete the key: %s", k)
			require.NotContains(t, k, "[")
		}
	}
}

func TestPlanSaysWhatIsSent(t *testing.T) {
	t.Parallel()
	in := planInput(t, 2, func(x *billing.Terms) { x.PONumber, x.CaseIDsInMetadata = "PO-4711", ptr(false) })
	p, err := billing.NewInvoicePlan(in)
	require.NoError(t, err)
	require.NoError(t, p.Validate())
	require.Equal(t, []string{"s001", "s002"}, []string{p.Lines[0].Line, p.Lines[1].Line}, "in the order of the snapshots")
	require.Equal(t, int64(400), p.TotalMinor())
	require.Equal(t, "Offer s001 (s001): 10.00 USD × share 0.20 of measured incremental revenue (measured 15.00 USD, lower bound 12.00 USD, year to date; case "+p.Lines[0].Metadata["lb_readout"]+")", p.Lines[0].Description)
	require.Equal(t, "acme.2026-01", p.CycleID)
	require.Equal(t, "PO-4711", p.Metadata["lb_po_number"])
	require.NotContains(t, p.Metadata, "lb_readouts_1")
	require.Equal(t, p.Key.StripeKey(), p.Metadata["lb_key"])
	require.Equal(t, p.Hash(), p.Metadata["lb_plan_sha256"])
	require.Equal(t, "Measured incremental revenue, January 2026", p.Description)
	require.Equal(t, "2", p.Metadata["lb_readouts_n"])
	require.Equal(t, "live", p.Metadata["lb_env"])
	require.Equal(t, in.Interval.Start.Unix(), p.PeriodStart)
	require.Equal(t, in.Interval.End.Unix(), p.PeriodEnd)
	for _, l := range p.Lines {
		require.LessOrEqual(t, len(l.Description), 5000)
		require.Equal(t, l.Line, l.Metadata["lb_snapshot"])
	}

	in.Account.Environment = account.Test
	p, err = billing.NewInvoicePlan(in)
	require.NoError(t, err)
	require.Equal(t, "test", p.Metadata["lb_env"], "what a test account would be sent says so")

	delete(in.Readouts, "s001")
	_, err = billing.NewInvoicePlan(in)
	require.Equal(t, "readout_missing", fault.CodeOf(err))
}

// The hash stands for the amounts, the lines and the addressee.
func TestPlanHashSeesEveryChange(t *testing.T) {
	t.Parallel()
	base, err := billing.NewInvoicePlan(planInput(t, 3, nil))
	require.NoError(t, err)
	again, err := billing.NewInvoicePlan(planInput(t, 3, nil))
	require.NoError(t, err)
	require.Equal(t, base.Hash(), again.Hash())
	seen := map[string]bool{base.Hash(): true}
	for i, change := range []func(*billing.InvoicePlan){
		func(p *billing.InvoicePlan) { p.Lines[0].AmountMinor++ },
		func(p *billing.InvoicePlan) { p.Lines[0].AmountMinor++; p.Lines[1].AmountMinor-- }, // the same total
		func(p *billing.InvoicePlan) { p.Lines[2].AmountMinor-- },
		func(p *billing.InvoicePlan) { p.Lines[1].Line = "other" },
		func(p *billing.InvoicePlan) { p.Lines[1].Description += "." },
		func(p *billing.InvoicePlan) { p.Lines[1].Metadata["lb_readout"] = strings.Repeat("a", 26) },
		func(p *billing.InvoicePlan) { p.Lines = p.Lines[:2] },
		func(p *billing.InvoicePlan) { p.Lines = append(p.Lines, p.Lines[0]) },
		func(p *billing.InvoicePlan) { p.Lines[0], p.Lines[1] = p.Lines[1], p.Lines[0] },
		func(p *billing.InvoicePlan) { p.Key.Customer = "cus_2" },
		func(p *billing.InvoicePlan) { p.Key.IssuerConnection = "other" },
		func(p *billing.InvoicePlan) { p.Key.Currency = "eur" },
		func(p *billing.InvoicePlan) { p.Key.Period = "2026-02" },
		func(p *billing.InvoicePlan) { p.Key.Part = "2/2" },
		func(p *billing.InvoicePlan) { p.CollectionMethod = billing.ChargeAutomatically },
		func(p *billing.InvoicePlan) { p.DaysUntilDue++ },
	} {
		p, err := billing.NewInvoicePlan(planInput(t, 3, nil))
		require.NoError(t, err)
		change(&p)
		require.False(t, seen[p.Hash()], "change %d keeps the hash", i)
		seen[p.Hash()] = true
	}
	// Field boundaries are part of it: text cannot move from one field to the next.
	a, b := base, base
	a.Lines = []billing.PlanLine{{Line: "ab", Description: "c"}}
	b.Lines = []billing.PlanLine{{Line: "a", Description: "bc"}}
	require.NotEqual(t, a.Hash(), b.Hash())
}

// What was not measured stands in lines of its own, under a heading of its own, without a
// snapshot, a readout or the word; what was taken off a line is said in it.
func TestPlanKeepsFeesApartFromLifts(t *testing.T) {
	t.Parallel()
	fees := func(x *billing.Terms) { x.PlatformFeeMinor, x.DisputeDays = 5_000, 15 }
	p, err := billing.NewInvoicePlan(planInput(t, 0, fees))
	require.NoError(t, err)
	require.NoError(t, p.Validate())
	require.Equal(t, "Agreed fees, January 2026", p.Description)
	require.Equal(t, "The lines are fees as agreed; they were not measured. A line can be disputed within 15 days of the invoice.", p.Footer)
	require.Equal(t, []billing.PlanLine{{Line: "fee:platform_fee", Kind: billing.LinePlatformFee, AmountMinor: 5_000, Description: "Platform fee, January 2026",
		Metadata: map[string]string{"lb_line": "fee:platform_fee", "lb_kind": "platform_fee"}}}, p.Lines)
	require.Equal(t, "0", p.Metadata["lb_readouts_n"])

	in := planInput(t, 3, func(x *billing.Terms) {
		fees(x)
		x.Caps, x.Tiers = &billing.Caps{MonthMinor: 300}, &billing.Tiers{Above: []billing.Tier{{FromMinor: 1_500, Share: "0.1"}}}
	})
	p, err = billing.NewInvoicePlan(in)
	require.NoError(t, err)
	require.Equal(t, "Measured incremental revenue and agreed fees, January 2026", p.Description)
	require.Contains(t, p.Footer, "Lines without one are fees as agreed; they were not measured.")
	require.Len(t, p.Lines, 4)
	require.Equal(t, "fee:platform_fee", p.Lines[3].Line)
	// 1,500 × 0.20 + 1,500 × 0.10 = 450 over three bases; a third of the 150 above the cap.
	require.Equal(t, "Offer s001 (s001): 10.00 USD × tiered share 450 ÷ 3000 of measured incremental revenue (measured 15.00 USD, lower bound 12.00 USD, year to date; case "+
		p.Lines[0].Metadata["lb_readout"]+"); 1.50 USD less 0.50 USD for the cap", p.Lines[0].Description)
	require.Equal(t, int64(100), p.Lines[0].AmountMinor)
	require.Equal(t, []string{"tiers", "lift"}, []string{p.Lines[0].Metadata["lb_share"], p.Lines[0].Metadata["lb_kind"]})

	// A lift that nobody permitted cannot be written down, nor one with another's readout.
	swapped := planInput(t, 2, nil)
	swapped.Readouts["s001"] = swapped.Readouts["s002"]
	_, err = billing.NewInvoicePlan(swapped)
	require.Equal(t, "lift_not_permitted", fault.CodeOf(err))
	in.Priced.Lines = append(in.Priced.Lines, billing.Line{Key: "x", Kind: billing.LineLift, SnapshotID: "withheld", AmountMinor: 5, BilledMinor: 5})
	_, err = billing.NewInvoicePlan(in)
	require.Equal(t, "lift_not_permitted", fault.CodeOf(err))

	shadow, err := billing.NewInvoicePlan(planInput(t, 3, func(x *billing.Terms) { x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 1}} }))
	require.NoError(t, err)
	require.Empty(t, shadow.Lines)
	_, err = billing.Authorize(proof(t, "vendor"), account.Live, shadow, opened(t, shadow))
	require.Equal(t, "lines_count", fault.CodeOf(err), "a shadow month has nothing that could be written")
}

func TestTermsInWords(t *testing.T) {
	t.Parallel()
	c := contract(t, func(x *billing.Terms) {
		x.Basis, x.Rounding, x.DisputeDays = lift.BasisProven, "half_up", 15
		x.Tiers = &billing.Tiers{Above: []billing.Tier{{FromMinor: 1_000_000, Share: "0.15"}}}
		x.Outcomes = []billing.OutcomePrice{{Kind: "trial_start", PriceMinor: "99.5", Included: 3}}
		x.Caps = &billing.Caps{MonthMinor: 500_000, YearMinor: 700_000, Excess: billing.ExcessCarried}
		x.FloorMinor, x.PlatformFeeMinor, x.Minimum = 100, 5_000, &billing.Minimum{AmountMinor: 9_900}
		x.Holdback, x.Netting = &billing.Holdback{Share: "0.10", ReleaseAfterMonths: 2}, &billing.Netting{LookbackDays: 90}
		x.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 1}, {Kind: billing.PhaseRamp, Months: 2, Factor: "0.5", WaiveFixed: true}}
	})
	require.Equal(t, []string{
		"Share 0.20 of the proven incremental revenue, its lower bound",
		"The base of all snapshots together is at most the pooled lower bound",
		"Refunds and chargebacks are netted up to 90 days after their month",
		"Share 0.15 of the part of the base of a contract year that is above 10,000.00 USD",
		"99.5 minor units per trial start, counted and not measured; 3 a month included",
		"Performance fees of at most 5,000.00 USD a month",
		"Performance fees of at most 7,000.00 USD a contract year",
		"What a month's cap cuts off fills the room of later months of the contract year",
		"Performance fees of at least 1.00 USD a month",
		"Platform fee of 50.00 USD a month",
		"Minimum commitment of 99.00 USD a year, toward which count: floor, performance, platform fee",
		"Holdback of 0.10 of the performance fees for 2 months",
		"Month 1: shadow, priced and shown, never invoiced",
		"Months 2 to 3: ramp, 0.5 of the performance fees, without platform fee, floor and monthly minimum",
		"Every line is rounded once, mode half up",
		"A line can be disputed within 15 days of the invoice",
	}, c.Terms.Words())
	require.Equal(t, []string{
		"Share 0.20 of the measured incremental revenue, in months in which its lower bound is above zero", "Every line is rounded once, mode down",
	}, contract(t, nil).Terms.Words())
}
