package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/projection"
)

// lockKey is the advisory lock that a rebuild of a connection takes alone, and that
// everybody who writes its projections shares.
func lockKey(connectionID string) int64 {
	h := fnv.New64a()
	h.Write([]byte("projections:" + connectionID)) //nolint:gosec // a hash does not fail
	return int64(h.Sum64())                        //nolint:gosec // the bits, not the number
}

// shareProjections keeps rebuilds of the connections out until the transaction ends. The
// locks are taken in one order by everybody.
func shareProjections(ctx context.Context, tx gorm.ConnPool, connectionIDs []string) error {
	keys := make([]int64, len(connectionIDs))
	for i, id := range connectionIDs {
		keys[i] = lockKey(id)
	}
	slices.Sort(keys)
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock_shared(k) FROM unnest($1::bigint[]) AS k", keys)
	return wrap(err)
}

// NewRebuildStore implements ingest.RebuildStore.
func (db *DB) NewRebuildStore() ingest.RebuildStore { return &rebuildStore{db} }

type rebuildStore struct{ db *DB }

// ConnectionIDs lists all connections.
func (s *rebuildStore) ConnectionIDs(ctx context.Context) ([]string, error) {
	var out []string
	err := wrap(s.db.gorm.WithContext(ctx).Raw("SELECT id FROM connections ORDER BY id").Scan(&out).Error)
	return out, err
}

// shadow prefixes the tables in which a rebuild collects.
const shadow = "rebuild_"

// rebuild is one run.
type rebuild struct {
	tx         *sql.Tx
	connection string
	observe    func(ingest.PendingEvent) (projection.Observation, bool)
	into       projector
	out        ingest.Rebuilt
}

// Rebuild joins everything into tables of its own; while it does, classifiers go on.
// Then it keeps them out, takes in what they have done meanwhile, and replaces the rows
// that differ.
func (s *rebuildStore) Rebuild(ctx context.Context, connectionID string, observe func(ingest.PendingEvent) (projection.Observation, bool)) (ingest.Rebuilt, error) {
	tx, err := s.db.sql.BeginTx(ctx, nil)
	if err != nil {
		return ingest.Rebuilt{}, wrap(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	r := &rebuild{tx: tx, connection: connectionID, observe: observe, out: ingest.Rebuilt{ConnectionID: connectionID}, into: projector{
		subscriptionsTable.named(shadow + subscriptionsTable.name), invoicesTable.named(shadow + invoicesTable.name),
		chargesTable.named(shadow + chargesTable.name), disputesTable.named(shadow + disputesTable.name),
		productsTable.named(shadow + productsTable.name), customersTable.named(shadow + customersTable.name),
	}}
	for _, step := range []func(context.Context) error{r.prepare, r.collect, r.keepOut, r.collect, r.replace} {
		if err := step(ctx); err != nil {
			return r.out, wrap(err)
		}
	}
	return r.out, wrap(tx.Commit())
}

// tables are the projection tables by name, with their columns.
func tables() map[string][]string {
	return map[string][]string{
		subscriptionsTable.name: subscriptionsTable.names(), invoicesTable.name: invoicesTable.names(), chargesTable.name: chargesTable.names(),
		disputesTable.name: disputesTable.names(), productsTable.name: productsTable.names(), customersTable.name: customersTable.names(),
	}
}

func (r *rebuild) prepare(ctx context.Context) error {
	var known bool
	if err := r.tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM connections WHERE id = $1)", r.connection).Scan(&known); err != nil {
		return err
	}
	if !known {
		return fault.New(fault.NotFound, "connection_not_found", "there is no connection %q", r.connection).Fix("See GET /v1/connections for their IDs")
	}
	statements := []string{
		"CREATE TEMPORARY TABLE rebuild_events (seq bigint PRIMARY KEY) ON COMMIT DROP",
		"CREATE TEMPORARY TABLE rebuild_reads (object text, id text, digest text, PRIMARY KEY (object, id)) ON COMMIT DROP",
	}
	for name := range tables() {
		statements = append(statements, fmt.Sprintf("CREATE TEMPORARY TABLE %s%s (LIKE %s INCLUDING INDEXES) ON COMMIT DROP", shadow, name, name))
	}
	for _, statement := range statements {
		if _, err := r.tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (r *rebuild) keepOut(ctx context.Context) error {
	_, err := r.tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", lockKey(r.connection))
	return err
}

// rebuildPage bounds what is held in memory.
const rebuildPage = 500

// collect takes in what it has not yet: events that were classified, and what was read.
func (r *rebuild) collect(ctx context.Context) error {
	for after := (ingest.EventRef{}); ; {
		last, err := r.events(ctx, after)
		if err != nil {
			return err
		}
		if last.EventID == "" {
			break
		}
		after = last
	}
	for {
		more, err := r.reads(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// events joins what is left to join of one page of the connection's stored events, along their
// key, and returns the last event of the page; none when there is no more.
func (r *rebuild) events(ctx context.Context, after ingest.EventRef) (last ingest.EventRef, err error) {
	seen := seenObjects{}
	var seqs []int64
	err = query(ctx, r.tx, `SELECT k.event_id, k.created, p.seq, e.sealed_body, c.user_id_key
		FROM (SELECT event_id, created FROM stripe_events WHERE connection_id = $1 AND (created, event_id) > ($2, $3) ORDER BY created, event_id LIMIT $4) k
		JOIN connections c ON c.id = $1
		LEFT JOIN LATERAL (SELECT q.seq FROM event_processing q
			WHERE q.event_id = k.event_id AND q.connection_id = $1 AND q.created = k.created AND q.processed_at IS NOT NULL AND q.status <> 'dead'
				AND NOT EXISTS (SELECT 1 FROM rebuild_events d WHERE d.seq = q.seq)) p ON true
		LEFT JOIN LATERAL (SELECT sealed_body FROM stripe_events s
			WHERE s.connection_id = $1 AND s.event_id = k.event_id AND s.created = k.created AND p.seq IS NOT NULL LIMIT 1) e ON true
		ORDER BY k.created, k.event_id`, []any{r.connection, after.Created, after.EventID, rebuildPage}, func(scan func(...any) error) error {
		var seq *int64
		e := ingest.PendingEvent{ConnectionID: r.connection}
		if err := scan(&e.EventID, &e.Created, &seq, &e.SealedBody, &e.UserIDKey); err != nil {
			return err
		}
		last = ingest.EventRef{ConnectionID: r.connection, EventID: e.EventID, Created: e.Created}
		if seq == nil {
			return nil
		}
		e.Seq = *seq
		seqs = append(seqs, e.Seq)
		if o, ok := r.observe(e); ok {
			seen.add(r.connection, o)
		}
		return nil
	})
	if err != nil || len(seqs) == 0 {
		return last, err
	}
	r.out.Events += len(seqs)
	if _, err := r.into.project(ctx, r.tx, seen); err != nil {
		return last, err
	}
	_, err = r.tx.ExecContext(ctx, "INSERT INTO rebuild_events SELECT unnest($1::bigint[])", seqs)
	return last, err
}

// reads joins one page of what was read and is new to this run.
func (r *rebuild) reads(ctx context.Context) (more bool, err error) {
	seen := seenObjects{}
	var objects, ids, digests []string
	err = query(ctx, r.tx, `SELECT s.object, s.id, s.state::text, md5(s.state::text) FROM stripe_object_reads s
		WHERE s.connection_id = $1 AND NOT EXISTS (SELECT 1 FROM rebuild_reads d WHERE d.object = s.object AND d.id = s.id AND d.digest = md5(s.state::text))
		ORDER BY s.object, s.id LIMIT $2`, []any{r.connection, rebuildPage}, func(scan func(...any) error) error {
		var object, id, state, digest string
		if err := scan(&object, &id, &state, &digest); err != nil {
			return err
		}
		o, err := observationOf(object, []byte(state))
		seen.add(r.connection, o)
		objects, ids, digests = append(objects, object), append(ids, id), append(digests, digest)
		return err
	})
	if err != nil || len(ids) == 0 {
		return false, err
	}
	r.out.Reads += len(ids)
	if _, err := r.into.project(ctx, r.tx, seen); err != nil {
		return false, err
	}
	_, err = r.tx.ExecContext(ctx, `INSERT INTO rebuild_reads SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
		ON CONFLICT (object, id) DO UPDATE SET digest = excluded.digest`, objects, ids, digests)
	return true, err
}

// replace writes the rows that differ and counts.
func (r *rebuild) replace(ctx context.Context) error {
	all := tables()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var objects, kept int
		err := r.tx.QueryRowContext(ctx, fmt.Sprintf(`SELECT (SELECT count(*) FROM %s%s),
			(SELECT count(*) FROM %s t WHERE t.connection_id = $1 AND NOT EXISTS (SELECT 1 FROM %s%s n WHERE n.connection_id = t.connection_id AND n.id = t.id))`,
			shadow, name, name, shadow, name), r.connection).Scan(&objects, &kept)
		if err != nil {
			return err
		}
		var sets []string
		for _, c := range all[name] {
			sets = append(sets, c+" = excluded."+c)
		}
		columns := strings.Join(all[name], ", ")
		res, err := r.tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM %s%s n
			WHERE NOT EXISTS (SELECT 1 FROM %s t WHERE t.connection_id = n.connection_id AND t.id = n.id AND row_to_json(t)::text = row_to_json(n)::text)
			ON CONFLICT (connection_id, id) DO UPDATE SET %s`, name, columns, columns, shadow, name, name, strings.Join(sets, ", ")))
		if err != nil {
			return err
		}
		changed, err := res.RowsAffected()
		if err != nil {
			return err
		}
		r.out.Objects, r.out.Kept, r.out.Changed = r.out.Objects+objects, r.out.Kept+kept, r.out.Changed+int(changed)
	}
	return nil
}
