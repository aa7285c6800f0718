package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/replay"
)

// scratchReads are the tables that a replay reads as they are: agreements, the decision
// log, what was frozen, and the raw events. Every other table is an empty one of the
// stage's own, so that whatever a classifier writes can reach nothing else.
var scratchReads = map[string]bool{
	"accounts": true, "contracts": true, "measurement_plans": true, "policy_snapshots": true, "decision_keys": true, "decisions": true,
	"decision_refusals": true, "cycles": true, "cycle_units": true, "all_cycle_inputs": true, "all_readouts": true, "stripe_events": true, "webhook_endpoints": true,
	"source_syncs": true, "source_gaps": true,
}

// Scratch is the stage of one replay: a schema of its own, whose tables stand before
// those of the ledger.
type Scratch struct {
	*DB
	main          *DB
	schema, home  string
	frozen        replay.Frozen
	events, taken int64
	release       func() error
}

// Stage puts a month's raw events on a stage of their own: those that were classified up
// to the watermark, the facts that no body tells again, whose money charges were, and
// what persons had decided by then. Two replays of one month wait for one another.
func (db *DB) Stage(ctx context.Context, f replay.Frozen) (*Scratch, error) {
	sum := sha256.Sum256([]byte(f.CycleID))
	s := &Scratch{main: db, schema: "liftbill_replay_" + hex.EncodeToString(sum[:8]), frozen: f}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	if err := s.build(ctx); err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// lock holds the stage until Close.
func (s *Scratch) lock(ctx context.Context) error {
	locked, done := make(chan struct{}), make(chan error, 1)
	free := make(chan struct{})
	go func() {
		done <- s.main.Alone(ctx, "replay:"+s.schema, func(context.Context) error {
			close(locked)
			<-free
			return nil
		})
	}()
	select {
	case <-locked:
		s.release = func() error {
			close(free)
			return <-done
		}
		return nil
	case err := <-done:
		return err
	}
}

func (s *Scratch) build(ctx context.Context) error {
	tx := s.main.gorm.WithContext(ctx)
	if err := tx.Raw(`SELECT current_schema()`).Scan(&s.home).Error; err != nil {
		return wrap(err)
	}
	if err := s.drop(ctx); err != nil {
		return err
	}
	if err := tx.Exec(`CREATE SCHEMA ` + s.schema).Error; err != nil {
		return wrap(err)
	}
	if err := s.tables(ctx); err != nil {
		return err
	}
	if err := s.fill(ctx); err != nil {
		return err
	}
	var err error
	if s.DB, err = Open(ctx, s.main.dsn, Options{MaxConns: 4, SearchPath: s.schema + ", " + s.home}); err != nil {
		return err
	}
	return s.resolve(ctx, `true`)
}

// tables makes the stage's own tables like the ledger's.
func (s *Scratch) tables(ctx context.Context) error {
	var tables []struct {
		Name, Key string
	}
	err := s.main.gorm.WithContext(ctx).Raw(`
		SELECT c.relname AS name, coalesce(pg_get_partkeydef(c.oid), '') AS key FROM pg_class c
		WHERE c.relnamespace = ?::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE 'goose%' ORDER BY c.relname`, s.home).Scan(&tables).Error
	if err != nil {
		return wrap(err)
	}
	for _, t := range tables {
		if scratchReads[t.Name] {
			continue
		}
		sql := fmt.Sprintf(`CREATE TABLE %[1]s.%[3]s (LIKE %[2]s.%[3]s INCLUDING ALL)`, s.schema, s.home, t.Name)
		if t.Key != "" {
			sql += " PARTITION BY " + t.Key
		}
		if err := s.main.gorm.WithContext(ctx).Exec(sql).Error; err != nil {
			return wrap(err)
		}
		if t.Key != "" {
			if err := s.main.gorm.WithContext(ctx).Exec(fmt.Sprintf(`CREATE TABLE %[1]s.%[2]s_default PARTITION OF %[1]s.%[2]s DEFAULT`, s.schema, t.Name)).Error; err != nil {
				return wrap(err)
			}
		}
	}
	return s.sequences(ctx)
}

// sequences gives the stage's tables numbers of their own: LIKE copies the default, which
// would take them from the ledger's.
func (s *Scratch) sequences(ctx context.Context) error {
	var columns []struct{ Table, Column string }
	err := s.main.gorm.WithContext(ctx).Raw(`SELECT table_name AS table, column_name AS column FROM information_schema.columns
		WHERE table_schema = ? AND column_default LIKE 'nextval(%'`, s.schema).Scan(&columns).Error
	if err != nil {
		return wrap(err)
	}
	for _, c := range columns {
		name := s.schema + "." + c.Table + "_" + c.Column + "_replay"
		for _, q := range []string{
			`CREATE SEQUENCE ` + name,
			fmt.Sprintf(`ALTER TABLE %s.%s ALTER COLUMN %s SET DEFAULT nextval('%s')`, s.schema, c.Table, c.Column, name),
		} {
			if err := s.main.gorm.WithContext(ctx).Exec(q).Error; err != nil {
				return wrap(err)
			}
		}
	}
	return nil
}

// copied is one table of which the stage gets rows.
type copied struct{ table, rows string }

// untold selects what no stored event of the connection can tell again: it was read from an
// object, or the event's body was erased.
const untold = `NOT EXISTS (SELECT 1 FROM {home}.stripe_events e
	WHERE e.connection_id = x.connection_id AND e.event_id = x.event_id AND length(e.sealed_body) > 0)`

// fill copies what the replay starts from, as it stood at the watermark.
func (s *Scratch) fill(ctx context.Context) error {
	args := map[string]any{"connection": s.frozen.ConnectionID, "mark": s.frozen.Watermark, "account": s.frozen.AccountID}
	for _, c := range []copied{
		{"connections", `x.id = @connection`},
		{"charge_owners", `x.connection_id = @connection`},
		{"reward_events", `x.connection_id = @connection AND x.recorded_at <= @mark AND ` + untold},
		{"fact_links", `x.connection_id = @connection AND x.cycle_id IN (SELECT id FROM {home}.cycles WHERE account_id = @account AND watermark < @mark)`},
		{"mapping_statements", `x.connection_id = @connection AND x.recorded_at <= @mark AND (x.source <> 'metadata' OR ` + untold + `)`},
		{"mapping_retractions", `x.connection_id = @connection AND x.recorded_at <= @mark`},
		// What an earlier entry of the metadata said was read then, and is not read again.
		{"mapping_statements", `x.connection_id = @connection AND x.recorded_at <= @mark AND x.source = 'metadata' AND NOT (` + untold + `)
			AND x.metadata_key <> (SELECT user_id_key FROM {schema}.connections WHERE id = @connection)`},
	} {
		if err := s.copy(ctx, c, args); err != nil {
			return err
		}
		if c.table == "connections" {
			if err := s.settings(ctx); err != nil {
				return err
			}
		}
	}
	tx := s.main.gorm.WithContext(ctx)
	res := tx.Exec(s.named(`INSERT INTO {schema}.fact_keys (connection_id, fact_key) SELECT connection_id, fact_key FROM {schema}.reward_events`))
	if res.Error != nil {
		return wrap(res.Error)
	}
	s.taken = res.RowsAffected
	res = tx.Exec(s.named(`
		INSERT INTO {schema}.event_processing (connection_id, event_id, created, status)
		SELECT p.connection_id, p.event_id, p.created, 'pending' FROM {home}.event_processing p
		JOIN {home}.stripe_events e ON e.connection_id = p.connection_id AND e.event_id = p.event_id AND e.created = p.created AND length(e.sealed_body) > 0
		WHERE p.connection_id = @connection AND coalesce(p.first_processed_at, p.processed_at) <= @mark ORDER BY p.seq`), args)
	s.events = res.RowsAffected
	return wrap(res.Error)
}

func (s *Scratch) named(sql string) string {
	return strings.NewReplacer("{schema}", s.schema, "{home}", s.home).Replace(sql)
}

func (s *Scratch) copy(ctx context.Context, c copied, args map[string]any) error {
	columns, err := columnsOf(s.main.gorm.WithContext(ctx), s.home+"."+c.table)
	if err != nil {
		return wrap(err)
	}
	list := strings.Join(columns, ", ")
	return wrap(s.main.gorm.WithContext(ctx).Exec(s.named(fmt.Sprintf(`INSERT INTO {schema}.%[1]s (%[2]s) SELECT x.%[3]s FROM {home}.%[1]s x WHERE %[4]s ON CONFLICT DO NOTHING`,
		c.table, list, strings.Join(columns, ", x."), c.rows)), args).Error)
}

// settings gives the connection what it mapped by at the watermark, and lets it run.
func (s *Scratch) settings(ctx context.Context) error {
	return wrap(s.main.gorm.WithContext(ctx).Exec(s.named(`
		UPDATE {schema}.connections c SET paused = false, user_id_key = coalesce(d.doc ->> 'user_id_key', c.user_id_key),
			map_by_email = false, map_by_domain = false,
			map_by_subscription = coalesce((d.doc ->> 'by_subscription')::boolean, c.map_by_subscription),
			leave_out_suggested = coalesce((d.doc ->> 'leave_out_suggested')::boolean, c.leave_out_suggested)
		FROM (SELECT coalesce(
			(SELECT settings FROM {home}.mapping_changes WHERE connection_id = @connection AND decided_at <= @mark ORDER BY seq DESC LIMIT 1),
			(SELECT before FROM {home}.mapping_changes WHERE connection_id = @connection AND decided_at > @mark ORDER BY seq LIMIT 1), '{}') AS doc) d`),
		map[string]any{"connection": s.frozen.ConnectionID, "mark": s.frozen.Watermark}).Error)
}

// Events is how many events were put on the stage.
func (s *Scratch) Events() int64 { return s.events }

// Taken is how many facts were taken as they are stored.
func (s *Scratch) Taken() int64 { return s.taken }

// Settle gives the statements that were derived again the place in the order that they
// had, because a person's decision knows of what was recorded before it.
func (s *Scratch) Settle(ctx context.Context) error {
	err := s.main.gorm.WithContext(ctx).Exec(s.named(`
		UPDATE {schema}.mapping_statements n SET seq = o.seq, recorded_at = o.recorded_at
		FROM {home}.mapping_statements o WHERE o.connection_id = n.connection_id AND o.link_id = n.link_id AND n.seq <> o.seq`)).Error
	if err != nil {
		return wrap(err)
	}
	return s.resolve(ctx, `EXISTS (SELECT 1 FROM mapping_statements p WHERE p.connection_id = m.connection_id AND p.subject_id = m.subject_id AND p.source <> 'metadata')`)
}

// resolve computes the spans of the subjects that the condition on m selects.
func (s *Scratch) resolve(ctx context.Context, cond string) error {
	var ids []string
	err := s.gorm.WithContext(ctx).Raw(`SELECT DISTINCT m.subject_id FROM mapping_statements m WHERE m.connection_id = ? AND `+cond, s.frozen.ConnectionID).Scan(&ids).Error
	if err != nil || len(ids) == 0 {
		return wrap(err)
	}
	subjects := make([]subject, len(ids))
	for i, id := range ids {
		subjects[i] = subject{s.frozen.ConnectionID, id}
	}
	return wrap(s.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		known, keys, err := lockStatements(ctx, tx, subjects)
		if err != nil {
			return err
		}
		return replaceSpans(ctx, tx, subjects, known, keys)
	}))
}

// Facts compares the stage's facts with the ledger's, but for when they were recorded and
// for which of several events told them first.
func (s *Scratch) Facts(ctx context.Context) (replay.FactDifference, error) {
	const fact = `jsonb_build_object('kind', %[1]s.kind, 'reward', %[1]s.is_reward, 'object', %[1]s.object_id, 'customer', %[1]s.customer_id, 'subscription', %[1]s.subscription_id,
		'invoice', %[1]s.invoice_id, 'charge', %[1]s.charge_id, 'amount', %[1]s.amount_minor, 'currency', %[1]s.currency, 'effective_at', %[1]s.effective_at, 'detail', %[1]s.detail)`
	var out struct {
		Equal, Missing, New, Changed int64
		Key, Stored, Replayed        string
	}
	err := s.main.gorm.WithContext(ctx).Raw(s.named(`
		WITH both_sides AS MATERIALIZED (
			SELECT coalesce(o.fact_key, n.fact_key) AS key, o.fact_key IS NULL AS added, n.fact_key IS NULL AS gone,
				CASE WHEN o.fact_key IS NOT NULL THEN `+fmt.Sprintf(fact, "o")+` END AS stored, CASE WHEN n.fact_key IS NOT NULL THEN `+fmt.Sprintf(fact, "n")+` END AS replayed
			FROM (SELECT * FROM {home}.reward_events WHERE connection_id = @connection AND recorded_at <= @mark) o
			FULL JOIN (SELECT * FROM {schema}.reward_events WHERE connection_id = @connection) n ON n.fact_key = o.fact_key),
		first AS (SELECT * FROM both_sides WHERE stored IS DISTINCT FROM replayed ORDER BY key LIMIT 1)
		SELECT count(*) FILTER (WHERE stored = replayed) AS equal, count(*) FILTER (WHERE gone) AS missing, count(*) FILTER (WHERE added) AS new,
			count(*) FILTER (WHERE stored <> replayed) AS changed, coalesce((SELECT key FROM first), '') AS key,
			coalesce((SELECT stored::text FROM first), '') AS stored, coalesce((SELECT replayed::text FROM first), '') AS replayed FROM both_sides`),
		map[string]any{"connection": s.frozen.ConnectionID, "mark": s.frozen.Watermark}).Scan(&out).Error
	return replay.FactDifference(out), wrap(err)
}

// Close removes the stage.
func (s *Scratch) Close(ctx context.Context) error {
	return errors.Join(s.drop(ctx), s.release())
}

func (s *Scratch) drop(ctx context.Context) error {
	if s.DB != nil {
		if err := s.DB.Close(); err != nil {
			return err
		}
		s.DB = nil
	}
	return wrap(s.main.gorm.WithContext(ctx).Exec(`DROP SCHEMA IF EXISTS ` + s.schema + ` CASCADE`).Error)
}
