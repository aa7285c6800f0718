package postgres

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
)

// decisionsShown bounds the decisions that are read with a fact.
const decisionsShown = 50

// rewardRow is a fact, tellingRow the event that told it.
type (
	rewardRow struct {
		reconcile.RewardEvent
		ObjectID   string
		RecordedAt time.Time
	}
	tellingRow struct {
		Type, Source, Status string
		Created              *time.Time
	}
)

// RewardEvent reads one fact by its key, the event by the fact's, and the decisions by the
// user: each by an index.
func (r *Reader) RewardEvent(ctx context.Context, accountID, factKey string) (reconcile.RewardDetail, error) {
	var out reconcile.RewardDetail
	if err := r.exists(ctx, accountID); err != nil {
		return out, err
	}
	tx := r.db.gorm.WithContext(ctx)
	var row rewardRow
	err := tx.Raw(`
		SELECT e.connection_id, e.fact_key, e.kind, e.is_reward, f.customer_id, `+ownerUser+` AS user_id, `+ownerSource+` AS mapped_by, `+ownerState+` AS link_state,
			e.subscription_id, e.invoice_id, e.charge_id, e.amount_minor, e.currency, e.effective_at, e.event_id, f.own_invoice, e.object_id, e.recorded_at,
			e.historic, coalesce((e.detail -> 'flags' ->> 'inferred')::boolean, false) AS inferred
		FROM reward_events e CROSS JOIN LATERAL (SELECT `+factColumns+` FROM (SELECT e.*) r`+factJoins+`) f`+ownerJoins+`
		WHERE e.connection_id = (SELECT source_connection FROM accounts WHERE id = ?) AND e.fact_key = ? LIMIT 1`, accountID, factKey).Scan(&row).Error
	if err != nil {
		return out, wrap(err)
	}
	if row.FactKey == "" {
		return out, fault.New(fault.NotFound, "reward_event_not_found", "account %s has no reward event %q", accountID, factKey).Fix("Look for it in the list of reward events")
	}
	var telling tellingRow
	err = tx.Raw(`
		SELECT e.type, e.source, p.status, e.created
		FROM event_processing p JOIN stripe_events e ON e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created
		WHERE p.connection_id = ? AND p.event_id = ? LIMIT 1`, row.ConnectionID, row.EventID).Scan(&telling).Error
	if err != nil {
		return out, wrap(err)
	}
	row.EffectiveAt = row.EffectiveAt.UTC()
	out = reconcile.RewardDetail{
		RewardEvent: row.RewardEvent, ObjectID: row.ObjectID, RecordedAt: row.RecordedAt.UTC(),
		EventType: telling.Type, EventSource: telling.Source, EventStatus: telling.Status, EventCreated: utc(telling.Created),
	}
	if out.UserID == "" {
		return out, nil
	}
	err = tx.Raw(`
		SELECT d.decision_id, d.snapshot_id, coalesce(s.name, '') AS snapshot_name, d.arm, d.action, d.surface, d.ts AS at, d.arm_prob,
			d.propensity[array_position(d.eligible_actions, d.action)] AS propensity,
			row_number() OVER (PARTITION BY d.snapshot_id ORDER BY d.ts, d.decision_id) = 1 AS first
		FROM decisions d LEFT JOIN policy_snapshots s ON s.account_id = d.account_id AND s.id = d.snapshot_id
		WHERE d.account_id = ? AND d.user_id = ? AND d.ts <= ? ORDER BY d.ts DESC, d.decision_id LIMIT ?`, accountID, out.UserID, out.EffectiveAt, decisionsShown+1).Scan(&out.Decisions).Error
	if out.MoreDecisions = len(out.Decisions) > decisionsShown; out.MoreDecisions {
		out.Decisions = out.Decisions[:decisionsShown]
	}
	for i := range out.Decisions {
		out.Decisions[i].At = out.Decisions[i].At.UTC()
	}
	return out, wrap(err)
}
