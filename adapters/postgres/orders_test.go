package postgres_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// permute visits every order of a list.
func permute[T any](list []T, visit func([]T)) {
	if len(list) == 0 {
		visit(nil)
		return
	}
	for k := range list {
		rest := append(append([]T{}, list[:k]...), list[k+1:]...)
		permute(rest, func(tail []T) { visit(append([]T{list[k]}, tail...)) })
	}
}

// sixEvents are two lives of six events each, side by side: one subscription that is
// upgraded and cancelled within one second, and one that pays, is refunded and ends.
func sixEvents(t *testing.T) [6][2]lived {
	t.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	sub := func(id, status string, quantity int, more obj) obj {
		o := obj{"id": id, "object": "subscription", "customer": "cus_" + id, "status": status, "currency": "usd", "latest_invoice": "in_" + id,
			"created": start.Unix(), "start_date": start.Unix(), "trial_start": start.Unix(), "trial_end": day(14).Unix(), "cancel_at_period_end": false,
			"current_period_start": day(14).Unix(), "current_period_end": day(45).Unix(), "items": obj{"object": "list", "data": []obj{{"id": "si_1", "quantity": quantity,
				"price": obj{"id": "price_a", "currency": "usd", "unit_amount": 2000, "recurring": obj{"interval": "month", "interval_count": 1}}}}}}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	invoice := obj{"id": "in_b", "object": "invoice", "customer": "cus_b", "subscription": "b", "currency": "usd", "status": "paid", "charge": "ch_b",
		"amount_due": 2400, "amount_paid": 2400, "total": 2400, "total_excluding_tax": 2000, "status_transitions": obj{"paid_at": day(14).Unix()}}
	refund := obj{"id": "re_b", "object": "refund", "charge": "ch_b", "amount": 700, "currency": "usd", "status": "succeeded", "created": day(20).Unix(), "balance_transaction": "txn_b"}
	n := 0
	at := func(kind string, when time.Time, object, previous obj) lived {
		n++
		id := fmt.Sprintf("evt_%d", n)
		body, err := json.Marshal(obj{"id": id, "object": "event", "type": kind, "created": when.Unix(), "livemode": true, "api_version": "2023-10-16",
			"data": obj{"object": object, "previous_attributes": previous}})
		require.NoError(t, err)
		return lived{id, kind, when, body}
	}
	const created, updated, deleted = "customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted"
	one := obj{"items": obj{"data": []obj{{"id": "si_1", "quantity": 1}}}}
	leaving := obj{"cancel_at_period_end": true, "canceled_at": day(30).Unix()}
	return [6][2]lived{
		{at(created, day(0), sub("a", "incomplete", 1, nil), nil), at(created, day(0), sub("b", "trialing", 1, nil), nil)},
		{at(updated, day(0), sub("a", "trialing", 1, nil), obj{"status": "incomplete"}), at(updated, day(14), sub("b", "active", 1, nil), obj{"status": "trialing"})},
		{at(updated, day(14), sub("a", "active", 1, nil), obj{"status": "trialing"}), at("invoice.paid", day(14), invoice, nil)},
		{at(updated, day(20), sub("a", "past_due", 1, nil), obj{"status": "active"}), at("refund.updated", day(20), refund, obj{"status": "pending"})},
		{at(updated, day(30), sub("a", "past_due", 2, nil), one), at("invoice.payment_succeeded", day(14), invoice, nil)},
		{at(updated, day(30), sub("a", "past_due", 2, leaving), obj{"cancel_at_period_end": false, "canceled_at": nil}),
			at(deleted, day(31), sub("b", "canceled", 1, obj{"ended_at": day(31).Unix(), "canceled_at": day(31).Unix()}), nil)},
	}
}

// TestEveryOrderOfALifeIsBookedTheSame: all 720 orders of two lives of six events, each
// order on a connection of its own and each event classified before the next one comes,
// with one delivered again. The ledger and the projections come out the same in PostgreSQL.
func TestEveryOrderOfALifeIsBookedTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const orders = 720
	require.NoError(t, w.exec(`INSERT INTO connections SELECT (jsonb_populate_record(c, jsonb_build_object('id', 'order-' || n, 'stripe_account_id', 'acct_' || n))).*
		FROM connections c, generate_series(0, $1 - 1) n WHERE c.id = 'acme'`, orders))
	var streams [][][2]lived
	events := sixEvents(t)
	permute(events[:], func(order [][2]lived) {
		again := order[len(streams)%len(order)]
		streams = append(streams, append(append([][2]lived{}, order...), again))
	})
	require.Len(t, streams, orders)
	inbox := w.db.NewInbox(w.box)
	for step := range len(events) + 1 {
		var group errgroup.Group
		group.SetLimit(64)
		for n, stream := range streams {
			group.Go(func() error {
				for _, e := range stream[step] {
					isNew, err := inbox.Append(w.ctx, w.event(fmt.Sprintf("order-%d", n), e.id, e.at, e.body))
					if err != nil || isNew != (step < len(events)) {
						return fmt.Errorf("order %d, step %d: new %v, %w", n, step, isNew, err)
					}
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		w.drain()
	}
	require.Equal(t, 12*orders, one[int](w, `SELECT count(*) FROM reward_events`))
	const facts = `SELECT connection_id, string_agg(concat_ws(' ', fact_key, kind, is_reward, object_id, customer_id, subscription_id, invoice_id, charge_id,
		amount_minor, currency, effective_at, detail), E'\n' ORDER BY fact_key) AS all_of_it FROM reward_events GROUP BY 1`
	w.requireOneResult(facts)
	for _, table := range projectionTables {
		w.requireOneResult(`SELECT connection_id, string_agg(replace(row_to_json(t)::text, connection_id, ''), E'\n' ORDER BY id) AS all_of_it FROM ` + table + ` t GROUP BY 1`)
	}
}

// requireOneResult wants a query to say the same of every connection that it names.
func (w *world) requireOneResult(query string) {
	w.t.Helper()
	rows, err := w.sql.Query(w.ctx, `SELECT min(connection_id), count(*), all_of_it FROM (`+query+`) q GROUP BY all_of_it ORDER BY 2 DESC LIMIT 2`)
	require.NoError(w.t, err)
	defer rows.Close()
	var results []string
	for rows.Next() {
		var connection, result string
		var n int
		require.NoError(w.t, rows.Scan(&connection, &n, &result))
		results = append(results, fmt.Sprintf("%d, %s among them:\n%s", n, connection, result))
	}
	require.NoError(w.t, rows.Err())
	if len(results) > 1 {
		w.t.Fatalf("%s\n\n%s", results[0], results[1])
	}
}
