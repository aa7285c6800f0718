package stripeapi_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

var payerPlan = billing.PayerPlan{IssuerConnection: "issuer", AccountID: "acme", Name: "Acme Inc.", Email: "payables@acme.example"}

func finder(t *testing.T, w *world) invoicing.PayerFinder {
	t.Helper()
	permit, err := billing.AuthorizePayer(proven(t), account.Live, payerPlan)
	require.NoError(t, err)
	f, err := stripeapi.NewPayers(w.client).OpenPayer(t.Context(), permit)
	require.NoError(t, err)
	return f
}

func setupFor(t *testing.T, w *world, customer string) invoicing.SetupWriter {
	t.Helper()
	permit, err := billing.AuthorizeSetup(proven(t), account.Live, billing.PayerSetup{IssuerConnection: "issuer", AccountID: "acme", Customer: customer, Currency: "usd"})
	require.NoError(t, err)
	s, err := stripeapi.NewSetups(w.client).OpenSetup(t.Context(), permit)
	require.NoError(t, err)
	return s
}

func TestPayerIsMadeAndFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	stranger := w.setup("live", http.MethodPost, "/v1/customers", url.Values{"email": {payerPlan.Email}, "metadata[lb_account]": {"another"}})["id"].(string)
	f := finder(t, w)
	w.tap.take()
	made, err := f.Create(t.Context(), 0)
	require.NoError(t, err)
	again, err := f.Create(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, made, again, "the same key is the same customer")
	all := writes(w.tap.take())
	require.Equal(t, payerPlan.Key()+":g0", all[0].Key)
	form, err := url.ParseQuery(all[0].Body)
	require.NoError(t, err)
	require.Equal(t, url.Values{"name": {"Acme Inc."}, "email": {payerPlan.Email}, "metadata[lb_account]": {"acme"}, "metadata[lb_payer]": {payerPlan.Key()}}, form)

	same, err := f.ByEmail(t.Context())
	require.NoError(t, err)
	require.Len(t, same, 2)
	require.Equal(t, invoicing.Customer{ID: made.ID, Account: "acme", Key: payerPlan.Key(), Created: start}, same[0])
	require.Equal(t, stranger, same[1].ID)
	require.Equal(t, "another", same[1].Account)
	w.setup("live", http.MethodPost, "/v1/customers/"+made.ID, url.Values{"email": {"corrected@acme.example"}})
	since, err := f.MadeSince(t.Context(), start)
	require.NoError(t, err)
	require.Len(t, since, 1, "known by its mark, whatever its address is now")
	none, err := f.MadeSince(t.Context(), start.Add(2*time.Hour))
	require.NoError(t, err)
	require.Empty(t, none)
	require.Len(t, f.Calls(), 5)
}

func TestSetupPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	payer := w.customer("live")
	s := setupFor(t, w, payer)
	w.tap.take()
	page, err := s.CreateSession(t.Context(), 1, "https://vendor.example/done", "https://vendor.example/back")
	require.NoError(t, err)
	require.Equal(t, invoicing.SetupOpen, page.Status)
	require.NotEmpty(t, page.URL)
	require.Equal(t, start.Add(24*time.Hour), page.ExpiresAt)
	form, err := url.ParseQuery(w.tap.take()[0].Body)
	require.NoError(t, err)
	require.Equal(t, "setup", form.Get("mode"))
	require.Equal(t, payer, form.Get("customer"))
	require.Equal(t, "acme", form.Get("setup_intent_data[metadata][lb_account]"))
	method, err := s.PaymentMethodOf(t.Context(), page.Intent)
	require.NoError(t, err)
	require.Empty(t, method, "nobody has entered one")

	require.NoError(t, w.fake.CompleteCheckout("acct_1Vendor", "live", page.ID, "pm_card_visa"))
	page, err = s.Session(t.Context(), page.ID)
	require.NoError(t, err)
	require.Equal(t, invoicing.SetupComplete, page.Status)
	require.Empty(t, page.URL)
	method, err = s.PaymentMethodOf(t.Context(), page.Intent)
	require.NoError(t, err)
	require.NotEmpty(t, method)
	other := setupFor(t, w, w.customer("live"))
	none, err := other.PaymentMethodOf(t.Context(), page.Intent)
	require.NoError(t, err)
	require.Empty(t, none, "it is another payer's")

	require.NoError(t, w.fake.AddFault(stripefake.FaultRule{Kind: stripefake.Fault500Before, Method: http.MethodPost, Path: "^/v1/customers/"}))
	_, err = s.SetDefault(t.Context(), 1, method)
	requireFault(t, err, fault.Indeterminate, "stripe_indeterminate")
	got, err := s.SetDefault(t.Context(), 1, method)
	require.NoError(t, err, "the stored failure does not wedge it")
	require.True(t, got.HasDefaultPaymentMethod)
}

// The other writers of the package stand behind the same layers as that of invoices.
func TestPayerWritersStandBehindTheLayers(t *testing.T) {
	t.Parallel()
	w := worldOn(t, liar)
	payers, setups := stripeapi.NewPayers(w.client), stripeapi.NewSetups(w.client)
	_, err := payers.OpenPayer(t.Context(), billing.PayerCreation{})
	requireFault(t, err, fault.Forbidden, "mode_violation")
	_, err = setups.OpenSetup(t.Context(), billing.SetupPermission{})
	requireFault(t, err, fault.Forbidden, "mode_violation")
	_, err = payers.ProveIssuer(t.Context(), "sandbox")
	requireFault(t, err, fault.Forbidden, "mode_violation")
	require.Empty(t, w.tap.take(), "nothing was sent at all")

	permit, err := billing.AuthorizePayer(proven(t), account.Live, payerPlan)
	require.NoError(t, err)
	setup, err := billing.AuthorizeSetup(proven(t), account.Live, billing.PayerSetup{IssuerConnection: "issuer", AccountID: "acme", Customer: "cus_1", Currency: "usd"})
	require.NoError(t, err)
	for name, change := range map[string]func(){
		"key replaced":       func() { w.keys["issuer"] = secretKey(t, testText) },
		"connection flipped": func() { w.connect("issuer", account.Test, testText) },
	} {
		w.connect("issuer", account.Live, liveText)
		change()
		_, err = payers.OpenPayer(t.Context(), permit)
		requireFault(t, err, fault.Forbidden, "mode_violation")
		_, err = setups.OpenSetup(t.Context(), setup)
		requireFault(t, err, fault.Forbidden, "mode_violation")
		require.Empty(t, w.tap.take(), name)
	}
	w.connect("issuer", account.Live, liveText)
	conn := w.conns["issuer"]
	conn.WriteBackOff = true
	w.conns["issuer"] = conn
	_, err = payers.OpenPayer(t.Context(), permit)
	requireFault(t, err, fault.Conflict, "write_back_off")
	_, err = setups.OpenSetup(t.Context(), setup)
	requireFault(t, err, fault.Conflict, "write_back_off")
	require.Empty(t, writes(w.tap.take()))
}

func TestWitness(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	payer := w.customer("live")
	writers := stripeapi.NewWriters(w.client)
	w.tap.take()
	proof, got, err := writers.Witness(t.Context(), "issuer", payer)
	require.NoError(t, err)
	require.Equal(t, "issuer", proof.ConnectionID())
	require.Equal(t, invoicing.Payer{ID: payer, Livemode: true, HasEmail: true}, got)
	_, err = writers.Prove(t.Context(), "issuer", payer)
	require.NoError(t, err)
	require.Len(t, w.tap.take(), 1, "the payer is the witness, and is asked once")

	w.setup("live", http.MethodDelete, "/v1/customers/"+payer, nil)
	for _, id := range []string{payer, "cus_nobody"} {
		_, got, err = writers.Witness(t.Context(), "issuer", id)
		require.NoError(t, err, "another object witnesses")
		require.True(t, got.Deleted, id)
	}
	other := newWorld(t, everything())
	_, _, err = stripeapi.NewWriters(other.client).Witness(t.Context(), "issuer", other.customer("test"))
	requireFault(t, err, fault.Forbidden, "mode_violation")
	require.Empty(t, writes(keysOf(other.tap.take(), liveText)))
}

// keysOf are the requests that were sent with a key.
func keysOf(all []sent, key string) []sent {
	var out []sent
	for _, s := range all {
		if s.Auth == "Bearer "+key {
			out = append(out, s)
		}
	}
	return out
}
