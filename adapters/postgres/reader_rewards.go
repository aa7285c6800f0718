package postgres

import (
	"context"
	"slices"
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

func rewardEvents(rows []rewardRow) []reconcile.RewardEvent {
	out := make([]reconcile.RewardEvent, len(rows))
	for i, r := range rows {
		out[i] = r.event()
	}
	return out
}

// movesMoney holds for facts e that a readout may count.
var movesMoney = "(e.kind IN ('" + strings.Join(moneyKinds(), "', '") + "') AND coalesce(e.amount_minor, 0) <> 0)"

// storedState is the state of a fact e, as reconcile.RewardStates names it, by its own columns.
// factState also knows, by its columns f, which facts are of our own invoices.
var (
	storedState = `CASE WHEN e.historic THEN 'historic' WHEN ` + movesMoney + ` THEN 'money' WHEN e.is_reward THEN 'signal' ELSE 'state_only' END`
	factState   = `CASE WHEN f.own_invoice THEN 'own_invoice' ELSE ` + storedState + ` END`
)

// rewardColumns are those of a rewardRow, of a fact e and whose it is: rewardOwners.
var (
	rewardColumns = `e.connection_id, e.fact_key, e.kind, e.is_reward, f.customer_id, ` + ownerUser + ` AS user_id, ` + ownerSource + ` AS mapped_by, ` + ownerState + ` AS link_state,
			e.subscription_id, e.invoice_id, e.charge_id, e.amount_minor, e.currency, e.effective_at, e.event_id, f.own_invoice,
			e.historic, coalesce((e.detail -> 'flags' ->> 'inferred')::boolean, false) AS inferred, ` + factState + ` AS state`
	rewardOwners = ` CROSS JOIN LATERAL (SELECT ` + factColumns + ` FROM (SELECT e.*) r` + factJoins + `) f` + ownerJoins
)

// days adds the filters on the day.
func (r *Reader) days(ctx context.Context, q *where, f reconcile.RewardEventsFilter) error {
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

// What a filtered page of facts may look at: one compares a column, the other one looks
// up whose each fact is.
const (
	factsLooked  = 8000
	ownersLooked = 200
)

// RewardEvents pages by (effective_at, fact_key), newest first. A page that is filtered by
// what has no index looks at so many facts at most: it may be short, or empty, and still have
// a next one.
func (r *Reader) RewardEvents(ctx context.Context, f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error) {
	if err := r.exists(ctx, f.AccountID); err != nil {
		return reconcile.Page[reconcile.RewardEvent]{}, err
	}
	of := where{}
	of.add("e.connection_id = (SELECT source_connection FROM accounts WHERE id = ?)", f.AccountID)
	if f.Period != "" {
		in, err := r.interval(ctx, f.AccountID, f.Period)
		if err != nil {
			return reconcile.Page[reconcile.RewardEvent]{}, err
		}
		of.add("e.effective_at >= ? AND e.effective_at < ?", in.Start, in.End)
	}
	if err := r.days(ctx, &of, f); err != nil {
		return reconcile.Page[reconcile.RewardEvent]{}, err
	}
	looked := r.facts
	if ofOwners(f) {
		looked = r.owners
	}
	return inSteps(f.Limit, looked, f.Cursor, func(cursor string, limit, looked int) (reconcile.Page[reconcile.RewardEvent], error) {
		step := f
		step.Cursor, step.Limit = cursor, limit
		return r.rewardEvents(ctx, of.clone(), step, looked)
	})
}

func (r *Reader) rewardEvents(ctx context.Context, q where, f reconcile.RewardEventsFilter, looked int) (reconcile.Page[reconcile.RewardEvent], error) {
	var page reconcile.Page[reconcile.RewardEvent]
	order, key, err := rewardOrders.page(&q, f.Sort, f.Cursor)
	if err != nil {
		return page, err
	}
	next := ""
	ofColumns := where{}
	columnConditions(&ofColumns, f)
	if f.Search == "" && (len(ofColumns.conds) > 0 || ofOwners(f)) {
		if next, err = rewardOrders.reach(&q, f.Sort, looked, func(offset int) ([]reconcile.RewardEvent, error) {
			var keys []rewardRow
			err := r.db.gorm.WithContext(ctx).Raw("SELECT e.effective_at, e.fact_key FROM reward_events e"+q.sql()+" ORDER BY "+order+" LIMIT 2 OFFSET ?", append(slices.Clone(q.args), offset)...).Scan(&keys).Error
			return rewardEvents(keys), err
		}); err != nil {
			return page, wrap(err)
		}
	}
	columnConditions(&q, f)
	with, source, args := "", "reward_events e", []any(nil)
	switch {
	case f.Search != "":
		with, source, args = factsFound, "found e", factsFoundArgs(f.AccountID, f.Search)
	case !ofOwners(f): // the page is known before anything is looked up for its rows
		source, args = "(SELECT e.* FROM reward_events e"+q.sql()+" ORDER BY "+order+" LIMIT ?) e", append(q.args, f.Limit+1)
		q = where{}
	}
	ownerConditions(&q, f)
	var found []rewardRow
	err = r.db.gorm.WithContext(ctx).Raw(with+`
		SELECT `+rewardColumns+`
		FROM `+source+rewardOwners+
		q.sql()+` ORDER BY `+order+` LIMIT ?`, slices.Concat(args, q.args, []any{f.Limit + 1})...).Scan(&found).Error
	if err != nil {
		return page, wrap(err)
	}
	page, err = pageOf(rewardEvents(found), f.Limit, func(e reconcile.RewardEvent) (reconcile.RewardEvent, error) { return e, nil }, key)
	if page.NextCursor == "" {
		page.NextCursor = next
	}
	return page, err
}

// ofOwners tells whether a filter needs to know whose each fact is.
func ofOwners(f reconcile.RewardEventsFilter) bool { return f.Mapped != "" || f.State != "" }

// columnConditions are those that a fact's own columns answer.
func columnConditions(q *where, f reconcile.RewardEventsFilter) {
	q.eq("e.kind", f.Kind)
	if f.State != reconcile.StateOwnInvoice { // which are our own is looked up for what is left
		q.eq(storedState, f.State)
	}
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
}

// ownerConditions are those that need to know whose a fact is.
func ownerConditions(q *where, f reconcile.RewardEventsFilter) {
	q.eq(factState, f.State)
	switch f.Mapped {
	case "yes":
		q.add(ownerUser + " <> ''")
	case "no":
		q.add(ownerUser + " = ''")
	}
	if f.Search != "" {
		q.add("? IN (f.customer_id, e.subscription_id, e.invoice_id, e.charge_id, e.event_id, e.object_id, e.fact_key, "+ownerUser+")", f.Search)
	}
}

var rewardOrders = keyset[reconcile.RewardEvent]{
	id: "e.fact_key", value: func(e reconcile.RewardEvent) string { return e.FactKey }, first: "effective",
	by: map[string]sorting[reconcile.RewardEvent]{
		"effective": {"e.effective_at", byTime, func(e reconcile.RewardEvent) string { return instantKey(e.EffectiveAt) }},
	},
}

// factsFound are the facts that a Stripe ID or a user may be found in, each way by an index:
// those of the customers whom it names or belongs to, their charges', and those that an
// event told or that are about the object. The conditions of the list are asked of them.
const factsFound = `
	WITH source AS MATERIALIZED (SELECT source_connection AS id FROM accounts WHERE id = ?),
	known AS MATERIALIZED (
		SELECT CAST(? AS text) AS id
		UNION SELECT m.subject_id FROM source s JOIN mapping_spans m ON m.connection_id = s.id AND m.user_id = ?
		UNION SELECT b.customer_id FROM source s JOIN stripe_subscriptions b ON b.connection_id = s.id AND b.id = ?
		UNION SELECT i.customer_id FROM source s JOIN stripe_invoices i ON i.connection_id = s.id AND i.id = ?
		UNION SELECT o.customer_id FROM source s JOIN charge_owners o ON o.connection_id = s.id AND o.charge_id = ?
		UNION SELECT h.customer_id FROM source s JOIN stripe_charges h ON h.connection_id = s.id AND h.id = ?),
	whose AS MATERIALIZED (
		SELECT id FROM known WHERE id LIKE 'cus\_%'
		UNION SELECT b.customer_id FROM known k, source s JOIN stripe_subscriptions b ON b.connection_id = s.id WHERE b.id = k.id AND k.id LIKE 'sub\_%'),
	charged AS MATERIALIZED (
		SELECT o.charge_id FROM whose w, source s JOIN charge_owners o ON o.connection_id = s.id WHERE o.customer_id = w.id
		UNION SELECT CAST(? AS text)),
	hits AS MATERIALIZED (
		SELECT e.effective_at, e.fact_key FROM source s, whose w, reward_events e WHERE e.connection_id = s.id AND e.customer_id = w.id
		UNION SELECT e.effective_at, e.fact_key FROM source s, charged c, reward_events e WHERE e.connection_id = s.id AND e.charge_id = c.charge_id AND e.customer_id = '' AND e.charge_id <> ''
		UNION SELECT e.effective_at, e.fact_key FROM source s, reward_events_about(CAST(? AS text)) e WHERE e.connection_id = s.id
		UNION SELECT e.effective_at, e.fact_key FROM source s, reward_events_told_by(CAST(? AS text)) e WHERE e.connection_id = s.id),
	found AS MATERIALIZED (
		SELECT e.* FROM source s, hits h, reward_events e WHERE e.connection_id = s.id AND e.effective_at = h.effective_at AND e.fact_key = h.fact_key)`

// factsFoundArgs are the arguments of factsFound. Only an event tells facts, and one that is
// about a customer is its own; the key of a fact ends with its object.
func factsFoundArgs(accountID, search string) []any {
	var object, event any
	switch parts := strings.Split(search, ":"); {
	case len(parts) > 1:
		object = parts[1]
	case strings.HasPrefix(search, "evt_"):
		event = search
	case !strings.HasPrefix(search, "cus_"):
		object = search
	}
	return []any{accountID, search, search, search, search, search, search, search, object, event}
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
		SELECT `+rewardColumns+`,
			e.object_id, e.recorded_at, e.detail::text AS detail, coalesce(k.cycle_id, '') AS frozen_by
		FROM reward_events e`+rewardOwners+`
		WHERE e.connection_id = (SELECT source_connection FROM accounts WHERE id = ?) AND e.effective_at = ? AND e.fact_key = ?`, accountID, at, factKey).Scan(&row).Error
	if err == nil && row.Row.FactKey == "" {
		err = fault.New(fault.NotFound, "reward_event_not_found", "the source of account %q has no fact %q of %s", accountID, factKey, at.Format(time.RFC3339Nano))
	}
	return reconcile.RewardEventDetail{RewardEvent: row.Row.event(), ObjectID: row.ObjectID, Detail: row.Detail, FrozenBy: row.FrozenBy, RecordedAt: row.RecordedAt.UTC()}, wrap(err)
}
