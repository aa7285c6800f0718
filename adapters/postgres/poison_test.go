package postgres_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// noise is text that does not pack, of n characters from a place in Unicode on.
func noise(seed string, n int, from rune) string {
	var out strings.Builder
	for k := 0; n > 0; k++ {
		for _, b := range sha256.Sum256(fmt.Appendf(nil, "%s %d", seed, k)) {
			if n > 0 {
				out.WriteRune(from + rune(b)*50)
				n--
			}
		}
	}
	return out.String()
}

// TestNoEventStopsTheOthers: a validly signed event may hold IDs of any length, which no index
// takes, and the longest user IDs that Stripe stores. Its batch is booked nevertheless, and so
// is everything behind it.
func TestNoEventStopsTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	long := hex.EncodeToString([]byte(noise("id", 2000, 'a')))
	refund := func(id, charge string) obj {
		return obj{"id": id, "object": "refund", "charge": charge, "amount": 700, "currency": "usd", "status": "succeeded", "created": at.Unix(), "balance_transaction": "txn_1"}
	}
	paid := w.invoice("in_"+long, "cus_2", 500, at)
	named := w.customer("cus_1", noise("now", 500, '一'), at)
	w.deliver("evt_1", "refund.updated", at, refund("re_"+long, "ch_1"), nil)
	w.deliver("evt_2", "refund.updated", at, refund("re_2", "ch_"+long), nil)
	w.deliver("evt_3", "invoice.paid", at, paid, nil)
	w.deliver("evt_4", "customer.updated", at, named, obj{"metadata": obj{"user_id": noise("before", 500, '一')}})
	w.deliver("evt_5", "invoice.paid", at, w.invoice("in_5", "cus_"+long, 500, at), nil)
	w.deliver("evt_6", "customer.subscription.created", at, obj{"id": "sub_6", "object": "subscription", "customer": "cus_6", "status": "active", "currency": "usd", "created": at.Unix(),
		"items": obj{"data": []obj{{"id": "si_6", "quantity": 1, "price": obj{"id": "price_6", "product": "prod_" + long, "currency": "usd", "unit_amount": 1, "recurring": obj{"interval": "month"}}}}}}, nil)
	w.deliver("evt_7", "invoice.paid", at, w.invoice("in_7", "cus_7", 700, at), nil)
	w.drain()
	require.Equal(t, "evt_1 object_incomplete, evt_3 object_incomplete", one[string](w, `SELECT string_agg(event_id || ' ' || reason, ', ' ORDER BY event_id) FROM event_processing WHERE status = 'quarantined'`))
	require.Equal(t, "evt_2, evt_4, evt_5, evt_6, evt_7", one[string](w, `SELECT string_agg(DISTINCT event_id, ', ' ORDER BY event_id) FROM reward_events`))
}
