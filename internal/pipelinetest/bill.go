package pipelinetest

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
)

// The Stripe account of a bill and the keys on it: what liftbill uses, and what
// somebody else who works on the same account uses.
const (
	stripeAccount = "acct_issuer"
	issuerKey     = "rk_live_issuer_of_the_test"
	operatorKey   = "sk_live_operator_of_the_test"
)

var issuerPermissions = map[string]string{
	"*": "read", "invoice": "write", "invoiceitem": "write", "credit_note": "write", "customer": "write", "checkout_session": "write",
}

// Bill is one cycle at its write-back, with a Stripe stand-in of its own in which
// the payer already has things that are none of ours.
type Bill struct {
	Ledger *Ledger
	Fake   *stripefake.Server
	Plan   billing.InvoicePlan
	Clock  Clock
	// Wrap, when set, goes between the use case and its ports.
	WrapWriters func(invoicing.Writers) invoicing.Writers
	WrapLedger  func(invoicing.Ledger) invoicing.Ledger

	foreign map[string]string
}

// Clock is the stand-in's clock, so that both sides agree on the time.
type Clock struct{ fake *stripefake.Server }

// Now is the time at Stripe.
func (c Clock) Now() time.Time { return c.fake.Clock.Now().UTC() }

// NewBill makes a bill of two lines, a measured lift and a fee. Setup may give the payer more than the usual
// foreign item and foreign draft before those are recorded.
func NewBill(t testing.TB, l *Ledger, setup ...func(*Bill)) *Bill {
	t.Helper()
	n := l.serial.Add(1)
	fake := stripefake.Start(t, stripefake.Options{
		Seed: uint64(n), Start: time.Date(2026, 11, 4, 6, 0, 0, 0, time.UTC), HoldWebhooks: true, //nolint:gosec // a serial is positive
		Accounts: []stripefake.AccountSpec{{ID: stripeAccount, Keys: []stripefake.KeySpec{
			{Mode: stripefake.Live, Secret: issuerKey, Permissions: issuerPermissions}, {Mode: stripefake.Live, Secret: operatorKey},
		}}},
	})
	b := &Bill{Ledger: l, Fake: fake, Clock: Clock{fake}}
	customer := b.Operator(t, http.MethodPost, "/v1/customers", url.Values{"email": {"payer@example.com"}})["id"].(string)
	b.Plan = planFor(fmt.Sprintf("acme-%d", n), customer)
	b.Operator(t, http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {customer}, "amount": {"500"}, "currency": {"usd"}, "description": {"pending, not ours"}})
	draft := b.Operator(t, http.MethodPost, "/v1/invoices", url.Values{"customer": {customer}, "currency": {"usd"}, "pending_invoice_items_behavior": {"exclude"}})["id"].(string)
	b.Operator(t, http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {customer}, "invoice": {draft}, "amount": {"700"}, "currency": {"usd"}})
	for _, s := range setup {
		s(b)
	}
	require.NoError(t, l.insertBill(t.Context(), b.Plan, stripeAccount, issuerKey, b.Clock.Now()))
	b.foreign = b.Objects(t)
	fake.ResetRequests()
	return b
}

func planLine(id string, amount int64) billing.PlanLine {
	return billing.PlanLine{Line: id, AmountMinor: amount, Description: "Measured lift of " + id, Metadata: map[string]string{"lb_line": id, "lb_snapshot": id, "lb_readout": "case-" + id}}
}

func planFor(accountID, customer string) billing.InvoicePlan {
	fee := billing.PlanLine{Line: "fee:platform_fee", Kind: billing.LinePlatformFee, AmountMinor: 678, Description: "Platform fee", Metadata: map[string]string{"lb_line": "fee:platform_fee", "lb_kind": "platform_fee"}}
	p := billing.InvoicePlan{
		Key:     billing.IntentKey{IssuerConnection: accountID + "-stripe", Customer: customer, Currency: "usd", Period: "2026-10", Part: "1/1"},
		CycleID: accountID + ".2026-10", AccountID: accountID, CollectionMethod: billing.SendInvoice, DaysUntilDue: 30, Description: "Measured incremental revenue",
		PeriodStart: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC).Unix(), PeriodEnd: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Unix(),
		Lines: []billing.PlanLine{planLine("snap-a", 12_345), fee},
	}
	p.Metadata = map[string]string{"lb_key": p.Key.StripeKey(), "lb_cycle": p.Key.Period, "lb_env": "live", "lb_readouts_1": "case-snap-a", "lb_plan_sha256": p.Hash()}
	return p
}

// Operator sends a request as somebody else with access to the Stripe account.
func (b *Bill) Operator(t testing.TB, method, path string, form url.Values) map[string]any {
	t.Helper()
	status, out := b.operator(method, path, form)
	require.Less(t, status, 300, "%s %s: %v", method, path, out)
	return out
}

func (b *Bill) operator(method, path string, form url.Values) (int, map[string]any) {
	return atStripe(b.Fake, operatorKey, method, path, form)
}

// NewProcess is the use case as a freshly started worker has it: everything that
// it knows is in the database and at Stripe.
func (b *Bill) NewProcess(t testing.TB) *invoicing.Service {
	t.Helper()
	client := b.client(t)
	s := &invoicing.Service{
		Corrections: b.Ledger.DB.NewCorrections(), Credits: stripeapi.NewCredits(client),
		Ledger: b.Ledger.DB.NewInvoicing(), Writers: stripeapi.NewWriters(client), Clock: b.Clock,
		Book: b.Ledger.DB.NewPayerBook(b.Ledger.Box), Payers: stripeapi.NewPayers(client), Setups: stripeapi.NewSetups(client),
	}
	if b.WrapLedger != nil {
		s.Ledger = b.WrapLedger(s.Ledger)
	}
	if b.WrapWriters != nil {
		s.Writers = b.WrapWriters(s.Writers)
	}
	return s
}

func (b *Bill) client(t testing.TB) *stripeapi.Client {
	t.Helper()
	client, err := stripeapi.New(stripeapi.Config{
		APIBase: b.Fake.URL, LiveRate: stripeapi.Unlimited, TestRate: stripeapi.Unlimited, HTTPTimeout: time.Minute,
		Clock: b.Clock, Logger: slog.New(slog.DiscardHandler), ConnectionKey: b.Ledger.connectionKey, Writing: b.Ledger.DB.NewGoLive().Switch,
	})
	require.NoError(t, err)
	return client
}

// Classifier books what is heard of the bill's issuer.
func (b *Bill) Classifier(t testing.TB) *ingest.Classifier {
	t.Helper()
	db := b.Ledger.DB
	return &ingest.Classifier{Work: db.Classification(), Source: stripeapi.NewSourceReader(b.client(t)), Reads: db.Reads(), Box: b.Ledger.Box, Clock: b.Clock}
}

// Requests are those of liftbill's key, in order.
func (b *Bill) Requests() []stripefake.Request {
	var out []stripefake.Request
	for _, r := range b.Fake.Requests(stripefake.RequestFilter{Account: stripeAccount}) {
		if r.KeyKind == "restricted" {
			out = append(out, r)
		}
	}
	return out
}
