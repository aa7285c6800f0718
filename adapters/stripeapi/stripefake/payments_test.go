package stripefake_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// charged makes a paid charge that no invoice belongs to.
func (f *fixture) charged(token string, amount int64) *stripe.Charge {
	f.t.Helper()
	cu := f.customer("")
	pi, err := f.api.PaymentIntents.New(&stripe.PaymentIntentParams{
		Amount: &amount, Currency: stripe.String("usd"), Customer: &cu.ID, PaymentMethod: &token, Confirm: stripe.Bool(true),
	})
	require.NoError(f.t, err)
	ch, err := f.api.Charges.Get(pi.LatestCharge.ID, nil)
	require.NoError(f.t, err)
	return ch
}

func TestRefunds(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ch := f.charged("pm_card_visa", 1000)
	re, err := f.api.Refunds.New(&stripe.RefundParams{Charge: &ch.ID, Amount: stripe.Int64(300)})
	require.NoError(t, err)
	require.Equal(t, stripe.RefundStatusSucceeded, re.Status)
	_, err = f.api.Refunds.New(&stripe.RefundParams{Charge: &ch.ID, Amount: stripe.Int64(701)})
	require.Error(t, err)
	_, err = f.api.Refunds.New(&stripe.RefundParams{PaymentIntent: &ch.PaymentIntent.ID})
	require.NoError(t, err)
	_, err = f.api.Refunds.New(&stripe.RefundParams{Charge: &ch.ID})
	require.Equal(t, stripe.ErrorCodeChargeAlreadyRefunded, stripeError(t, err).Code)
	told := f.events("charge.refunded")
	require.Equal(t, map[string]any{"amount_refunded": float64(0)}, told[0].Data.PreviousAttributes)
	require.Equal(t, map[string]any{"amount_refunded": float64(300), "refunded": false}, told[1].Data.PreviousAttributes)
	require.Equal(t, float64(1000), told[1].Data.Object["amount_refunded"], "cumulative")
	require.Len(t, f.events("refund.created"), 2)
}

func TestRefundsThatTakeTime(t *testing.T) {
	t.Parallel()
	f := setup(t)
	slow, bad := f.charged("pm_card_pendingRefund", 1000), f.charged("pm_card_refundFail", 1000)
	one, err := f.api.Refunds.New(&stripe.RefundParams{Charge: &slow.ID})
	require.NoError(t, err)
	require.Equal(t, stripe.RefundStatusPending, one.Status)
	two, err := f.api.Refunds.New(&stripe.RefundParams{Charge: &bad.ID})
	require.NoError(t, err)
	f.advance(day)
	one, err = f.api.Refunds.Get(one.ID, nil)
	require.NoError(t, err)
	require.Equal(t, stripe.RefundStatusSucceeded, one.Status)
	two, err = f.api.Refunds.Get(two.ID, nil)
	require.NoError(t, err)
	require.Equal(t, stripe.RefundStatusFailed, two.Status)
	ch, err := f.api.Charges.Get(bad.ID, nil)
	require.NoError(t, err)
	require.Zero(t, ch.AmountRefunded)
	require.Equal(t, "pending", f.events("charge.refund.updated")[0].Data.PreviousAttributes["status"])
	require.Error(t, f.SettleRefund(acct, stripefake.Live, two.ID, "succeeded", ""))
	require.Error(t, f.SettleRefund(acct, stripefake.Live, "re_x", "failed", ""))
}

func TestDisputes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ch := f.charged("pm_card_visa", 1000)
	open := func(status string) string {
		id, err := f.OpenDispute(stripefake.DisputeSpec{Account: acct, Mode: stripefake.Live, Charge: ch.ID, Status: status})
		require.NoError(t, err)
		return id
	}
	lost := open("")
	require.NoError(t, f.CloseDispute(acct, stripefake.Live, lost, "lost"))
	require.NoError(t, f.CloseDispute(acct, stripefake.Live, lost, "won"), "a late win is legal")
	require.Error(t, f.CloseDispute(acct, stripefake.Live, lost, "lost"))
	require.Equal(t, []string{
		"charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed", "charge.dispute.updated", "charge.dispute.funds_reinstated",
	}, names(f.events("charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed", "charge.dispute.updated", "charge.dispute.funds_reinstated")))
	inquiry := open("warning_needs_response")
	require.NoError(t, f.CloseDispute(acct, stripefake.Live, inquiry, "lost"))
	d, err := f.api.Disputes.Get(inquiry, nil)
	require.NoError(t, err)
	require.Equal(t, stripe.DisputeStatusWarningClosed, d.Status)
	require.Len(t, f.events("charge.dispute.funds_withdrawn"), 1, "an inquiry moves no money")

	f.charged("pm_card_createDispute", 500)
	f.advance(day)
	require.Len(t, f.events("charge.dispute.created"), 3)
	for _, spec := range []stripefake.DisputeSpec{{Account: "acct_x", Mode: "live"}, {Account: acct, Mode: "moon"}, {Account: acct, Mode: "live", Charge: "ch_x"}, {Account: acct, Mode: "live", Charge: ch.ID, Status: "odd"}} {
		_, err := f.OpenDispute(spec)
		require.Error(t, err)
	}
}

func TestCreditNoteBeforePayment(t *testing.T) {
	t.Parallel()
	f := setup(t)
	in := f.finalize(f.draft(f.customer(""), 1000, 2000).ID)
	line := in.Lines.Data[0].ID
	note := func(amount int64) (*stripe.CreditNote, error) {
		return f.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &in.ID, Lines: []*stripe.CreditNoteLineParams{{Type: stripe.String("invoice_line_item"), InvoiceLineItem: &line, Amount: &amount}}})
	}
	cn, err := note(600)
	require.NoError(t, err)
	require.Equal(t, stripe.CreditNoteTypePrePayment, cn.Type)
	require.Equal(t, in.Number+"-CN-01", cn.Number)
	got := f.invoice(in.ID)
	require.Equal(t, []int64{3000, 2400, 2400, 600}, []int64{got.Total, got.AmountDue, got.AmountRemaining, got.PrePaymentCreditNotesAmount})
	_, err = note(401)
	require.Contains(t, stripeError(t, err).Msg, "is more than its amount")
	_, err = f.api.CreditNotes.VoidCreditNote(cn.ID, nil)
	require.NoError(t, err)
	require.Equal(t, int64(3000), f.invoice(in.ID).AmountDue)
	_, err = f.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &in.ID, Amount: stripe.Int64(3000)})
	require.NoError(t, err)
	require.Equal(t, stripe.InvoiceStatusPaid, f.invoice(in.ID).Status, "nothing is left to pay")
	draft := f.draft(f.customer(""), 1)
	_, err = f.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &draft.ID, Amount: stripe.Int64(1)})
	require.Error(t, err)
}

func TestCreditNoteAfterPayment(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("pm_card_visa")
	in := f.finalize(f.draftOf(cu, 1000).ID)
	_, err := f.api.Invoices.Pay(in.ID, &stripe.InvoicePayParams{})
	require.NoError(t, err)
	_, err = f.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &in.ID, Amount: stripe.Int64(400)})
	require.Contains(t, stripeError(t, err).Msg, "must equal")
	cn, err := f.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &in.ID, Amount: stripe.Int64(400), CreditAmount: stripe.Int64(150), RefundAmount: stripe.Int64(250)})
	require.NoError(t, err)
	require.Equal(t, stripe.CreditNoteTypePostPayment, cn.Type)
	require.NotNil(t, cn.Refund)
	got, err := f.api.Customers.Get(cu.ID, nil)
	require.NoError(t, err)
	require.Equal(t, int64(-150), got.Balance)
	require.Equal(t, int64(400), f.invoice(in.ID).PostPaymentCreditNotesAmount)
	_, err = f.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &in.ID, Amount: stripe.Int64(601), OutOfBandAmount: stripe.Int64(601)})
	require.Error(t, err)
	_, err = f.api.CreditNotes.VoidCreditNote(cn.ID, nil)
	require.Error(t, err, "the refund was made")
}
