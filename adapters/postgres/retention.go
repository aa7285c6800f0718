package postgres

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// Archive implements app/operate's Archive.
type Archive struct{ db *DB }

// NewArchive opens the archive of raw bodies.
func (db *DB) NewArchive() *Archive { return &Archive{db} }

// partitionRE is how ensure_month_partition names the months of stored events.
var partitionRE = regexp.MustCompile(`^stripe_events_(\d{4})(\d{2})$`)

// Partitions lists the months with what is in them.
func (a *Archive) Partitions(ctx context.Context) ([]operate.Partition, error) {
	months, err := eventMonths(ctx, a.db.gorm)
	if err != nil {
		return nil, err
	}
	var out []operate.Partition
	for _, in := range months {
		p := operate.Partition{Name: "stripe_events_" + in.Start.Format("200601"), From: in.Start, To: in.End}
		var connections string
		err = a.db.gorm.WithContext(ctx).Raw(`
			SELECT count(*), count(*) FILTER (WHERE length(e.sealed_body) > 0), coalesce(sum(length(e.sealed_body)), 0)::bigint,
				count(*) FILTER (WHERE p.status = 'pending'), count(*) FILTER (WHERE p.status IN ('dead', 'quarantined') AND length(e.sealed_body) > 0),
				coalesce(jsonb_agg(DISTINCT e.connection_id), '[]')::text
			FROM stripe_events e LEFT JOIN event_processing p ON p.connection_id = e.connection_id AND p.event_id = e.event_id AND p.created = e.created
			WHERE e.created >= ? AND e.created < ?`, p.From, p.To).Row().Scan(&p.Events, &p.Bodies, &p.Bytes, &p.Waiting, &p.Attention, &connections)
		if err != nil {
			return nil, wrap(err)
		}
		if err := json.Unmarshal([]byte(connections), &p.Connections); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// eventMonths are the months with partitions of stored events, in order.
func eventMonths(ctx context.Context, tx *gorm.DB) ([]period.Interval, error) {
	var names []string
	err := tx.WithContext(ctx).Raw(`SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'stripe_events'::regclass ORDER BY c.relname`).Scan(&names).Error
	if err != nil {
		return nil, wrap(err)
	}
	var out []period.Interval
	for _, name := range names {
		m := partitionRE.FindStringSubmatch(name)
		if m == nil {
			continue // the default partition
		}
		month, err := period.ParseMonth(m[1] + "-" + m[2])
		if err != nil {
			return nil, err
		}
		out = append(out, month.In(time.UTC))
	}
	return out, nil
}

// Agreements lists contracts with the periods that are finished.
func (a *Archive) Agreements(ctx context.Context) ([]operate.Year, error) {
	var rows []struct {
		AccountID, ConnectionID, Terms, Final string
		AttributionDays                       int
	}
	err := a.db.gorm.WithContext(ctx).Raw(`
		SELECT a.id AS account_id, a.source_connection AS connection_id, k.terms,
			coalesce((SELECT max((p.plan::jsonb ->> 'attribution_days')::int) FROM measurement_plans p WHERE p.account_id = a.id), 0) AS attribution_days,
			coalesce((SELECT jsonb_agg(c.period) FROM cycles c WHERE c.account_id = a.id AND c.state IN ('invoiced', 'withheld', 'dry_run', 'skipped')), '[]')::text AS final
		FROM accounts a JOIN contracts k ON k.account_id = a.id`).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make([]operate.Year, len(rows))
	for i, r := range rows {
		y := operate.Year{AccountID: r.AccountID, ConnectionID: r.ConnectionID, AttributionDays: r.AttributionDays, Final: map[string]bool{}}
		var terms billing.Terms
		if err := json.Unmarshal([]byte(r.Terms), &terms); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "contract_unreadable", "a contract of account %s cannot be read", r.AccountID)
		}
		y.CloseLagDays = terms.CloseLagDays
		if y.FirstPeriod, err = period.ParseMonth(terms.FirstPeriod); err != nil {
			return nil, err
		}
		if y.Zone, err = period.LoadZone(terms.TimeZone); err != nil {
			return nil, err
		}
		var final []string
		if err := json.Unmarshal([]byte(r.Final), &final); err != nil {
			return nil, err
		}
		for _, p := range final {
			y.Final[p] = true
		}
		out[i] = y
	}
	return out, nil
}

// needed says of an event o whether somebody still has to read its body.
const needed = `EXISTS (SELECT 1 FROM event_processing w WHERE w.connection_id = o.connection_id AND w.event_id = o.event_id AND w.created = o.created
	AND w.status IN ('pending', 'dead', 'quarantined'))`

// EraseBodies writes the month anew without its bodies and then puts it in the place of
// the old one, so that the space is free at once. The copy is made while everybody works
// on; the change itself takes the lock of the whole table for the moment that it takes to
// add what came meanwhile. Whoever holds the table for long is left alone: then it fails,
// and can be tried again.
func (a *Archive) EraseBodies(ctx context.Context, p operate.Partition) (erased, kept int64, err error) {
	if !partitionRE.MatchString(p.Name) {
		return 0, 0, fault.New(fault.Internal, "partition_unknown", "%q is no month of stored events", p.Name)
	}
	err = a.db.Alone(ctx, "retention:"+p.Name, func(ctx context.Context) error {
		columns, err := columnsOf(a.db.gorm.WithContext(ctx), p.Name)
		if err != nil {
			return err
		}
		s := swap{table: p.Name, copy: p.Name + "_erased", columns: columns, from: p.From.Format(time.RFC3339), to: p.To.Format(time.RFC3339)}
		if err := s.run(ctx, a.db.gorm, s.prepare()); err != nil {
			return err
		}
		if err := s.run(ctx, a.db.gorm, s.exchange()); err != nil {
			return err
		}
		return a.db.gorm.WithContext(ctx).Raw(`SELECT count(*) FROM ` + p.Name + ` WHERE length(sealed_body) > 0`).Scan(&kept).Error
	})
	if err != nil {
		return 0, 0, wrap(err)
	}
	return max(p.Bodies-kept, 0), kept, nil
}

// swap replaces one month of stored events. The names come from partitionRE.
type swap struct {
	table, copy, from, to string
	columns               []string
}

func (s swap) run(ctx context.Context, db *gorm.DB, statements []string) error {
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for _, q := range statements {
			if err := tx.Exec(q).Error; err != nil {
				return err
			}
		}
		return nil
	})
}

// fill copies the rows of the month that the condition selects.
func (s swap) fill(cond string) string {
	values := strings.ReplaceAll("o."+strings.Join(s.columns, ", o."), "o.sealed_body", "CASE WHEN "+needed+" THEN o.sealed_body ELSE ''::bytea END")
	return `INSERT INTO ` + s.copy + ` (` + strings.Join(s.columns, ", ") + `) SELECT ` + values + ` FROM ` + s.table + ` o` + cond
}

func (s swap) prepare() []string {
	return []string{
		`DROP TABLE IF EXISTS ` + s.copy, // of a run that died
		`CREATE TABLE ` + s.copy + ` (LIKE ` + s.table + ` INCLUDING ALL)`,
		s.fill(""),
		// With this the new month need not be read once more when it is attached.
		`ALTER TABLE ` + s.copy + ` ADD CONSTRAINT month CHECK (created IS NOT NULL AND created >= '` + s.from + `' AND created < '` + s.to + `')`,
	}
}

func (s swap) exchange() []string {
	return []string{
		`SET LOCAL lock_timeout = '5s'`,
		`LOCK TABLE stripe_events IN ACCESS EXCLUSIVE MODE`,
		s.fill(` WHERE NOT EXISTS (SELECT 1 FROM ` + s.copy + ` n WHERE n.connection_id = o.connection_id AND n.event_id = o.event_id AND n.created = o.created)`),
		// What was put back into the queue meanwhile is needed, and what was erased for a
		// person meanwhile must not come back.
		`UPDATE ` + s.copy + ` n SET sealed_body = o.sealed_body FROM ` + s.table + ` o
			WHERE n.connection_id = o.connection_id AND n.event_id = o.event_id AND n.created = o.created
				AND (length(o.sealed_body) = 0 AND length(n.sealed_body) > 0 OR length(o.sealed_body) > 0 AND length(n.sealed_body) = 0 AND ` + needed + `)`,
		`ALTER TABLE stripe_events DETACH PARTITION ` + s.table,
		`DROP TABLE ` + s.table,
		`ALTER TABLE ` + s.copy + ` RENAME TO ` + s.table,
		`ALTER TABLE stripe_events ATTACH PARTITION ` + s.table + ` FOR VALUES FROM ('` + s.from + `') TO ('` + s.to + `')`,
		`ALTER TABLE ` + s.table + ` DROP CONSTRAINT month`,
	}
}

func columnsOf(tx *gorm.DB, table string) ([]string, error) {
	var out []string
	err := tx.Raw(`SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, table).Scan(&out).Error
	return out, err
}

// LogErasure keeps what was erased and writes it down.
func (a *Archive) LogErasure(ctx context.Context, p operate.Partition, erased, kept int64, olderThan time.Time, who string, at time.Time, note audit.Entry) error {
	return wrap(a.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Exec(`INSERT INTO retention_runs (partition, events, kept, bytes, older_than, erased_by, erased_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			p.Name, erased, kept, p.Bytes, olderThan, who, at).Error
		if err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	}))
}

var _ operate.Archive = (*Archive)(nil)
