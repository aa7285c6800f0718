package stripeapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

func openWriter(t *testing.T, w *world, p billing.InvoicePlan) invoicing.Writer {
	t.Helper()
	out, err := stripeapi.NewWriters(w.client).Open(t.Context(), authorized(t, p))
	require.NoError(t, err)
	return out
}

// sequence is the write-back without faults, as one program would run it.
func sequence(t *testing.T, out invoicing.Writer, p billing.InvoicePlan) invoicing.StripeInvoice {
	t.Helper()
	ctx := t.Context()
	ours, err := out.OurInvoices(ctx)
	require.NoError(t, err)
	require.Empty(t, ours)
	draft, err := out.CreateDraft(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, "draft", draft.Status)
	require.False(t, draft.AutoAdvance)
	items, err := out.Items(ctx, draft.ID)
	require.NoError(t, err)
	require.Empty(t, items)
	for _, l := range p.Lines {
		item, err := out.AddItem(ctx, draft.ID, l)
		require.NoError(t, err)
		require.Equal(t, l.AmountMinor, item.AmountMinor)
		require.False(t, item.Discountable)
		require.Equal(t, l.Line, item.Metadata["lb_line"])
	}
	items, err = out.Items(ctx, draft.ID)
	require.NoError(t, err)
	require.Len(t, items, len(p.Lines))
	full, err := out.Invoice(ctx, draft.ID)
	require.NoError(t, err)
	require.Equal(t, p.TotalMinor(), full.SubtotalMinor)
	require.False(t, full.HasDiscounts)
	_, err = out.Finalize(ctx, draft.ID, 0, start)
	require.NoError(t, err)
	open, err := out.Invoice(ctx, draft.ID)
	require.NoError(t, err)
	require.Equal(t, "open", open.Status)
	require.False(t, open.AutoAdvance)
	_, err = out.Release(ctx, draft.ID, 0)
	require.NoError(t, err)
	done, err := out.Send(ctx, draft.ID)
	require.NoError(t, err)
	ours, err = out.OurInvoices(ctx)
	require.NoError(t, err)
	require.Len(t, ours, 1)
	pending, err := out.OurPendingItems(ctx)
	require.NoError(t, err)
	require.Empty(t, pending)
	return done
}

func TestWriteBackSequence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	out := openWriter(t, w, p)
	w.tap.take()
	done := sequence(t, out, p)
	require.True(t, done.Livemode)
	require.True(t, done.AutoAdvance)
	require.Equal(t, p.TotalMinor(), done.TotalMinor)
	require.NotNil(t, done.FinalizedAt)
	require.NotEmpty(t, done.Number)
	require.NotEmpty(t, done.HostedURL)
	require.Equal(t, p.Key.StripeKey(), done.Metadata["lb_key"])

	all := w.tap.take()
	require.Len(t, all, len(p.Lines)+11, "beside the look at the payer")
	k := p.Key.StripeKey()
	in := done.ID
	var got []string
	for _, s := range writes(all) {
		got = append(got, s.Method+" "+s.Path+" "+s.Key)
		require.Equal(t, stripeapi.APIVersion, s.Header.Get("Stripe-Version"))
		require.Empty(t, s.Header.Get("X-Stripe-Client-User-Agent"))
		require.Empty(t, s.Header.Get("X-Stripe-Client-Telemetry"))
	}
	want := []string{
		"POST /v1/invoices " + k + ":g0:create",
		"POST /v1/invoiceitems " + k + ":" + in + ":snap-a",
		"POST /v1/invoiceitems " + k + ":" + in + ":snap-b",
		"POST /v1/invoiceitems " + k + ":" + in + ":snap-c",
		"POST /v1/invoices/" + in + "/finalize " + k + ":" + in + ":finalize:0",
		"POST /v1/invoices/" + in + " " + k + ":" + in + ":release:0",
		"POST /v1/invoices/" + in + "/send " + k + ":" + in + ":send",
	}
	require.Empty(t, cmp.Diff(want, got))
	require.Len(t, out.Calls(), len(all))
	require.Empty(t, out.Calls(), "the log is handed over once")
	require.NotContains(t, w.logs.String(), liveText)
}

func TestWriteBackParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	out := openWriter(t, w, p)
	w.tap.take()
	draft, err := out.CreateDraft(t.Context(), 2)
	require.NoError(t, err)
	_, err = out.AddItem(t.Context(), draft.ID, p.Lines[0])
	require.NoError(t, err)
	_, err = out.Finalize(t.Context(), draft.ID, 3, start)
	require.NoError(t, err)
	all := w.tap.take()
	forms := make([]url.Values, len(all))
	for i, s := range all {
		forms[i], err = url.ParseQuery(s.Body)
		require.NoError(t, err)
	}
	k := p.Key.StripeKey()
	require.Empty(t, cmp.Diff(url.Values{
		"customer": {p.Key.Customer}, "currency": {"usd"}, "auto_advance": {"false"}, "pending_invoice_items_behavior": {"exclude"},
		"collection_method": {"send_invoice"}, "days_until_due": {"30"}, "discounts": {""}, "description": {p.Description}, "footer": {p.Footer},
		"custom_fields[0][name]": {"PO number"}, "custom_fields[0][value]": {"PO-4711"},
		"metadata[lb_key]": {k}, "metadata[lb_cycle]": {"2026-02"}, "metadata[lb_schema]": {"1"}, "metadata[lb_env]": {"live"},
	}, forms[0]))
	require.Empty(t, cmp.Diff(url.Values{
		"customer": {p.Key.Customer}, "invoice": {draft.ID}, "amount": {"12345"}, "currency": {"usd"}, "description": {p.Lines[0].Description},
		"discountable": {"false"}, "period[start]": {"1769904000"}, "period[end]": {"1772323200"},
		"metadata[lb_key]": {k}, "metadata[lb_line]": {"snap-a"}, "metadata[lb_snapshot]": {"snap-a"}, "metadata[lb_readout]": {"rsnap-a"},
	}, forms[1]))
	require.Empty(t, cmp.Diff(url.Values{"auto_advance": {"false"}}, forms[2]))
	require.Equal(t, k+":g2:create", all[0].Key)
	require.Equal(t, k+":"+draft.ID+":finalize:3", all[2].Key)
}

// A line that nobody measured reaches Stripe as what it is: its kind, no snapshot, no readout.
func TestFeesReachStripeAsFees(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	p.Lines = append(p.Lines[:1], billing.PlanLine{Line: "fee:per_outcome:conversion", Kind: billing.LineOutcome, AmountMinor: 1_485, Description: "25 outcomes counted",
		Metadata: map[string]string{"lb_line": "fee:per_outcome:conversion", "lb_kind": "per_outcome"}})
	out := openWriter(t, w, p)
	inv := sequence(t, out, p)
	require.Equal(t, p.TotalMinor(), inv.TotalMinor)
	items, err := out.Items(t.Context(), inv.ID)
	require.NoError(t, err)
	kinds := map[string]map[string]string{}
	for _, it := range items {
		kinds[it.Metadata["lb_line"]] = it.Metadata
	}
	require.Equal(t, map[string]string{"lb_key": p.Key.StripeKey(), "lb_line": "fee:per_outcome:conversion", "lb_kind": "per_outcome"}, kinds["fee:per_outcome:conversion"])
	require.Equal(t, "rsnap-a", kinds["snap-a"]["lb_readout"])
}

func TestChargeAutomaticallyHasNoDueDate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	p.CollectionMethod, p.DaysUntilDue, p.PONumber, p.Footer, p.Description = billing.ChargeAutomatically, 0, "", "", ""
	out := openWriter(t, w, p)
	w.tap.take()
	_, err := out.CreateDraft(t.Context(), 0)
	require.NoError(t, err)
	form, err := url.ParseQuery(w.tap.take()[0].Body)
	require.NoError(t, err)
	for _, absent := range []string{"days_until_due", "custom_fields[0][name]", "footer", "description"} {
		require.NotContains(t, form, absent)
	}
}

func TestRetrySendsTheSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	first := openWriter(t, w, p)
	w.tap.take()
	require.NoError(t, w.fake.AddFault(stripefake.FaultRule{Kind: stripefake.FaultTruncate, Method: "POST", Path: "^/v1/invoices$"}))
	_, err := first.CreateDraft(t.Context(), 0)
	requireFault(t, err, fault.Indeterminate, "stripe_indeterminate")
	// Another process, later: nothing is remembered but the plan.
	second := openWriter(t, w, p)
	draft, err := second.CreateDraft(t.Context(), 0)
	require.NoError(t, err)
	_, err = second.AddItem(t.Context(), draft.ID, p.Lines[1])
	require.NoError(t, err)
	_, err = first.AddItem(t.Context(), draft.ID, p.Lines[1])
	require.NoError(t, err)
	all := writes(w.tap.take())
	require.Len(t, all, 4)
	for _, pair := range [][2]sent{{all[0], all[1]}, {all[2], all[3]}} {
		require.Equal(t, pair[0].Key, pair[1].Key)
		require.Equal(t, pair[0].Body, pair[1].Body)
	}
	ours, err := second.OurInvoices(t.Context())
	require.NoError(t, err)
	require.Len(t, ours, 1, "the second request was answered from the first")
	items, err := second.Items(t.Context(), draft.ID)
	require.NoError(t, err)
	require.Len(t, items, 1)
}

func TestChangedPlanUnderOneKeyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	draft, err := openWriter(t, w, p).CreateDraft(t.Context(), 0)
	require.NoError(t, err)
	_, err = openWriter(t, w, p).AddItem(t.Context(), draft.ID, p.Lines[0])
	require.NoError(t, err)
	changed := p.Lines[0]
	changed.AmountMinor++
	_, err = openWriter(t, w, p).AddItem(t.Context(), draft.ID, changed)
	requireFault(t, err, fault.Conflict, "idempotency_mismatch")
}

func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	out := openWriter(t, w, p)
	ctx := t.Context()
	draft, err := out.CreateDraft(ctx, 0)
	require.NoError(t, err)
	item, err := out.AddItem(ctx, draft.ID, p.Lines[0])
	require.NoError(t, err)
	w.setup("live", http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {p.Key.Customer}, "amount": {"500"}, "currency": {"usd"}})
	w.setup("live", http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {p.Key.Customer}, "amount": {"1"}, "currency": {"usd"}, "metadata[lb_key]": {p.Key.StripeKey()}})
	w.setup("live", http.MethodPost, "/v1/invoices", url.Values{"customer": {p.Key.Customer}, "metadata[lb_key]": {"another"}})
	ours, err := out.OurInvoices(ctx)
	require.NoError(t, err)
	require.Len(t, ours, 1, "an invoice with another kind of key is none of our business")
	pending, err := out.OurPendingItems(ctx)
	require.NoError(t, err)
	require.Len(t, pending, 1, "somebody else's pending item is none of our business")
	for range 2 {
		require.NoError(t, out.DeleteItem(ctx, item.ID), "deleting twice is deleting")
		require.NoError(t, out.DeleteItem(ctx, pending[0].ID))
		require.NoError(t, out.DeleteDraft(ctx, draft.ID))
	}
	ours, err = out.OurInvoices(ctx)
	require.NoError(t, err)
	require.Empty(t, ours)
	pending, err = out.OurPendingItems(ctx)
	require.NoError(t, err)
	require.Empty(t, pending)
}

func TestStateConflicts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	out := openWriter(t, w, p)
	done := sequence(t, out, p)
	ctx := t.Context()
	_, err := out.Finalize(ctx, done.ID, 1, start)
	requireFault(t, err, fault.Conflict, "stripe_state_conflict")
	_, err = out.AddItem(ctx, done.ID, billing.PlanLine{Line: "late", AmountMinor: 1})
	requireFault(t, err, fault.Conflict, "stripe_state_conflict")
	requireFault(t, out.DeleteDraft(ctx, done.ID), fault.Conflict, "stripe_state_conflict")
	void, err := out.Void(ctx, done.ID)
	require.NoError(t, err)
	require.Equal(t, "void", void.Status)
}

func TestStoredFailureDoesNotWedge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	out := openWriter(t, w, p)
	done := sequence(t, out, p)
	require.NoError(t, w.fake.AddFault(stripefake.FaultRule{Kind: stripefake.Fault500Before, Method: "POST", Path: "/void$"}))
	_, err := out.Void(t.Context(), done.ID)
	requireFault(t, err, fault.Indeterminate, "stripe_indeterminate")
	// The key is spoilt for a day; the next call notices the replay and moves on.
	void, err := openWriter(t, w, p).Void(t.Context(), done.ID)
	require.NoError(t, err)
	require.Equal(t, "void", void.Status)
}

func TestListsReadEveryPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	p.Lines = nil
	for i := range 130 {
		p.Lines = append(p.Lines, billing.PlanLine{Line: "s" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26)), AmountMinor: int64(i + 1), Description: "line"})
	}
	out := openWriter(t, w, p)
	draft, err := out.CreateDraft(t.Context(), 0)
	require.NoError(t, err)
	for _, l := range p.Lines {
		_, err := out.AddItem(t.Context(), draft.ID, l)
		require.NoError(t, err)
	}
	items, err := out.Items(t.Context(), draft.ID)
	require.NoError(t, err)
	require.Len(t, items, 130)
	// A failure on the second page is an error, not a short list.
	require.NoError(t, w.fake.AddFault(stripefake.FaultRule{Kind: stripefake.FaultUnavailable, Method: "GET", Path: "^/v1/invoiceitems$", Skip: 1}))
	_, err = out.Items(t.Context(), draft.ID)
	requireFault(t, err, fault.Unavailable, "stripe_transient")
}

func TestEmptyIDsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	out := openWriter(t, w, p)
	w.tap.take()
	ctx := t.Context()
	for _, bad := range []string{"", "in_1/finalize", "in_1?x", "../customers"} {
		_, err := out.Invoice(ctx, bad)
		requireFault(t, err, fault.Invalid, "stripe_id_malformed")
		_, err = out.Items(ctx, bad)
		requireFault(t, err, fault.Invalid, "stripe_id_malformed")
		_, err = out.AddItem(ctx, bad, p.Lines[0])
		requireFault(t, err, fault.Invalid, "stripe_id_malformed")
		_, err = out.Finalize(ctx, bad, 0, start)
		requireFault(t, err, fault.Invalid, "stripe_id_malformed")
		_, err = out.Release(ctx, bad, 0)
		requireFault(t, err, fault.Invalid, "stripe_id_malformed")
		_, err = out.Send(ctx, bad)
		requireFault(t, err, fault.Invalid, "stripe_id_malformed")
		_, err = out.Void(ctx, bad)
		requireFault(t, err, fault.Invalid, "stripe_id_malformed")
		requireFault(t, out.DeleteItem(ctx, bad), fault.Invalid, "stripe_id_malformed")
		requireFault(t, out.DeleteDraft(ctx, bad), fault.Invalid, "stripe_id_malformed")
	}
	require.Empty(t, w.tap.take())
}

func TestNothingIsTruncated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	customer := w.customer("live")
	cases := map[string]struct {
		spoil func(p *billing.InvoicePlan)
		code  string
	}{
		"memo":           {func(p *billing.InvoicePlan) { p.Description = strings.Repeat("ü", 1501) }, "too_long"},
		"footer":         {func(p *billing.InvoicePlan) { p.Footer = strings.Repeat("f", 5001) }, "too_long"},
		"po number":      {func(p *billing.InvoicePlan) { p.PONumber = strings.Repeat("1", 141) }, "too_long"},
		"line text":      {func(p *billing.InvoicePlan) { p.Lines[1].Description = strings.Repeat("x", 5001) }, "too_long"},
		"metadata value": {func(p *billing.InvoicePlan) { p.Metadata["lb_readouts_1"] = strings.Repeat("x", 501) }, "too_long"},
		"line metadata":  {func(p *billing.InvoicePlan) { p.Lines[0].Metadata["lb_lift"] = strings.Repeat("x", 501) }, "too_long"},
		"metadata key":   {func(p *billing.InvoicePlan) { p.Metadata[strings.Repeat("k", 41)] = "v" }, "metadata_key_malformed"},
		"brackets":       {func(p *billing.InvoicePlan) { p.Metadata["a[b]"] = "v" }, "metadata_key_malformed"},
		"empty value":    {func(p *billing.InvoicePlan) { p.Metadata["lb_part"] = "" }, "metadata_value_empty"},
		"other key":      {func(p *billing.InvoicePlan) { p.Metadata["lb_key"] = "lb:other" }, "metadata_contradiction"},
		"no period":      {func(p *billing.InvoicePlan) { p.PeriodEnd = p.PeriodStart }, "period_empty"},
		"entries": {func(p *billing.InvoicePlan) {
			for i := range 50 {
				p.Metadata["k"+string(rune('a'+i%26))+string(rune('a'+i/26))] = "v"
			}
		}, "metadata_entries"},
	}
	w.tap.take()
	for name, c := range cases {
		p := plan(customer)
		c.spoil(&p)
		_, err := stripeapi.NewWriters(w.client).Open(t.Context(), authorized(t, p))
		require.Error(t, err, name)
		require.Equal(t, c.code, fault.CodeOf(err), name)
	}
	p := plan(customer)
	p.Lines[0].Line = strings.Repeat("l", 400)
	p.Lines[0].Metadata = nil
	out := openWriter(t, w, p)
	w.tap.take()
	_, err := out.AddItem(t.Context(), "in_1", p.Lines[0])
	requireFault(t, err, fault.Invalid, "too_long")
	require.Empty(t, w.tap.take())
}
