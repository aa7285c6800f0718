package postgres

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// Replays implements app/replay's Ledger.
type Replays struct{ db *DB }

// NewReplays opens the ledger of replays.
func (db *DB) NewReplays() *Replays { return &Replays{db} }

// Frozen loads what a month was frozen with.
func (r *Replays) Frozen(ctx context.Context, cycleID string) (replay.Frozen, error) {
	var row struct {
		ID, AccountID, ConnectionID, Environment, InputDigest string
		Watermark                                             *time.Time
	}
	tx := r.db.gorm.WithContext(ctx)
	err := tx.Raw(`SELECT c.id, c.account_id, a.source_connection AS connection_id, c.environment, c.input_digest, c.watermark
		FROM cycles c JOIN accounts a ON a.id = c.account_id WHERE c.id = ?`, cycleID).Scan(&row).Error
	switch {
	case err != nil:
		return replay.Frozen{}, wrap(err)
	case row.ID == "":
		return replay.Frozen{}, cycleMissing(cycleID)
	case row.Watermark == nil:
		return replay.Frozen{}, notCollected(cycleID)
	}
	out := replay.Frozen{
		CycleID: row.ID, AccountID: row.AccountID, ConnectionID: row.ConnectionID, Environment: environmentOf(row.Environment), InputDigest: row.InputDigest,
		Watermark: row.Watermark.UTC(), Units: map[string]string{}, Cases: map[string]string{}, Links: map[string]string{},
	}
	var inputs []struct{ SnapshotID, Inputs string }
	if err := tx.Raw(`SELECT snapshot_id, inputs FROM cycle_inputs WHERE cycle_id = ?`, cycleID).Scan(&inputs).Error; err != nil {
		return out, wrap(err)
	}
	for _, in := range inputs {
		var doc lift.Inputs
		if err := json.Unmarshal([]byte(in.Inputs), &doc); err != nil {
			return out, err
		}
		out.Units[in.SnapshotID] = doc.UnitDigest
	}
	for sql, into := range map[string]map[string]string{
		`SELECT snapshot_id AS key, case_id AS value FROM readouts WHERE cycle_id = ?`: out.Cases,
		`SELECT fact_key AS key, user_id AS value FROM fact_links WHERE cycle_id = ?`:  out.Links,
	} {
		var pairs []struct{ Key, Value string }
		if err := tx.Raw(sql, cycleID).Scan(&pairs).Error; err != nil {
			return out, wrap(err)
		}
		for _, p := range pairs {
			into[p.Key] = p.Value
		}
	}
	cycle, err := loadCycle(ctx, tx, cycleID)
	if err != nil {
		return out, err
	}
	err = tx.Raw(`SELECT count(*) FROM event_processing p
		JOIN stripe_events e ON e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created
		WHERE p.connection_id = ? AND coalesce(p.first_processed_at, p.processed_at) <= ? AND length(e.sealed_body) = 0 AND p.created >= ?`,
		out.ConnectionID, out.Watermark, cycle.YearToDate.Start).Scan(&out.Erased).Error
	return out, wrap(err)
}

// Replayable is the environment of a cycle whose inputs are frozen.
func (r *Replays) Replayable(ctx context.Context, cycleID string) (account.Environment, error) {
	var row struct {
		Environment string
		Frozen      bool
	}
	err := r.db.gorm.WithContext(ctx).Raw(`SELECT environment, watermark IS NOT NULL AS frozen FROM cycles WHERE id = ?`, cycleID).Scan(&row).Error
	switch {
	case err != nil:
		return "", wrap(err)
	case row.Environment == "":
		return "", cycleMissing(cycleID)
	case !row.Frozen:
		return "", notCollected(cycleID)
	}
	return environmentOf(row.Environment), nil
}

func cycleMissing(id string) error {
	return fault.New(fault.NotFound, "cycle_not_found", "there is no cycle %q", id)
}

func notCollected(id string) error {
	return fault.New(fault.Conflict, "not_collected", "cycle %s has no frozen inputs yet", id).Fix("Run the cycle first")
}

// Asked writes down who asked for a replay.
func (r *Replays) Asked(ctx context.Context, note audit.Entry) error {
	return wrap(r.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return auditLog{tx}.Append(ctx, note) }))
}

// SaveReplay keeps a report and writes it down.
func (r *Replays) SaveReplay(ctx context.Context, rep replay.Report, note audit.Entry) (id int64, err error) {
	doc, err := json.Marshal(rep)
	if err != nil {
		return 0, err
	}
	err = wrap(r.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Raw(`INSERT INTO event_replays (account_id, period, equal, report, run_by, run_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING seq`,
			rep.AccountID, rep.Period, rep.Equal, string(doc), rep.RunBy, rep.RunAt).Scan(&id).Error
		if err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	}))
	return id, err
}

// Replays lists the reports of a filter, newest first.
func (r *Replays) Replays(ctx context.Context, f replay.Filter) (replay.Page, error) {
	var q where
	q.scoped(f.Scope, "a.environment", "a.id")
	q.eq("a.id", f.AccountID)
	q.eq("e.period", f.Period)
	if f.Result != "" {
		q.add("e.equal = ?", f.Result == replay.Equal)
	}
	if f.Cursor != "" {
		before, err := strconv.ParseInt(f.Cursor, 10, 64)
		if err != nil {
			return replay.Page{}, badCursor(f.Cursor)
		}
		q.add("e.seq < ?", before)
	}
	var rows []struct {
		Seq    int64
		Report string
	}
	err := r.db.gorm.WithContext(ctx).Raw(`SELECT e.seq, e.report::text AS report FROM event_replays e JOIN accounts a ON a.id = e.account_id`+q.sql()+` ORDER BY e.seq DESC LIMIT ?`,
		append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return replay.Page{}, wrap(err)
	}
	var page replay.Page
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		page.NextCursor = strconv.FormatInt(rows[f.Limit-1].Seq, 10)
	}
	page.Items = make([]replay.Report, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal([]byte(row.Report), &page.Items[i]); err != nil {
			return page, err
		}
		page.Items[i].ID = row.Seq
	}
	return page, nil
}

var _ replay.Archive = (*Replays)(nil)
var _ replay.Ledger = (*Replays)(nil)
