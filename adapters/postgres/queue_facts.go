package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/domain/reward"
)

// factRow is a fact as it is stored.
type factRow struct {
	ConnectionID   string
	FactKey        string
	Kind           string
	IsReward       bool
	ObjectID       string
	CustomerID     string
	SubscriptionID string
	InvoiceID      string
	ChargeID       string
	AmountMinor    *int64
	Currency       string
	EffectiveAt    time.Time
	EventID        string
	Detail         factDetail
	// live is a fact of an event; the others were read off objects.
	live bool
	fact reward.Fact
}

// factDetail is what qualifies a fact and is shown, not summed.
type factDetail struct {
	UserID    string       `json:"user_id,omitempty"`
	MRRBefore string       `json:"mrr_before,omitempty"`
	MRRAfter  string       `json:"mrr_after,omitempty"`
	Flags     reward.Flags `json:"flags,omitzero"`
}

func rowOf(connectionID, eventID string, f reward.Fact) factRow {
	return factRow{
		ConnectionID: connectionID, FactKey: f.Key, Kind: f.Kind.String(), IsReward: f.IsReward, ObjectID: f.ObjectID,
		CustomerID: f.Customer, SubscriptionID: f.Subscription, InvoiceID: f.Invoice, ChargeID: f.Charge,
		AmountMinor: f.Amount, Currency: f.Currency, EffectiveAt: f.EffectiveAt.UTC(), EventID: eventID,
		fact:   f,
		Detail: factDetail{UserID: f.UserID, MRRBefore: f.MRRBefore, MRRAfter: f.MRRAfter, Flags: f.Flags},
	}
}

// byKey orders facts by what makes them one.
func byKey(a, b factRow) int {
	return cmp.Or(strings.Compare(a.ConnectionID, b.ConnectionID), strings.Compare(a.FactKey, b.FactKey))
}

// bookFacts inserts keys first; only facts whose key was new are appended. Of equal
// facts the first counts.
func (q *queue) bookFacts(ctx context.Context, tx *gorm.DB, rows []factRow, at time.Time) ([]factRow, error) {
	unique := slices.Clone(rows)
	slices.SortStableFunc(unique, byKey) // all classifiers lock in one order
	unique = slices.CompactFunc(unique, func(a, b factRow) bool { return byKey(a, b) == 0 })
	if len(unique) == 0 {
		return nil, nil
	}
	connections, keys := make([]string, len(unique)), make([]string, len(unique))
	for i, r := range unique {
		connections[i], keys[i] = r.ConnectionID, r.FactKey
	}
	inserted, err := tx.Statement.ConnPool.QueryContext(ctx, `
		INSERT INTO fact_keys (connection_id, fact_key) SELECT * FROM unnest($1::text[], $2::text[])
		ON CONFLICT DO NOTHING RETURNING connection_id, fact_key`, connections, keys)
	if err != nil {
		return nil, wrap(err)
	}
	defer inserted.Close() //nolint:errcheck // its Err tells
	var fresh []factRow
	for inserted.Next() {
		var k factRow
		if err := inserted.Scan(&k.ConnectionID, &k.FactKey); err != nil {
			return nil, wrap(err)
		}
		if i, found := slices.BinarySearchFunc(unique, k, byKey); found {
			fresh = append(fresh, unique[i])
		}
	}
	if err := inserted.Err(); err != nil || len(fresh) == 0 {
		return nil, wrap(err)
	}
	for _, f := range fresh {
		if err := q.partitions.ensure(ctx, q.db, "reward_events", f.EffectiveAt); err != nil {
			return nil, err
		}
	}
	return fresh, appendFacts(ctx, tx, fresh, at)
}

// appendFacts stores new facts, one array per column.
func appendFacts(ctx context.Context, tx *gorm.DB, fresh []factRow, at time.Time) error {
	n := len(fresh)
	var texts [10][]string
	for i := range texts {
		texts[i] = make([]string, n)
	}
	rewards, amounts, effective, details := make([]bool, n), make([]*int64, n), make([]time.Time, n), make([]string, n)
	for i, f := range fresh {
		for column, text := range []string{
			f.ConnectionID, f.FactKey, f.Kind, f.ObjectID, f.CustomerID, f.SubscriptionID, f.InvoiceID, f.ChargeID, f.Currency, f.EventID,
		} {
			texts[column][i] = text
		}
		rewards[i], amounts[i], effective[i] = f.IsReward, f.AmountMinor, f.EffectiveAt
		detail, err := json.Marshal(f.Detail)
		if err != nil {
			return err
		}
		details[i] = string(detail)
	}
	_, err := tx.Statement.ConnPool.ExecContext(ctx, `
		INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, subscription_id,
			invoice_id, charge_id, amount_minor, currency, effective_at, event_id, detail, recorded_at, historic)
		SELECT f.connection_id, c.environment, f.fact_key, f.kind, f.is_reward, f.object_id, f.customer_id, f.subscription_id,
			f.invoice_id, f.charge_id, f.amount_minor, f.currency, f.effective_at, f.event_id, f.detail::jsonb, $15, coalesce(f.effective_at < s.sync_start, false)
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
			$11::boolean[], $12::bigint[], $13::timestamptz[], $14::text[])
			AS f(connection_id, fact_key, kind, object_id, customer_id, subscription_id, invoice_id, charge_id, currency, event_id,
				is_reward, amount_minor, effective_at, detail)
		JOIN connections c ON c.id = f.connection_id
		LEFT JOIN source_syncs s ON s.connection_id = f.connection_id`,
		texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], texts[6], texts[7], texts[8], texts[9], rewards, amounts, effective, details, at)
	return wrap(err)
}
