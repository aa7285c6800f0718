package stripefake_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// BenchmarkCreateCustomer is one write with its event, without the network.
func BenchmarkCreateCustomer(b *testing.B) {
	srv := stripefake.New(stripefake.Options{Accounts: []stripefake.AccountSpec{{ID: acct, Keys: []stripefake.KeySpec{{Mode: stripefake.Live, Secret: liveKey}}}}})
	b.Cleanup(srv.Close)
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "/v1/customers", strings.NewReader("email=a%40example.test&metadata[user_id]=u1"))
		req.Header.Set("Authorization", "Bearer "+liveKey)
		rec := httptest.NewRecorder()
		srv.ServeHTTP(rec, req)
		require.Equal(b, http.StatusOK, rec.Code)
	}
}

// BenchmarkMonthOfSubscriptions is a month of 1,000 subscriptions: renewal,
// invoice, payment and a dozen events each.
func BenchmarkMonthOfSubscriptions(b *testing.B) {
	for b.Loop() {
		srv := stripefake.New(stripefake.Options{Accounts: []stripefake.AccountSpec{{ID: acct, Keys: []stripefake.KeySpec{{Mode: stripefake.Live, Secret: liveKey}}}}})
		send := func(path, form string) string {
			req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form))
			req.Header.Set("Authorization", "Bearer "+liveKey)
			rec := httptest.NewRecorder()
			srv.ServeHTTP(rec, req)
			require.Equal(b, http.StatusOK, rec.Code, rec.Body.String())
			_, id, _ := strings.Cut(rec.Body.String(), `"id":"`)
			id, _, _ = strings.Cut(id, `"`)
			return id
		}
		price := send("/v1/prices", "currency=usd&unit_amount=2000&product_data[name]=Plan&recurring[interval]=month")
		for range 1000 {
			cu := send("/v1/customers", "invoice_settings[default_payment_method]=pm_card_visa")
			send("/v1/subscriptions", "customer="+cu+"&items[0][price]="+price)
		}
		require.NoError(b, srv.Advance(32*day))
		srv.Close()
	}
}

// BenchmarkDelivery is one webhook to a receiver on loopback, with its write.
func BenchmarkDelivery(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	b.Cleanup(receiver.Close)
	srv := stripefake.New(stripefake.Options{Accounts: []stripefake.AccountSpec{{ID: acct, Keys: []stripefake.KeySpec{{Mode: stripefake.Live, Secret: liveKey}}}}})
	b.Cleanup(srv.Close)
	send := func(path, form string) {
		req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form))
		req.Header.Set("Authorization", "Bearer "+liveKey)
		rec := httptest.NewRecorder()
		srv.ServeHTTP(rec, req)
		require.Equal(b, http.StatusOK, rec.Code, rec.Body.String())
	}
	send("/v1/webhook_endpoints", "url="+receiver.URL+"&enabled_events[]=*")
	for b.Loop() {
		send("/v1/customers", "email=a%40example.test")
	}
	require.NoError(b, srv.DeliverPending())
}
