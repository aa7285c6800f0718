package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/source"
)

// Sources implements sourcesync.Ledger.
type Sources struct {
	*queue
	// events are the partitions of stripe_events; those of the queue are of reward_events.
	events partitions
}

var _ sourcesync.Ledger = (*Sources)(nil)

// NewSources opens the ledger of source accounts.
func (db *DB) NewSources() *Sources { return &Sources{queue: &queue{db: db}} }

// sourceRow is a row of source_syncs.
type sourceRow struct {
	ConnectionID    string `gorm:"primaryKey"`
	Environment     string
	Enabled         bool
	Pull            string
	IntervalSeconds int
	ConnectedAt     time.Time
	SyncStart       *time.Time
	EventsHorizon   time.Time
	Listed          bool
	HighWater       time.Time
	Idle            int
	Failures        int
	RetryAt         *time.Time
	Problem         *string
	NextPull        time.Time
	NextHourly      time.Time
	NextDaily       time.Time
	ResumeAt        *time.Time
	ResumeTask      string
	NextAt          *time.Time
	LastPull        *string
	LastCheck       *string
	UpdatedAt       time.Time
}

func (sourceRow) TableName() string { return "source_syncs" }

func (r sourceRow) state(webhook bool) (source.State, error) {
	s := source.State{
		Settings:    source.Settings{Enabled: r.Enabled, Pull: source.Pull(r.Pull), Interval: time.Duration(r.IntervalSeconds) * time.Second},
		ConnectedAt: r.ConnectedAt.UTC(), Webhook: webhook, HighWater: r.HighWater.UTC(), Idle: r.Idle, Failures: r.Failures,
		RetryAt: instant(r.RetryAt), NextPull: r.NextPull.UTC(), NextHourly: r.NextHourly.UTC(), NextDaily: r.NextDaily.UTC(),
		Resume: instant(r.ResumeAt), ResumeTask: source.Task(r.ResumeTask),
	}
	var err error
	s.Problem, err = reasonOf(r.Problem)
	return s, err
}

// set takes over what a run decides; settings and the high-water mark are not its.
func (r *sourceRow) set(s source.State, at time.Time) error {
	r.Idle, r.Failures, r.RetryAt = s.Idle, s.Failures, moment(s.RetryAt)
	r.NextPull, r.NextHourly, r.NextDaily, r.NextAt = s.NextPull, s.NextHourly, s.NextDaily, moment(s.NextAt())
	r.ResumeAt, r.ResumeTask, r.UpdatedAt = moment(s.Resume), string(s.ResumeTask), at
	var err error
	r.Problem, err = reasonText(s.Problem)
	return err
}

// instant and moment translate between a nullable time and Go's zero.
func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// reasonDoc is a reason as it is stored.
type reasonDoc struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Action  string    `json:"action,omitempty"`
	At      time.Time `json:"at"`
}

func reasonText(r source.Reason) (*string, error) {
	if r.Code == "" {
		return nil, nil
	}
	doc, err := json.Marshal(reasonDoc(r))
	text := string(doc)
	return &text, err
}

func reasonOf(text *string) (source.Reason, error) {
	if text == nil {
		return source.Reason{}, nil
	}
	var doc reasonDoc
	err := json.Unmarshal([]byte(*text), &doc)
	return source.Reason(doc), err
}

// webhookSince is when the connection's endpoint was made; zero without one that Stripe
// delivers to.
func webhookSince(ctx context.Context, tx *gorm.DB, connectionID string) (time.Time, error) {
	var at []time.Time
	err := tx.WithContext(ctx).Raw(`SELECT created_at FROM webhook_endpoints WHERE connection_id = ? AND status NOT IN ('disabled', 'missing') ORDER BY created_at LIMIT 1`, connectionID).Scan(&at).Error
	if err != nil || len(at) == 0 {
		return time.Time{}, wrap(err)
	}
	return at[0].UTC(), nil
}

// endpointSample is how many of an endpoint's newest events tell what it is sent.
const endpointSample = 2000

// endpointReach is how far back of the newest event of any source they may lie, so that no whole
// history is read where hardly any were brought.
const endpointReach = 35 * 24 * time.Hour

// sentTypes finds the types of the newest events that an endpoint brought. The bound is given and not
// computed in the statement, because its plan depends on it.
const sentTypes = `SELECT DISTINCT type FROM (
		SELECT type FROM stripe_events WHERE connection_id = @connection AND source IN ('webhook', 'resend')
			AND created >= @since
		ORDER BY created DESC LIMIT @limit) s`

// webhookTypes are the types that the connection's endpoint is sent, as Stripe named them, or
// else those of the newest events that it brought.
func webhookTypes(ctx context.Context, tx *gorm.DB, connectionID string) ([]string, error) {
	var named []string
	err := tx.WithContext(ctx).Raw(`SELECT enabled_events::text FROM webhook_endpoints WHERE connection_id = ? AND status NOT IN ('disabled', 'missing') AND enabled_events IS NOT NULL
		ORDER BY created_at LIMIT 1`, connectionID).Scan(&named).Error
	if err != nil {
		return nil, wrap(err)
	}
	var out []string
	if len(named) > 0 {
		err = json.Unmarshal([]byte(named[0]), &out)
		return out, err
	}
	var newest []time.Time
	err = tx.WithContext(ctx).Raw(`SELECT created FROM stripe_events WHERE connection_id = ? ORDER BY created DESC LIMIT 1`, connectionID).Scan(&newest).Error
	if err != nil || len(newest) == 0 {
		return nil, wrap(err)
	}
	err = tx.WithContext(ctx).Raw(sentTypes, map[string]any{"connection": connectionID, "since": newest[0].Add(-endpointReach), "limit": endpointSample}).Scan(&out).Error
	if len(out) == 0 {
		out = nil
	}
	return out, wrap(err)
}

// Due lists the sources that need something.
func (s *Sources) Due(ctx context.Context, env account.Environment, after string, at time.Time, limit int) ([]sourcesync.Due, error) {
	if err := s.begin(ctx, env, at); err != nil {
		return nil, err
	}
	var rows []struct {
		ConnectionID string
		Sync         bool
		BackfillID   *string
	}
	err := s.db.gorm.WithContext(ctx).Raw(`
		SELECT s.connection_id, coalesce(s.next_at <= @at, false) AS sync, b.id AS backfill_id
		FROM source_syncs s JOIN connections c ON c.id = s.connection_id
		LEFT JOIN backfills b ON b.connection_id = s.connection_id AND b.state = 'running'
		WHERE s.environment = @env AND s.connection_id > @after AND NOT c.paused AND (s.next_at <= @at OR b.id IS NOT NULL)
		ORDER BY s.connection_id LIMIT @limit`,
		map[string]any{"env": env.String(), "after": after, "at": at, "limit": limit}).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make([]sourcesync.Due, len(rows))
	for i, r := range rows {
		out[i] = sourcesync.Due{ConnectionID: r.ConnectionID, Sync: r.Sync, BackfillID: text(r.BackfillID)}
	}
	return out, nil
}

// begin makes the state of the source connections that have none.
func (s *Sources) begin(ctx context.Context, env account.Environment, at time.Time) error {
	var fresh []connectionRow
	err := s.db.gorm.WithContext(ctx).Raw(`
		SELECT id, environment, created_at FROM connections c
		WHERE environment = ? AND role_source AND NOT EXISTS (SELECT 1 FROM source_syncs s WHERE s.connection_id = c.id)`, env.String()).Scan(&fresh).Error
	if err != nil {
		return wrap(err)
	}
	for _, c := range fresh {
		if err := insertState(ctx, s.db.gorm, c, at); err != nil {
			return err
		}
	}
	return nil
}

func insertState(ctx context.Context, tx *gorm.DB, c connectionRow, at time.Time) error {
	since, err := webhookSince(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	st := source.NewState(c.CreatedAt.UTC())
	st.Webhook = !since.IsZero()
	r := sourceRow{
		ConnectionID: c.ID, Environment: c.Environment, Enabled: st.Enabled, Pull: string(st.Pull), IntervalSeconds: int(st.Interval / time.Second),
		ConnectedAt: st.ConnectedAt, EventsHorizon: st.ConnectedAt, HighWater: st.HighWater,
	}
	if err := r.set(st, at); err != nil {
		return err
	}
	return wrap(tx.WithContext(ctx).Exec(`
		INSERT INTO source_syncs (connection_id, environment, enabled, pull, interval_seconds, connected_at, events_horizon, high_water,
			next_pull, next_hourly, next_daily, next_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		r.ConnectionID, r.Environment, r.Enabled, r.Pull, r.IntervalSeconds, r.ConnectedAt, r.EventsHorizon, r.HighWater,
		r.NextPull, r.NextHourly, r.NextDaily, r.NextAt, at).Error)
}

// Connection returns a source with its state.
func (s *Sources) Connection(ctx context.Context, connectionID string) (sourcesync.Connection, error) {
	c, _, err := s.load(ctx, s.db.gorm, connectionID)
	return c, err
}

func (s *Sources) load(ctx context.Context, tx *gorm.DB, connectionID string) (sourcesync.Connection, sourceRow, error) {
	var conn connectionRow
	if err := tx.WithContext(ctx).Omit("sealed_key").Take(&conn, "id = ?", connectionID).Error; err != nil {
		return sourcesync.Connection{}, sourceRow{}, notFound(err, "connection", connectionID)
	}
	if !conn.RoleSource {
		return sourcesync.Connection{}, sourceRow{}, fault.New(fault.Conflict, "role_missing", "connection %s does not hold the source role", connectionID).
			Fix("Nothing is read from an issuer; use the source connection of the account")
	}
	var r sourceRow
	find := func() error { return tx.WithContext(ctx).Limit(1).Find(&r, "connection_id = ?", connectionID).Error }
	err := find()
	if err == nil && r.ConnectionID == "" {
		if err = insertState(ctx, tx, conn, conn.CreatedAt); err == nil {
			err = find()
		}
	}
	if err != nil {
		return sourcesync.Connection{}, r, wrap(err)
	}
	since, err := webhookSince(ctx, tx, connectionID)
	if err != nil {
		return sourcesync.Connection{}, r, err
	}
	st, err := r.state(!since.IsZero())
	if err != nil {
		return sourcesync.Connection{}, r, err
	}
	var types []string
	if st.Webhook {
		if types, err = webhookTypes(ctx, tx, connectionID); err != nil {
			return sourcesync.Connection{}, r, err
		}
	}
	h := source.Horizon{Start: r.EventsHorizon.UTC(), Listed: r.Listed}
	h.Gaps, err = gapsOf(ctx, tx, connectionID)
	return sourcesync.Connection{
		Connection: conn.domain().Connection, State: st, WebhookSince: since, WebhookTypes: types, Horizon: h, SyncStart: instant(r.SyncStart),
		ReadEmail: conn.MapByEmail || conn.MapByDomain,
	}, r, err
}

// Configure stores the settings; a shorter interval counts from now.
func (s *Sources) Configure(ctx context.Context, connectionID string, set source.Settings, at time.Time, note audit.Entry) error {
	err := s.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		c, r, err := s.load(ctx, tx, connectionID)
		if err != nil {
			return err
		}
		st := c.State
		st.Settings, st.Idle = set, 0
		if next := at.Add(set.Interval); next.Before(st.NextPull) {
			st.NextPull = next
		}
		if err := r.set(st, at); err != nil {
			return err
		}
		err = tx.Exec(`UPDATE source_syncs SET enabled = ?, pull = ?, interval_seconds = ?, idle = 0, next_pull = ?, next_at = ?, updated_at = ? WHERE connection_id = ?`,
			set.Enabled, string(set.Pull), int(set.Interval/time.Second), r.NextPull, r.NextAt, at, connectionID).Error
		if err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	})
	return wrap(err)
}

// runDoc is a run as it is stored.
type runDoc struct {
	Task   string    `json:"task"`
	At     time.Time `json:"at"`
	Seen   int       `json:"seen"`
	New    int       `json:"new"`
	Missed int       `json:"missed"`
}

// SaveRun stores the state after a run. The settings are read again, because a person
// may have changed them meanwhile.
func (s *Sources) SaveRun(ctx context.Context, connectionID string, st source.State, run *sourcesync.Run, at time.Time) error {
	err := s.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec(`SELECT 1 FROM source_syncs WHERE connection_id = ? FOR UPDATE`, connectionID).Error; err != nil {
			return err
		}
		c, r, err := s.load(ctx, tx, connectionID)
		if err != nil {
			return err
		}
		st.Settings, st.Webhook = c.Settings, c.Webhook
		if err := r.set(st, at); err != nil {
			return err
		}
		if run != nil {
			doc, err := json.Marshal(runDoc{string(run.Task), at, run.Seen, run.New, run.Missed})
			if err != nil {
				return err
			}
			last := string(doc)
			if run.Task == source.TaskPull {
				r.LastPull = &last
			} else {
				r.LastCheck = &last
			}
		}
		return tx.Exec(`
			UPDATE source_syncs SET idle = ?, failures = ?, retry_at = ?, problem = ?::jsonb, next_pull = ?, next_hourly = ?, next_daily = ?,
				resume_at = ?, resume_task = ?, next_at = ?, last_pull = ?::jsonb, last_check = ?::jsonb, updated_at = ?
			WHERE connection_id = ?`, r.Idle, r.Failures, r.RetryAt, r.Problem, r.NextPull, r.NextHourly, r.NextDaily,
			r.ResumeAt, r.ResumeTask, r.NextAt, r.LastPull, r.LastCheck, at, connectionID).Error
	})
	return wrap(err)
}
