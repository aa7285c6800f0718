package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
)

// rewardRow is a reward event as it is selected.
type rewardRow struct {
	ConnectionID, FactKey, Kind, CustomerID, UserID, MappedBy, LinkState, SubscriptionID, InvoiceID, ChargeID, Currency, EventID, State string
	IsReward, OwnInvoice, Historic, Inferred                                                                                            bool
	AmountMinor                                                                                                                         *int64
	EffectiveAt                                                                                                                         time.Time
}

func (r rewardRow) event() reconcile.RewardEvent {
	return reconcile.RewardEvent{
		ConnectionID: r.ConnectionID, FactKey: r.FactKey, Kind: r.Kind, IsReward: r.IsReward, CustomerID: r.CustomerID, UserID: r.UserID, MappedBy: r.MappedBy,
		LinkState: r.LinkState, SubscriptionID: r.SubscriptionID, InvoiceID: r.InvoiceID, ChargeID: r.ChargeID, AmountMinor: r.AmountMinor, Currency: r.Currency,
		EffectiveAt: r.EffectiveAt.UTC(), EventID: r.EventID, OwnInvoice: r.OwnInvoice, Historic: r.Historic, Inferred: r.Inferred, State: r.State,
	}
}

// movesMoney holds for facts e that a readout may count.
var movesMoney = "(e.kind IN ('" + strings.Join(moneyKinds(), "', '") + "') AND coalesce(e.amount_minor, 0) <> 0)"

// factState is the state of a fact e with its columns f, as reconcile.RewardStates names it.
var factState = `CASE WHEN f.own_invoice THEN 'own_invoice' WHEN e.historic THEN 'historic' WHEN ` + movesMoney + ` THEN 'money' WHEN e.is_reward THEN 'signal' ELSE 'state_only' END`

// selectRewards adds the filters on state, day and amount.
func (r *Reader) selectRewards(ctx context.Context, q *where, f reconcile.RewardEventsFilter) error {
	q.eq(factState, f.State)
	if f.MoneyOnly {
		q.add(movesMoney)
	}
	q.eq("e.currency", strings.ToLower(f.Currency))
	if f.Min != nil {
		q.major("abs(e.amount_minor)", "e.currency", ">=", *f.Min)
	}
	if f.Max != nil {
		q.major("abs(e.amount_minor)", "e.currency", "<=", *f.Max)
	}
	if f.From == "" && f.To == "" {
		return nil
	}
	zone, err := r.Zone(ctx, f.AccountID)
	if err != nil {
		return err
	}
	for _, d := range []struct {
		day, op string
		days    int
	}{{f.From, ">=", 0}, {f.To, "<", 1}} {
		if d.day == "" {
			continue
		}
		at, err := time.ParseInLocation(time.DateOnly, d.day, zone)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "date_malformed", "%q is not a day", d.day)
		}
		q.add("e.effective_at "+d.op+" ?", at.AddDate(0, 0, d.days))
	}
	return nil
}

// Tellers finds events by the key of their processing, which begins with their ID.
func (r *Reader) Tellers(ctx context.Context, connectionID string, eventIDs []string) (map[string]reconcile.Teller, error) {
	var rows []reconcile.Teller
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT p.event_id, p.status, e.type, e.source FROM unnest(CAST(? AS text[])) AS g(id)
		CROSS JOIN LATERAL (SELECT * FROM event_processing q WHERE q.connection_id = ? AND q.event_id = g.id ORDER BY q.created LIMIT 1) p
		CROSS JOIN LATERAL (SELECT q.type, q.source FROM stripe_events q WHERE q.connection_id = p.connection_id AND q.created = p.created AND q.event_id = p.event_id OFFSET 0) e`,
		words(eventIDs), connectionID).Scan(&rows).Error
	out := make(map[string]reconcile.Teller, len(rows))
	for _, t := range rows {
		out[t.EventID] = t
	}
	return out, wrap(err)
}

// RewardEvent finds one fact by its key.
func (r *Reader) RewardEvent(ctx context.Context, accountID string, at time.Time, factKey string) (reconcile.RewardEventDetail, error) {
	if err := r.exists(ctx, accountID); err != nil {
		return reconcile.RewardEventDetail{}, err
	}
	var row struct {
		Row rewardRow `gorm:"embedded"`

		ObjectID, Detail, FrozenBy string
		RecordedAt                 time.Time
	}
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT e.connection_id, e.fact_key, e.kind, e.is_reward, f.customer_id, `+ownerUser+` AS user_id, `+ownerSource+` AS mapped_by, `+ownerState+` AS link_state,
			e.subscription_id, e.invoice_id, e.charge_id, e.amount_minor, e.currency, e.effective_at, e.event_id, f.own_invoice,
			e.historic, coalesce((e.detail -> 'flags' ->> 'inferred')::boolean, false) AS inferred, `+factState+` AS state,
			e.object_id, e.recorded_at, e.detail::text AS detail, coalesce(k.cycle_id, '') AS frozen_by
		FROM reward_events e CROSS JOIN LATERAL (SELECT `+factColumns+` FROM (SELECT e.*) r`+factJoins+`) f`+ownerJoins+`
		WHERE e.connection_id = (SELECT source_connection FROM accounts WHERE id = ?) AND e.effective_at = ? AND e.fact_key = ?`, accountID, at, factKey).Scan(&row).Error
	if err == nil && row.Row.FactKey == "" {
		err = fault.New(fault.NotFound, "reward_event_not_found", "the source of account %q has no fact %q of %s", accountID, factKey, at.Format(time.RFC3339Nano))
	}
	return reconcile.RewardEventDetail{RewardEvent: row.Row.event(), ObjectID: row.ObjectID, Detail: row.Detail, FrozenBy: row.FrozenBy, RecordedAt: row.RecordedAt.UTC()}, wrap(err)
}
