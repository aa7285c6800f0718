package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

type endpointRow struct {
	ID, ConnectionID, Environment, URL, StripeID, SetUp, Status, APIVersion, RetiringID string
	SealedSecret, SealedPrevious                                                        []byte
	EnabledEvents                                                                       *string
	PreviousUntil, CheckedAt                                                            *time.Time
	CreatedAt                                                                           time.Time
}

// EndpointOf loads the endpoint of a connection.
func (s connections) EndpointOf(ctx context.Context, connectionID string) (onboard.Endpoint, error) {
	var r endpointRow
	err := s.tx.WithContext(ctx).Raw(`
		SELECT id, connection_id, environment, url, stripe_id, set_up, status, api_version, retiring_id, sealed_secret, sealed_previous,
			enabled_events::text AS enabled_events, previous_until, checked_at, created_at
		FROM webhook_endpoints WHERE connection_id = ?`, connectionID).Scan(&r).Error
	if err == nil && r.ID == "" {
		err = fault.New(fault.NotFound, "webhook_endpoint_not_found", "connection %q has no webhook endpoint", connectionID)
	}
	if err != nil {
		return onboard.Endpoint{}, wrap(err)
	}
	e := onboard.Endpoint{
		ID: r.ID, ConnectionID: r.ConnectionID, Environment: account.Environment(r.Environment), URL: r.URL, StripeID: r.StripeID,
		SealedSecret: r.SealedSecret, SealedPrevious: r.SealedPrevious, PreviousUntil: utc(r.PreviousUntil), RetiringID: r.RetiringID,
		SetUp: onboard.SetUp(r.SetUp), Status: onboard.EndpointStatus(r.Status), APIVersion: r.APIVersion, CheckedAt: utc(r.CheckedAt), CreatedAt: r.CreatedAt.UTC(),
	}
	if r.EnabledEvents != nil {
		if err := json.Unmarshal([]byte(*r.EnabledEvents), &e.Events); err != nil {
			return e, err
		}
	}
	return e, nil
}

// UpsertEndpoint stores the endpoint as it is given, but for one thing: a secret that is
// replaced stays valid as the previous one when no previous one is given, so that deliveries
// which Stripe signed before the change are still accepted.
func (s connections) UpsertEndpoint(ctx context.Context, e onboard.Endpoint) error {
	var events *string
	if e.Events != nil {
		doc, err := json.Marshal(e.Events)
		if err != nil {
			return err
		}
		text := string(doc)
		events = &text
	}
	if e.SetUp == "" {
		e.SetUp = onboard.Registered
	}
	if e.Status == "" {
		e.Status = onboard.StatusUnknown
	}
	return wrap(s.tx.WithContext(ctx).Exec(`
		INSERT INTO webhook_endpoints (id, connection_id, environment, url, stripe_id, sealed_secret, sealed_previous, created_at,
			set_up, status, api_version, enabled_events, checked_at, previous_until, retiring_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (connection_id) DO UPDATE SET url = excluded.url, stripe_id = excluded.stripe_id, sealed_secret = excluded.sealed_secret,
			sealed_previous = CASE WHEN excluded.sealed_previous IS NULL AND excluded.sealed_secret <> webhook_endpoints.sealed_secret
				THEN webhook_endpoints.sealed_secret ELSE excluded.sealed_previous END,
			set_up = excluded.set_up, status = excluded.status, api_version = excluded.api_version,
			enabled_events = excluded.enabled_events, checked_at = excluded.checked_at, previous_until = excluded.previous_until, retiring_id = excluded.retiring_id`,
		e.ID, e.ConnectionID, e.Environment.String(), e.URL, e.StripeID, e.SealedSecret, e.SealedPrevious, e.CreatedAt,
		string(e.SetUp), string(e.Status), e.APIVersion, events, e.CheckedAt, e.PreviousUntil, e.RetiringID).Error)
}

// Running is a Conflict for a connection that is paused, and says why.
func (db *DB) Running(ctx context.Context, connectionID string) error {
	c, err := db.SealedConnection(ctx, connectionID)
	if err == nil && c.Paused {
		err = fault.New(fault.Conflict, "connection_paused", "connection %s is paused (%s): its events wait", connectionID, c.PausedReason).
			Fix("Resume the connection, then run the cycle again; a revoked key has to be replaced first")
	}
	return err
}

// SavePause pauses or resumes a connection.
func (s connections) SavePause(ctx context.Context, c account.Connection) error {
	var at *time.Time
	if c.Paused {
		at = &c.PausedAt
	}
	return wrap(s.tx.WithContext(ctx).Exec(`UPDATE connections SET paused = ?, paused_reason = ?, paused_by = ?, paused_at = ? WHERE id = ?`,
		c.Paused, c.PausedReason, c.PausedBy, at, c.ID).Error)
}

// SaveKey replaces the sealed key.
func (s connections) SaveKey(ctx context.Context, connectionID string, sealed []byte, mask string) error {
	if sealed == nil {
		sealed = []byte{}
	}
	return wrap(s.tx.WithContext(ctx).Exec(`UPDATE connections SET sealed_key = ?, key_mask = ? WHERE id = ?`, sealed, mask, connectionID).Error)
}

// SaveReport keeps the newest report.
func (s connections) SaveReport(ctx context.Context, r onboard.KeyReport) error {
	doc, err := json.Marshal(r.Findings)
	if err != nil {
		return err
	}
	return wrap(s.tx.WithContext(ctx).Exec(`
		INSERT INTO connection_checks (connection_id, key_mask, report, checked_by, checked_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (connection_id) DO UPDATE SET key_mask = excluded.key_mask, report = excluded.report, checked_by = excluded.checked_by, checked_at = excluded.checked_at`,
		r.ConnectionID, r.KeyMask, string(doc), r.CheckedBy, r.CheckedAt).Error)
}

// Report loads the newest report.
func (s connections) Report(ctx context.Context, connectionID string) (onboard.KeyReport, error) {
	var row struct {
		KeyMask, Environment, Report, CheckedBy string
		CheckedAt                               time.Time
	}
	err := s.tx.WithContext(ctx).Raw(`SELECT k.key_mask, c.environment, k.report::text AS report, k.checked_by, k.checked_at
		FROM connection_checks k JOIN connections c ON c.id = k.connection_id WHERE k.connection_id = ?`, connectionID).Scan(&row).Error
	if err == nil && row.CheckedBy == "" {
		err = fault.New(fault.NotFound, "key_not_checked", "the key of connection %q was never checked", connectionID).Fix("Check it: POST /v1/connections/%s/key-check", connectionID)
	}
	if err != nil {
		return onboard.KeyReport{}, wrap(err)
	}
	r := onboard.KeyReport{ConnectionID: connectionID, KeyMask: row.KeyMask, Environment: account.Environment(row.Environment), CheckedBy: row.CheckedBy, CheckedAt: row.CheckedAt.UTC()}
	err = json.Unmarshal([]byte(row.Report), &r.Findings)
	return r, err
}

// EventTypes counts the events that webhooks brought, by type: what was fetched says nothing of them.
func (s connections) EventTypes(ctx context.Context, connectionID string, since time.Time) (map[string]int64, error) {
	var rows []struct {
		Type string
		N    int64
	}
	err := s.tx.WithContext(ctx).Raw(`SELECT type, count(*) AS n FROM stripe_events WHERE connection_id = ? AND created >= ? AND source IN ('webhook', 'resend') GROUP BY type`, connectionID, since).Scan(&rows).Error
	out := make(map[string]int64, len(rows))
	for _, r := range rows {
		out[r.Type] = r.N
	}
	return out, wrap(err)
}

// AppendLog says what was done.
func (s connections) AppendLog(ctx context.Context, connectionID string, e onboard.LogEntry) error {
	return wrap(s.tx.WithContext(ctx).Exec(`INSERT INTO connection_log (connection_id, action, detail, done_by, done_at) VALUES (?, ?, ?, ?, ?)`,
		connectionID, e.Action, e.Detail, e.Who, e.At).Error)
}

// Log lists what was done, newest first.
func (s connections) Log(ctx context.Context, connectionID string, limit int) ([]onboard.LogEntry, error) {
	var rows []struct {
		Action, Detail, DoneBy string
		DoneAt                 time.Time
	}
	err := s.tx.WithContext(ctx).Raw(`SELECT action, detail, done_by, done_at FROM connection_log WHERE connection_id = ? ORDER BY seq DESC LIMIT ?`, connectionID, limit).Scan(&rows).Error
	out := make([]onboard.LogEntry, len(rows))
	for i, r := range rows {
		out[i] = onboard.LogEntry{Action: r.Action, Detail: r.Detail, Who: r.DoneBy, At: r.DoneAt.UTC()}
	}
	return out, wrap(err)
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// Alone implements onboard.Locks with a lock of the database's session: whoever dies,
// with its process or its connection, lets the next one in.
func (db *DB) Alone(ctx context.Context, name string, fn func(context.Context) error) error {
	conn, err := db.locks.Conn(ctx)
	if err != nil {
		return wrap(err)
	}
	defer conn.Close() //nolint:errcheck // closing returns it to the pool
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock(hashtextextended($1, 11))`, name); err != nil {
		return wrap(err)
	}
	err = fn(ctx)
	// Also when the caller has gone away meanwhile: the session goes back to the pool.
	_, unlock := conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtextextended($1, 11))`, name)
	if err == nil {
		err = wrap(unlock)
	}
	return err
}
