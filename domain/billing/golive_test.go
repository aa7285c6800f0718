package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// opened is the permission of a plan's account, if it names one.
func opened(t *testing.T, plan billing.InvoicePlan) billing.LiveWriting {
	t.Helper()
	if plan.AccountID == "" {
		return billing.LiveWriting{}
	}
	w, err := billing.Switch{AccountID: plan.AccountID, Open: true}.Permit()
	require.NoError(t, err)
	return w
}

// TestClosedSwitchGivesNoPermission: without an open switch of that very account nobody is
// authorised to write.
func TestClosedSwitchGivesNoPermission(t *testing.T) {
	t.Parallel()
	for _, s := range []billing.Switch{{}, {Open: true}, {AccountID: "acme"}, {AccountID: "acme", Basis: billing.OnChecklist}} {
		w, err := s.Permit()
		require.Equal(t, billing.CodeWritingClosed, fault.CodeOf(err))
		require.Empty(t, w.AccountID())
	}
	plan, err := billing.NewInvoicePlan(planInput(t, 2, nil))
	require.NoError(t, err)
	other, err := billing.Switch{AccountID: "somebody-else", Open: true}.Permit()
	require.NoError(t, err)
	for _, w := range []billing.LiveWriting{{}, other} {
		got, err := billing.Authorize(proof(t, "vendor"), account.Live, plan, w)
		require.Equal(t, billing.CodeWritingClosed, fault.CodeOf(err))
		require.False(t, got.Valid())
	}
}

func ready(now time.Time) billing.GoLiveFacts {
	return billing.GoLiveFacts{
		HeardAt: now.Add(-time.Hour), FirstRewardAt: now.AddDate(0, -1, 0), MeasuredCycle: "acme.2026-10", PaidMinor: 1_000, UnmappedMinor: 20, UnmappedShare: "0.02",
		Invoice:     billing.ProvenInvoice{ID: "in_1", Currency: "usd", BookedMinor: 4_900, Read: true, Livemode: true, ReadMinor: 4_900, ReadCurrency: "usd"},
		ShadowCycle: "acme.2026-10",
	}
}

// TestChecklist: it holds when everything does, and each single defect is named with what
// to do about it.
func TestChecklist(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)
	require.Empty(t, billing.UnmetItems(ready(now).Checklist(now)))
	for name, c := range map[string]struct {
		item  string
		spoil func(f *billing.GoLiveFacts)
	}{
		"silent":           {billing.ItemFlowing, func(f *billing.GoLiveFacts) { f.HeardAt = now.Add(-49 * time.Hour) }},
		"never heard":      {billing.ItemFlowing, func(f *billing.GoLiveFacts) { f.HeardAt = time.Time{} }},
		"paused":           {billing.ItemFlowing, func(f *billing.GoLiveFacts) { f.SourcePaused = true }},
		"a cent unmapped":  {billing.ItemMapped, func(f *billing.GoLiveFacts) { f.UnmappedMinor++ }},
		"nothing measured": {billing.ItemMapped, func(f *billing.GoLiveFacts) { f.MeasuredCycle = "" }},
		"nothing paid":     {billing.ItemMapped, func(f *billing.GoLiveFacts) { f.PaidMinor = 0 }},
		"no reward":        {billing.ItemReward, func(f *billing.GoLiveFacts) { f.FirstRewardAt = time.Time{} }},
		"no invoice":       {billing.ItemInvoice, func(f *billing.GoLiveFacts) { f.Invoice = billing.ProvenInvoice{} }},
		"a cent off":       {billing.ItemInvoice, func(f *billing.GoLiveFacts) { f.Invoice.ReadMinor-- }},
		"test mode":        {billing.ItemInvoice, func(f *billing.GoLiveFacts) { f.Invoice.Livemode = false }},
		"another currency": {billing.ItemInvoice, func(f *billing.GoLiveFacts) { f.Invoice.ReadCurrency = "eur" }},
		"gone":             {billing.ItemInvoice, func(f *billing.GoLiveFacts) { f.Invoice.Read = false }},
		"no shadow":        {billing.ItemShadow, func(f *billing.GoLiveFacts) { f.ShadowCycle = "" }},
		"a break":          {billing.ItemShadow, func(f *billing.GoLiveFacts) { f.ShadowBreaks = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := ready(now)
			c.spoil(&f)
			list := f.Checklist(now)
			require.Len(t, list, 5)
			require.Equal(t, []string{c.item}, billing.UnmetItems(list))
			for _, i := range list {
				require.Equal(t, i.Met, i.Next == "", i.Code)
				require.NotEmpty(t, i.Detail)
			}
		})
	}
	require.True(t, billing.RequiresPerson(0))
	require.False(t, billing.RequiresPerson(1))
}
