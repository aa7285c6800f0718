package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/domain/projection"
)

// remember joins what was read into the states of reads, which a rebuild starts from.
func remember(ctx context.Context, tx gorm.ConnPool, reads map[string]*projection.Set) error {
	for _, connectionID := range slices.Sorted(maps.Keys(reads)) {
		s := reads[connectionID]
		for _, err := range []error{
			rememberKind(ctx, tx, connectionID, chargesTable.object, s.Charges),
			rememberKind(ctx, tx, connectionID, customersTable.object, s.Customers),
			rememberKind(ctx, tx, connectionID, disputesTable.object, s.Disputes),
			rememberKind(ctx, tx, connectionID, invoicesTable.object, s.Invoices),
			rememberKind(ctx, tx, connectionID, productsTable.object, s.Products),
			rememberKind(ctx, tx, connectionID, subscriptionsTable.object, s.Subscriptions),
		} {
			if err != nil {
				return wrap(err)
			}
		}
	}
	return nil
}

// rememberKind makes and locks the rows in the order of their keys, joins, and writes
// what changed.
func rememberKind[V projection.View](ctx context.Context, tx gorm.ConnPool, connectionID, object string, objects map[string]*projection.Object[V]) error {
	if len(objects) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(objects))
	_, err := tx.ExecContext(ctx, `INSERT INTO stripe_object_reads (connection_id, object, id, state)
		SELECT $1, $2, k.id, '{}' FROM unnest($3::text[]) AS k(id) ORDER BY k.id COLLATE "C" ON CONFLICT DO NOTHING`, connectionID, object, ids)
	if err != nil {
		return err
	}
	var changed, states []string
	err = query(ctx, tx, `SELECT r.id, r.state::text FROM stripe_object_reads r JOIN unnest($3::text[]) AS k(id) ON k.id = r.id
		WHERE r.connection_id = $1 AND r.object = $2 ORDER BY r.id COLLATE "C" FOR UPDATE OF r`, []any{connectionID, object, ids}, func(scan func(...any) error) error {
		var id, state string
		if err := scan(&id, &state); err != nil {
			return err
		}
		o := &projection.Object[V]{}
		if err := json.Unmarshal([]byte(state), o); err != nil {
			return err
		}
		isNew := o.ID == ""
		o.ID = id
		if !o.Join(objects[id]) && !isNew {
			return nil
		}
		doc, err := json.Marshal(o)
		changed, states = append(changed, id), append(states, string(doc))
		return err
	})
	if err != nil || len(changed) == 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE stripe_object_reads r SET state = k.state::json FROM unnest($3::text[], $4::text[]) AS k(id, state)
		WHERE r.connection_id = $1 AND r.object = $2 AND r.id = k.id`, connectionID, object, changed, states)
	return err
}

// observationOf is a remembered state as an observation.
func observationOf(object string, state []byte) (projection.Observation, error) {
	var out projection.Observation
	var err error
	switch object {
	case chargesTable.object:
		err = json.Unmarshal(state, &out.Charge)
	case customersTable.object:
		err = json.Unmarshal(state, &out.Customer)
	case disputesTable.object:
		err = json.Unmarshal(state, &out.Dispute)
	case invoicesTable.object:
		err = json.Unmarshal(state, &out.Invoice)
	case productsTable.object:
		err = json.Unmarshal(state, &out.Product)
	case subscriptionsTable.object:
		err = json.Unmarshal(state, &out.Subscription)
	}
	return out, err
}

// askProducts queues the products whose names the batch's subscriptions need and nobody
// has told (a webhook names a product by its ID only), and once more those of which the
// last version is not known.
func askProducts(ctx context.Context, tx gorm.ConnPool, seen seenObjects, again map[rowKey]bool, at time.Time) error {
	asked := maps.Clone(again)
	for connectionID, sets := range seen {
		for _, o := range sets.all.Subscriptions {
			s, _ := o.Now()
			for _, i := range s.Items {
				if key := (rowKey{connectionID, i.Product}); i.Product != "" && i.ProductName == "" && !asked[key] {
					asked[key] = false
				}
			}
		}
	}
	if len(asked) == 0 {
		return nil
	}
	var connections, ids []string
	var doubts []bool
	for _, k := range slices.SortedFunc(maps.Keys(asked), func(a, b rowKey) int { return cmp.Or(cmp.Compare(a.connection, b.connection), cmp.Compare(a.id, b.id)) }) {
		connections, ids, doubts = append(connections, k.connection), append(ids, k.id), append(doubts, asked[k])
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO object_reads AS r (connection_id, object, object_id, reason, status, requested_at)
		SELECT k.connection_id, 'product', k.id, CASE WHEN k.doubt THEN 'same_second' ELSE 'product_name' END, 'pending', $4
		FROM unnest($1::text[], $2::text[], $3::boolean[]) AS k(connection_id, id, doubt)
		WHERE k.doubt OR NOT EXISTS (SELECT 1 FROM stripe_products p WHERE p.connection_id = k.connection_id AND p.id = k.id)
			-- one that is queued already is not even locked
			AND NOT EXISTS (SELECT 1 FROM object_reads q WHERE q.connection_id = k.connection_id AND q.object = 'product' AND q.object_id = k.id)
		ORDER BY k.connection_id COLLATE "C", k.id COLLATE "C"
		ON CONFLICT (connection_id, object, object_id) DO UPDATE SET status = 'pending', reason = excluded.reason, requested_at = excluded.requested_at, asked = r.asked + 1,
			attempts = 0, next_attempt_at = '-infinity', next_action = ''
		WHERE excluded.reason = 'same_second'`, connections, ids, doubts, at)
	return wrap(err)
}
