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
	"github.com/liftbill/liftbill/domain/money"
)

// planInput has n billed snapshots with case IDs of the real length.
func planInput(t *testing.T, n int) billing.PlanInput {
	t.Helper()
	c := contract(t, nil)
	in := billing.PlanInput{
		Account:  account.Account{ID: "acme", Environment: account.Live, IssuerConnection: "vendor", PayerCustomer: "cus_1"},
		Contract: c, Period: month(t, "2026-01"), Interval: month(t, "2026-01").In(yearOpen.Location()),
		Names: map[string]string{}, Readouts: map[string]lift.Readout{}, Priced: billing.Priced{Total: money.Zero("usd")},
	}
	for i := range n {
		id := fmt.Sprintf("s%03d", n-i)
		in.Priced.Lines = append(in.Priced.Lines, billing.Line{
			SettleRow: lift.SettleRow{SnapshotID: id, PointMinor: 1500, BoundMinor: 1200, DeltaMinor: 1000}, Passed: true, Fee: 200,
		})
		in.Readouts[id] = lift.Readout{CaseID: fmt.Sprintf("%026d", i), SnapshotID: id}
		in.Names[id] = "Offer " + id
	}
	in.Priced.Lines = append(in.Priced.Lines, billing.Line{SettleRow: lift.SettleRow{SnapshotID: "withheld"}})
	return in
}

// Case IDs are joined into values of at most 500 bytes, none is split, none is lost;
// where they do not fit, their count and digest still stand.
func TestMetadataChunks(t *testing.T) {
	t.Parallel()
	for n, chunks := range map[int]int{0: 0, 1: 1, 18: 1, 19: 2, 200: 12, 648: 36, 649: 0, 700: 0} {
		in := planInput(t, n)
		p, err := billing.NewInvoicePlan(in)
		require.NoError(t, err)
		var got []string
		for i := 1; ; i++ {
			v, ok := p.Metadata[fmt.Sprintf("lb_readouts_%d", i)]
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
		require.LessOrEqual(t, len(p.Metadata), 50)
		var want []string
		for i := range n {
			want = append(want, fmt.Sprintf("%026d", i))
		}
		if chunks > 0 {
			require.Equal(t, want, got)
		}
		sum := sha256.Sum256([]byte(strings.Join(want, ",")))
		require.Equal(t, hex.EncodeToString(sum[:]), p.Metadata["lb_readouts_sha256"])
		require.Equal(t, fmt.Sprint(n), p.Metadata["lb_readouts_n"])
		for k, v := range p.Metadata {
			require.LessOrEqual(t, len(k), 40)
			require.NotEmpty(t, v, "an empty value would delete the key: %s", k)
			require.NotContains(t, k, "[")
		}
	}
}

func TestPlanSaysWhatIsSent(t *testing.T) {
	t.Parallel()
	in := planInput(t, 2)
	in.Contract = contract(t, func(x *billing.Terms) { x.PONumber, x.CaseIDsInMetadata = "PO-4711", ptr(false) })
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
	base, err := billing.NewInvoicePlan(planInput(t, 3))
	require.NoError(t, err)
	again, err := billing.NewInvoicePlan(planInput(t, 3))
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
		p, err := billing.NewInvoicePlan(planInput(t, 3))
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
