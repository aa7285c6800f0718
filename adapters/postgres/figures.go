package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// lagSample bounds how many of the last hour's events the lag is taken from: the newest.
const lagSample = 50_000

// newestEvent looks the newest event of a connection up: in the partitions of the weeks before
// now, and in all of them only where there is none. The default partition may hold any time, so
// that the newest of all partitions is known only when each was asked.
func newestEvent(connection, now string) string {
	const newest = `SELECT e.created, e.received_at FROM stripe_events e WHERE e.connection_id = `
	return `LEFT JOIN LATERAL (` + newest + connection + ` AND e.created >= ` + now + ` - interval '35 days' ORDER BY e.created DESC LIMIT 1) late ON true
		LEFT JOIN LATERAL (` + newest + connection + ` AND late.created IS NULL ORDER BY e.created DESC LIMIT 1) early ON true
		CROSS JOIN LATERAL (SELECT coalesce(late.created, early.created) AS created, coalesce(late.received_at, early.received_at) AS received_at) newest`
}

// healthSelect has one row for each connection that its condition selects. What waits and
// what was processed is summed by connection first, and then joined once.
var healthSelect = `
	WITH pending AS (SELECT connection_id, count(*) AS n, min(seq) AS oldest FROM event_processing WHERE status = 'pending' GROUP BY connection_id),
	aside AS (SELECT connection_id, status, count(*) AS n FROM event_processing WHERE status IN ('dead', 'quarantined') GROUP BY connection_id, status),
	waiting AS MATERIALIZED (
		SELECT connection_id, jsonb_object_agg(status, n) AS counts, min(oldest) AS oldest
		FROM (SELECT connection_id, 'pending' AS status, n, oldest FROM pending UNION ALL SELECT connection_id, status, n, NULL FROM aside) s GROUP BY connection_id),
	recent AS MATERIALIZED (
		SELECT connection_id, event_id, created, status, attempts, first_processed_at, processed_at FROM event_processing
		WHERE processed_at > CAST(@now AS timestamptz) - interval '1 hour' AND processed_at <= @now ORDER BY processed_at DESC LIMIT @sample),
	processed AS MATERIALIZED (
		SELECT connection_id, jsonb_object_agg(status, n) AS counts FROM (SELECT connection_id, status, count(*) AS n FROM recent GROUP BY connection_id, status) s GROUP BY connection_id),
	lag AS MATERIALIZED (
		SELECT r.connection_id, percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM r.processed_at - e.received_at)) AS p
		FROM recent r JOIN stripe_events e ON e.connection_id = r.connection_id AND e.event_id = r.event_id AND e.created = r.created
		WHERE r.first_processed_at IS NULL GROUP BY r.connection_id)
	SELECT c.id AS connection_id, c.environment AS env, c.paused, c.paused_reason, coalesce(w.status, '') AS endpoint,
		newest.created AS last_event, newest.received_at AS last_received,
		(SELECT e.received_at FROM event_processing p JOIN stripe_events e ON e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created
			WHERE p.seq = q.oldest) AS oldest_pending,
		coalesce(q.counts, '{}')::text AS waiting, coalesce(d.counts, '{}')::text AS last_hour, lag.p[1] AS lag_p50, lag.p[2] AS lag_p95, lag.p[3] AS lag_p99,
		(SELECT count(*) FROM object_reads o WHERE o.connection_id = c.id AND o.status = 'pending') AS open_reads
	FROM connections c LEFT JOIN webhook_endpoints w ON w.connection_id = c.id LEFT JOIN waiting q ON q.connection_id = c.id
	LEFT JOIN processed d ON d.connection_id = c.id LEFT JOIN lag ON lag.connection_id = c.id
	` + newestEvent("c.id", "CAST(@now AS timestamptz)") + `
	WHERE `

// Health reads the figures of each connection. Nothing here grows with the number of
// events that were ever stored: waiting events have partial indexes of their own, the last
// hour has a block range index, and the newest event is the end of an index.
func (l *EventLog) Health(ctx context.Context, scope access.Scope, connectionID string, now time.Time) ([]operate.Health, error) {
	var rows []struct {
		ConnectionID, Env, PausedReason, Endpoint string
		Paused                                    bool
		LastEvent, LastReceived, OldestPending    *time.Time
		Waiting, LastHour                         string
		LagP50, LagP95, LagP99                    *float64
		OpenReads                                 int64
	}
	// A condition that is not asked for is left out: with one that may be switched off the planner
	// would expect a row or two, and go through all that waits once for each connection.
	conds := "true"
	if connectionID != "" {
		conds += " AND c.id = @id"
	}
	if !scope.Whole() {
		conds += " AND c.environment = ANY (CAST(@environments AS text[]))"
	}
	if !scope.AllAccounts {
		conds += ` AND EXISTS (SELECT 1 FROM accounts a WHERE c.id IN (a.source_connection, a.issuer_connection))
			AND NOT EXISTS (SELECT 1 FROM accounts a WHERE c.id IN (a.source_connection, a.issuer_connection) AND NOT a.id = ANY (CAST(@accounts AS text[])))`
	}
	err := l.db.gorm.WithContext(ctx).Raw(healthSelect+conds+" ORDER BY c.id",
		map[string]any{"now": now, "sample": lagSample, "id": connectionID, "environments": wordsOf(scope.Environments), "accounts": wordsOf(scope.Accounts)}).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make([]operate.Health, 0, len(rows))
	for _, r := range rows {
		h := operate.Health{
			ConnectionID: r.ConnectionID, Environment: environmentOf(r.Env), Paused: r.Paused, PausedReason: r.PausedReason, Endpoint: r.Endpoint,
			LastEvent: utc(r.LastEvent), LastReceived: utc(r.LastReceived), OldestPending: utc(r.OldestPending),
			LagP50: seconds(r.LagP50), LagP95: seconds(r.LagP95), LagP99: seconds(r.LagP99), OpenReads: r.OpenReads,
		}
		if r.OldestPending != nil {
			waits := max(now.Sub(*r.OldestPending), 0)
			h.Waits = &waits
		}
		if err := errors.Join(json.Unmarshal([]byte(r.Waiting), &h.Waiting), json.Unmarshal([]byte(r.LastHour), &h.LastHour)); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	if connectionID != "" && len(out) == 0 {
		return nil, fault.New(fault.NotFound, "connection_not_found", "there is no connection %q", connectionID)
	}
	return out, nil
}

func seconds(s *float64) *time.Duration {
	if s == nil {
		return nil
	}
	d := time.Duration(*s * float64(time.Second)).Round(time.Microsecond)
	return &d
}

// LagHours takes each hour from the block range index of the instants of classification, and
// stops at the sample.
func (l *EventLog) LagHours(ctx context.Context, connectionID string, from, until time.Time) ([]operate.LagHour, error) {
	var rows []struct {
		Hour     time.Time
		Events   int64
		P50, P99 *float64
	}
	err := l.db.gorm.WithContext(ctx).Raw(`
		SELECT h.at AS hour, lag.events, lag.p[1] AS p50, lag.p[2] AS p99
		FROM generate_series(CAST(@from AS timestamptz), CAST(@until AS timestamptz) - interval '1 hour', interval '1 hour') AS h(at)
		CROSS JOIN LATERAL (
			SELECT count(*) AS events, percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM r.processed_at - e.received_at)) AS p
			FROM (SELECT event_id, created, processed_at FROM event_processing
				WHERE processed_at >= h.at AND processed_at < h.at + interval '1 hour' AND connection_id = @id AND first_processed_at IS NULL LIMIT @sample) r
			JOIN stripe_events e ON e.connection_id = @id AND e.event_id = r.event_id AND e.created = r.created) lag
		ORDER BY h.at`, map[string]any{"from": from, "until": until, "id": connectionID, "sample": operate.LagHourSample}).Scan(&rows).Error
	out := make([]operate.LagHour, len(rows))
	for i, r := range rows {
		out[i] = operate.LagHour{From: r.Hour.UTC(), Events: r.Events, P50: seconds(r.P50), P99: seconds(r.P99)}
	}
	return out, wrap(err)
}

// Failures reads the partial index of events that are set aside.
func (l *EventLog) Failures(ctx context.Context, connectionID string) ([]operate.Failure, error) {
	var out []operate.Failure
	err := l.db.gorm.WithContext(ctx).Raw(`
		SELECT e.type, p.status, p.reason, count(*) AS events FROM event_processing p
		JOIN stripe_events e ON e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created
		WHERE p.connection_id = ? AND p.status IN ('dead', 'quarantined') GROUP BY 1, 2, 3 ORDER BY events DESC, 1, 2, 3 LIMIT 50`, connectionID).Scan(&out).Error
	return out, wrap(err)
}

// Totals counts all events of a connection.
func (l *EventLog) Totals(ctx context.Context, connectionID string) (map[string]int64, error) {
	var rows []struct {
		Status string
		N      int64
	}
	err := l.db.gorm.WithContext(ctx).Raw(`SELECT p.status, count(*) AS n FROM stripe_events e
		JOIN event_processing p ON p.event_id = e.event_id AND p.connection_id = e.connection_id AND p.created = e.created
		WHERE e.connection_id = ? GROUP BY p.status`, connectionID).Scan(&rows).Error
	out := map[string]int64{}
	for _, r := range rows {
		out[r.Status] = r.N
	}
	return out, wrap(err)
}

// Types counts events by type, and what they booked by kind.
func (l *EventLog) Types(ctx context.Context, connectionID string, since time.Time) ([]operate.TypeCount, error) {
	var rows []struct {
		Type, Facts string
		Events      int64
	}
	err := l.db.gorm.WithContext(ctx).Raw(`
		WITH events AS MATERIALIZED (SELECT event_id, type FROM stripe_events WHERE connection_id = ? AND created >= ?),
		booked AS (
			SELECT e.type, r.kind, count(*) AS n FROM events e JOIN reward_events r ON r.connection_id = ? AND r.event_id = e.event_id GROUP BY e.type, r.kind)
		SELECT e.type, count(*) AS events, coalesce((SELECT jsonb_object_agg(kind, n) FROM booked b WHERE b.type = e.type), '{}')::text AS facts
		FROM events e GROUP BY e.type ORDER BY e.type`, connectionID, since, connectionID).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make([]operate.TypeCount, len(rows))
	for i, r := range rows {
		out[i] = operate.TypeCount{Type: r.Type, Events: r.Events}
		if err := json.Unmarshal([]byte(r.Facts), &out[i].Facts); err != nil {
			return nil, err
		}
	}
	return out, nil
}
