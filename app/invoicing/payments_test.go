package invoicing_test

import (
	"crypto/sha256"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// told are the events of the payer's invoices, as Stripe made them.
func told(t *testing.T, b *pipelinetest.Bill) []sourcesync.StoredEvent {
	t.Helper()
	state, err := b.Fake.State("acct_issuer", stripefake.Live, "events")
	require.NoError(t, err)
	var out []sourcesync.StoredEvent
	for _, raw := range state["events"] {
		var e struct {
			ID, Type string
			Created  int64
			Data     struct{ Object struct{ ID string } }
		}
		require.NoError(t, json.Unmarshal(raw, &e))
		if !strings.HasPrefix(e.Type, "invoice.") && !strings.HasPrefix(e.Type, "charge.") {
			continue
		}
		sealed, err := b.Ledger.Box.Seal(ingest.BodyContext(b.Plan.Key.IssuerConnection), raw)
		require.NoError(t, err)
		out = append(out, sourcesync.StoredEvent{
			EventID: e.ID, Type: e.Type, ObjectID: e.Data.Object.ID, APIVersion: "2023-10-16", Created: time.Unix(e.Created, 0), Livemode: true,
			SealedBody: sealed, BodySHA256: sha256.Sum256(raw),
		})
	}
	return out
}

// hear delivers events one by one and classifies each. Another test beside this one may
// have taken the event: then it is waited for.
func hear(t *testing.T, b *pipelinetest.Bill, events []sourcesync.StoredEvent) {
	t.Helper()
	conn := sourcesync.Connection{Connection: account.Connection{ID: b.Plan.Key.IssuerConnection, Environment: account.Live}}
	for _, e := range events {
		_, err := b.Ledger.DB.NewSources().AppendBatch(t.Context(), conn, sourcesync.FromPull, []sourcesync.StoredEvent{e}, time.Time{}, b.Clock.Now())
		require.NoError(t, err)
		for pending := 1; pending > 0; {
			_, err := b.Classifier(t).Drain(t.Context())
			require.NoError(t, err)
			require.NoError(t, b.Ledger.SQL.QueryRow(t.Context(), `SELECT count(*) FROM event_processing WHERE connection_id = $1 AND status = 'pending'`, conn.ID).Scan(&pending))
		}
	}
}

// forget lets the ledger hear everything for the first time again.
func forget(t *testing.T, b *pipelinetest.Bill) {
	t.Helper()
	for _, table := range []string{"stripe_invoices", "stripe_charges", "stripe_events", "event_processing", "object_reads"} {
		_, err := b.Ledger.SQL.Exec(t.Context(), `DELETE FROM `+table+` WHERE connection_id = $1`, b.Plan.Key.IssuerConnection)
		require.NoError(t, err)
	}
}

func payment(t *testing.T, b *pipelinetest.Bill) billing.Payment {
	t.Helper()
	out, err := (&reconcile.Service{Reader: b.Ledger.DB.NewReader()}).TieOut(t.Context(), b.Plan.CycleID)
	require.NoError(t, err)
	require.NotNil(t, out.Payment)
	require.Equal(t, out.Payment.Status, out.StripeStatus)
	require.NotEmpty(t, out.HostedURL)
	require.NotEmpty(t, out.PDFURL)
	requireListed(t, b, out.Payment.Status)
	return *out.Payment
}

// requireListed demands that the list and the overview say of the invoice what its page says.
func requireListed(t *testing.T, b *pipelinetest.Bill, status string) {
	t.Helper()
	svc := &reconcile.Service{Reader: b.Ledger.DB.NewReader()}
	for _, s := range reconcile.InvoiceStatuses() {
		page, err := svc.Invoices(t.Context(), reconcile.InvoicesFilter{Scope: access.Everything(), Search: b.Plan.CycleID, Status: s})
		require.NoError(t, err)
		require.Equal(t, s == status, len(page.Items) == 1, "the invoice is %s and listed as %s", status, s)
		for _, row := range page.Items {
			require.Equal(t, status, row.StripeStatus)
		}
	}
	scope, err := access.NewScope([]string{b.Plan.AccountID}, []string{"live"})
	require.NoError(t, err)
	board, err := svc.Overview(t.Context(), scope, time.Now())
	require.NoError(t, err)
	require.Equal(t, status == "open", len(board.Unpaid) == 1, "what is paid waits for nobody")
	for _, s := range board.Standings {
		require.Equal(t, status == "paid", s.Settled == 1 && s.SettledMinor == s.InvoicedMinor, status)
		require.Equal(t, status == "open", s.OpenMinor > 0 && s.OpenMinor <= s.InvoicedMinor, "%s: %d of %d are open", status, s.OpenMinor, s.InvoicedMinor)
		if status != "open" {
			require.Zero(t, s.OpenMinor, status)
		}
	}
}

// ownRevenue counts what of our own invoices was booked as somebody's revenue.
func ownRevenue(t *testing.T, b *pipelinetest.Bill) (n int) {
	t.Helper()
	require.NoError(t, b.Ledger.SQL.QueryRow(t.Context(), `SELECT count(*) FROM reward_events WHERE connection_id = $1 AND kind = 'revenue_confirmation' AND amount_minor > 0`, b.Plan.Key.IssuerConnection).Scan(&n))
	return n
}

// TestPaymentStatusInAnyOrder lives several lives of an outcome invoice through and tells
// their events in many orders: the status, the amounts and the attempts are the same, and
// never is what our invoice brings anybody's revenue.
func TestPaymentStatusInAnyOrder(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	card := func(token string) url.Values {
		return url.Values{"invoice_settings[default_payment_method]": {token}}
	}
	for name, c := range map[string]struct {
		charged bool
		live    func(b *pipelinetest.Bill, invoice string)
		want    billing.Payment
	}{
		"paid out of band": {live: func(b *pipelinetest.Bill, in string) {
			b.Operator(t, http.MethodPost, "/v1/invoices/"+in+"/pay", url.Values{"paid_out_of_band": {"true"}})
		}, want: billing.Payment{Status: "paid", OutOfBandMinor: 13_023}},
		"voided": {live: func(b *pipelinetest.Bill, in string) {
			b.Operator(t, http.MethodPost, "/v1/invoices/"+in+"/void", nil)
		}, want: billing.Payment{Status: "void"}},
		"given up, then paid": {live: func(b *pipelinetest.Bill, in string) {
			b.Operator(t, http.MethodPost, "/v1/invoices/"+in+"/mark_uncollectible", nil)
			require.NoError(t, b.Fake.Advance(time.Hour))
			b.Operator(t, http.MethodPost, "/v1/invoices/"+in+"/pay", url.Values{"paid_out_of_band": {"true"}})
		}, want: billing.Payment{Status: "paid", OutOfBandMinor: 13_023}},
		"declined, then paid by card": {charged: true, live: func(b *pipelinetest.Bill, in string) {
			b.Operator(t, http.MethodPost, "/v1/customers/"+b.Plan.Key.Customer, card("pm_card_chargeDeclined"))
			require.NoError(t, b.Fake.Advance(2*time.Hour))
			b.Operator(t, http.MethodPost, "/v1/customers/"+b.Plan.Key.Customer, card("pm_card_visa"))
			b.Operator(t, http.MethodPost, "/v1/invoices/"+in+"/pay", nil)
		}, want: billing.Payment{Status: "paid", Attempts: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l, pipelinetest.Charged(t, c.charged))
			out, err := b.Drive(t, nil)
			require.NoError(t, err)
			// Of two changes within one second only Stripe knows which was the last.
			require.NoError(t, b.Fake.Advance(time.Minute))
			c.live(b, out.InvoiceID)
			events := told(t, b)
			require.GreaterOrEqual(t, len(events), 4)
			var first *billing.Payment
			for round := range 6 {
				forget(t, b)
				r := rand.New(rand.NewPCG(7, uint64(round)))
				if round > 0 {
					r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				}
				hear(t, b, events)
				got := payment(t, b)
				require.Equal(t, c.want.Status, got.Status)
				require.Equal(t, c.want.OutOfBandMinor, got.OutOfBandMinor)
				require.Equal(t, c.want.Attempts, got.Attempts)
				if first == nil {
					first = &got
				}
				require.Equal(t, *first, got, "round %d", round)
				require.Zero(t, ownRevenue(t, b))
			}
		})
	}
}

// TestPaymentStatusByRead: an issuer of whom no event comes is asked, again and again until
// the invoice is settled, and not while something was heard lately.
func TestPaymentStatusByRead(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	out, err := b.Drive(t, nil)
	require.NoError(t, err)
	require.Equal(t, "open", payment(t, b).Status)
	require.True(t, payment(t, b).SeenAt.IsZero())
	s := b.NewProcess(t)
	s.Payments = b.Ledger.DB.NewInvoicing()
	follow := func(want int) {
		t.Helper()
		n, err := s.FollowPayments(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, n)
		_, err = b.Classifier(t).ReadDue(t.Context())
		require.NoError(t, err)
	}
	follow(0) // just released
	require.NoError(t, b.Fake.Advance(7*time.Hour))
	follow(1)
	require.Equal(t, "open", payment(t, b).Status)
	require.False(t, payment(t, b).SeenAt.IsZero())
	follow(0)
	b.Operator(t, http.MethodPost, "/v1/invoices/"+out.InvoiceID+"/pay", url.Values{"paid_out_of_band": {"true"}})
	require.NoError(t, b.Fake.Advance(7*time.Hour))
	follow(1)
	got := payment(t, b)
	require.Equal(t, "paid", got.Status)
	require.NotNil(t, got.PaidAt)
	require.EqualValues(t, 13_023, got.OutOfBandMinor)
	require.NoError(t, b.Fake.Advance(48*time.Hour))
	follow(0) // settled: never asked again
	require.Zero(t, ownRevenue(t, b))
}
