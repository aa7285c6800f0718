package stripeapi_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// accesses asks for the rights of a key with these permissions, by row.
func accesses(t *testing.T, w *world, mode string) map[string]account.Access {
	t.Helper()
	seen, err := stripeapi.NewProber(w.client).Permissions(t.Context(), key(t, mode))
	require.NoError(t, err)
	out := map[string]account.Access{}
	for _, a := range seen {
		out[a.Row] = a
	}
	return out
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"*": "read", "invoice": "write", "credit_note": "none", "webhook": "write", "event": "none"})
	before := w.setup("live", http.MethodGet, "/v1/invoices", nil)
	w.tap.take()
	got := accesses(t, w, "live")
	require.Equal(t, account.Access{Row: "invoices", Read: account.Granted, Write: account.Granted}, got["invoices"])
	require.Equal(t, account.Refused, got["invoice_items"].Write)
	require.Equal(t, "rak_invoiceitem_write", got["invoice_items"].Slug, "the missing permission is named")
	require.Equal(t, account.Access{Row: "credit_notes", Read: account.Refused, Write: account.Refused, Slug: "rak_credit_note_read"}, got["credit_notes"])
	require.Equal(t, account.Refused, got["events"].Read)
	require.Equal(t, account.Granted, got["webhook_endpoints"].Write)
	require.Equal(t, account.Unknown, got["customers"].Write, "nobody asks whether customers could be written")
	require.Equal(t, account.Unknown, got["balance"].Read, "the stand-in has no balance, which says nothing about the key")
	for _, s := range writes(w.tap.take()) {
		require.Contains(t, s.Path+s.Body, "liftbill_permission_probe", "each write names what cannot exist: %s %s", s.Method, s.Path)
	}
	require.Equal(t, before, w.setup("live", http.MethodGet, "/v1/invoices", nil), "nothing came of it")
	require.Empty(t, w.setup("live", http.MethodGet, "/v1/invoiceitems", nil)["data"])
}

// A test key is never asked with a write on invoices, whatever it may do.
func TestPermissionsOfATestKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	got := accesses(t, w, "test")
	require.Equal(t, account.Unknown, got["invoices"].Write)
	require.Equal(t, account.Granted, got["webhook_endpoints"].Write)
	for _, s := range writes(w.tap.take()) {
		require.Equal(t, "/v1/webhook_endpoints/we_liftbill_permission_probe", s.Path)
		require.Equal(t, http.MethodDelete, s.Method)
	}
}

// The transport lets nothing through but the bodies about what cannot exist.
func TestTheProberCanWriteNothing(t *testing.T) {
	t.Parallel()
	w := worldOn(t, liar)
	for _, path := range []string{"/v1/invoices", "/v1/invoiceitems", "/v1/credit_notes"} {
		err := stripeapi.SendAs(t.Context(), w.client, "prober", secretKey(t, liveText), http.MethodPost, path, "lb:k")
		requireFault(t, err, fault.Forbidden, "mode_violation")
	}
	require.Empty(t, w.tap.take())
	// Stripe says that it made something of it: that is told, not believed.
	_, err := stripeapi.NewProber(w.client).Permissions(t.Context(), secretKey(t, liveText))
	requireFault(t, err, fault.Internal, "probe_succeeded")
}

// Whoever uses a connection's key is told when Stripe does not accept it; nobody is told of
// a missing permission, nor of a key that is no connection's.
func TestARefusedKeyIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"*": "none"})
	var mu sync.Mutex
	var told []string
	client := newClient(t, w, w.url, func(_ context.Context, id string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, id)
	})
	reader := stripeapi.NewSourceReader(client)
	_, err := reader.Charge(t.Context(), "issuer", "ch_1")
	requireFault(t, err, fault.Forbidden, "stripe_permission")
	require.Empty(t, told)
	require.NoError(t, w.fake.RevokeKey(liveText))
	_, err = reader.Charge(t.Context(), "issuer", "ch_1")
	requireFault(t, err, fault.Forbidden, "stripe_auth")
	_, err = stripeapi.NewWriters(client).Prove(t.Context(), "issuer", "cus_1")
	requireFault(t, err, fault.Forbidden, "stripe_auth")
	_, err = stripeapi.NewRegistrar(client).Endpoints(t.Context(), secretKey(t, liveText), "issuer")
	requireFault(t, err, fault.Forbidden, "stripe_auth")
	require.Equal(t, "issuer issuer issuer", strings.Join(told, " "))
	_, err = stripeapi.NewProber(client).Observe(t.Context(), secretKey(t, liveText))
	requireFault(t, err, fault.Forbidden, "stripe_auth")
	require.Len(t, told, 3)

	conn := w.conns["issuer"]
	conn.Paused, conn.PausedReason = true, account.PauseKeyRevoked
	w.conns["issuer"] = conn
	w.tap.take()
	_, err = reader.Charge(t.Context(), "issuer", "ch_1")
	requireFault(t, err, fault.Conflict, "connection_paused")
	require.Empty(t, w.tap.take(), "a paused connection reads nothing")
}
