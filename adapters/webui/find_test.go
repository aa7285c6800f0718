package webui_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// An ID of Stripe's leads to what it is here, and one that nobody knows to the log that says so.
func TestFind(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newEcho(l)
	at := func(id string) string {
		w := send(t, e, http.MethodGet, "/find?q="+id, nil)
		require.Equal(t, http.StatusSeeOther, w.Code)
		return w.Header().Get("Location")
	}
	require.Equal(t, "/invoices/acme.2026-10", at("in_1QHk2vG9RKHgCVdKx01"), "an invoice of ours")
	require.Equal(t, "in_1QHk2vG9RKHgCVdKx01", l.invoicesAsked.Search)
	require.Equal(t, "/events?q=evt_1", at("evt_1"))
	require.Equal(t, "/accounts/acme/customers/cus_1", at("cus_1"))
	require.Equal(t, "cus_1", l.logAsked.Customer)
	require.Equal(t, "/accounts/acme/events?q=ch_1", at("ch_1"))
	require.Equal(t, "ch_1", l.logAsked.Object)
	l.invoices = nil
	require.Equal(t, "/accounts/acme/events?q=in_2", at("in_2"), "an invoice of a customer's")
	l.log = nil
	require.Equal(t, "/events?q=sub_1", at("sub_1"))
	require.Equal(t, "/events?q=http%3A%2F%2Fevil.example", at("http://evil.example"))
}
