package postgres

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/reconcile"
)

// tieOutWarnings says what the figures of a cycle do not show. Customers that moved keep
// their earlier revenue with the former user; an open month will show the change, a frozen
// one never does.
func tieOutWarnings(ctx context.Context, tx *gorm.DB, t *reconcile.TieOut) error {
	var r struct {
		Moved, Late, Conflicts               int64
		Subject, FromUser, ToUser, Contested string
		MovedAt                              *time.Time
		ConnectionID, PausedReason           string
		Paused                               bool
	}
	err := tx.WithContext(ctx).Raw(`
		WITH cycle AS (SELECT c.*, a.source_connection FROM cycles c JOIN accounts a ON a.id = c.account_id WHERE c.id = ?),
		moved AS MATERIALIZED (
			SELECT m.subject_id, m.previous_user_id, m.user_id, m.valid_from, m.recorded_at, c.watermark FROM cycle c JOIN mapping_statements m ON m.connection_id = c.source_connection
			WHERE m.valid_from >= c.period_start AND m.valid_from < c.period_end AND NOT m.deleted
				AND m.previous_user_id <> m.user_id AND (m.previous_user_id <> '' OR m.source <> 'metadata')),
		first AS (SELECT * FROM moved WHERE watermark IS NULL OR recorded_at <= watermark ORDER BY valid_from, subject_id LIMIT 1),
		contested AS MATERIALIZED (
			SELECT DISTINCT s.subject_id FROM cycle c JOIN mapping_spans s ON s.connection_id = c.source_connection AND s.state = 'conflict'
			CROSS JOIN LATERAL (SELECT 1 FROM reward_events r WHERE r.connection_id = s.connection_id AND r.customer_id = s.subject_id
				AND r.effective_at >= greatest(c.period_start, s.valid_from) AND r.effective_at < least(c.period_end, s.valid_to) LIMIT 1) r)
		SELECT (SELECT count(*) FROM moved WHERE watermark IS NULL OR recorded_at <= watermark) AS moved,
			(SELECT count(*) FROM moved WHERE recorded_at > watermark) AS late, (SELECT count(*) FROM contested) AS conflicts,
			coalesce((SELECT min(subject_id) FROM contested), '') AS contested,
			coalesce(f.subject_id, '') AS subject, coalesce(f.previous_user_id, '') AS from_user, coalesce(f.user_id, '') AS to_user, f.valid_from AS moved_at,
			n.id AS connection_id, n.paused, n.paused_reason
		FROM cycle c JOIN connections n ON n.id = c.source_connection LEFT JOIN first f ON true`, t.ID).Scan(&r).Error
	if err != nil {
		return err
	}
	warn := func(code string, n int64, format string, args ...any) {
		t.Warnings = append(t.Warnings, reconcile.Warning{Code: code, Count: n, Message: fmt.Sprintf(format, args...)})
	}
	if r.Moved > 0 {
		warn(reconcile.WarnMoved, r.Moved, "customers that changed their user within the period: %d, the first is %s, from %s to %s on %s; what was paid before stays with the former user",
			r.Moved, r.Subject, named(r.FromUser), named(r.ToUser), r.MovedAt.UTC().Format(time.DateOnly))
	}
	if r.Late > 0 {
		warn(reconcile.WarnLate, r.Late, "statements about customers of the period that came after it was frozen: %d; they change nothing in it", r.Late)
	}
	if r.Conflicts > 0 {
		warn(reconcile.WarnConflict, r.Conflicts, "customers with facts in the period whose user is contested: %d, the first is %s; their revenue is unmapped until somebody decides", r.Conflicts, r.Contested)
	}
	if r.Paused {
		warn(reconcile.WarnSourcePaused, 1, "the source connection %s is paused (%s): events wait, and the month cannot be collected", r.ConnectionID, r.PausedReason)
	}
	return nil
}

func named(user string) string {
	if user == "" {
		return "nobody"
	}
	return user
}
