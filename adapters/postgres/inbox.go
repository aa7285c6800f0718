package postgres

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// partitions makes the month partitions of one process's inserts, each once.
type partitions struct {
	mu   sync.Mutex
	made map[string]bool
}

// The span in which months get partitions of their own; rows outside it go to the
// default partition, so that an odd time can't make thousands of tables.
var (
	firstPartition = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
	lastPartition  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// ensure makes the partition of t's month in a transaction of its own, so that the
// new table is visible to others at once.
func (p *partitions) ensure(ctx context.Context, db *DB, table string, t time.Time) error {
	if t.Before(firstPartition) || !t.Before(lastPartition) {
		return nil
	}
	month := t.UTC().Format("2006-01") + "-01"
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made[table+month] {
		return nil
	}
	if _, err := db.partitionMaker.ExecContext(ctx, "SELECT ensure_month_partition($1, $2::date)", table, month); err != nil {
		return wrap(err)
	}
	if p.made == nil {
		p.made = map[string]bool{}
	}
	p.made[table+month] = true
	return nil
}

// Inbox implements ingest.Inbox and ingest.Endpoints.
type Inbox struct {
	db         *DB
	box        secret.Box
	partitions partitions
	group      groupCommit
}

// NewInbox opens the inbox; box opens the webhook secrets.
func (db *DB) NewInbox(box secret.Box) *Inbox {
	in := &Inbox{db: db, box: box}
	in.group.store = in.appendAll
	return in
}

// Append stores the raw event and its pending mark; appends that meet share one
// statement and one commit. A repeated event changes nothing.
func (in *Inbox) Append(ctx context.Context, e ingest.StoredEvent) (bool, error) {
	return in.group.append(ctx, e)
}

// storeEvents takes one array per column. Rows go in by key, so that two batches that
// share events wait for each other and never both ways.
const storeEvents = `
	WITH given AS (
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::boolean[],
			$9::bytea[], $10::bytea[], $11::timestamptz[], $12::text[], $13::text[], $14::integer[])
			AS g(connection_id, environment, event_id, created, type, object_id, api_version, livemode, sealed_body, body_sha256, received_at, status, reason, place)),
	stored AS (
		INSERT INTO stripe_events (connection_id, environment, event_id, created, type, object_id, api_version, livemode, sealed_body, body_sha256, received_at)
		SELECT connection_id, environment, event_id, created, type, object_id, api_version, livemode, sealed_body, body_sha256, received_at FROM given
		ON CONFLICT (connection_id, event_id, created) DO NOTHING
		RETURNING connection_id, event_id, created),
	fresh AS (SELECT g.* FROM given g JOIN stored USING (connection_id, event_id, created)),
	marked AS (
		INSERT INTO event_processing (connection_id, event_id, created, status, reason)
		SELECT connection_id, event_id, created, status, reason FROM fresh ORDER BY place)
	SELECT place FROM fresh`

// appendAll stores events in one statement, which is one transaction, and says of each
// whether it was new. Of equal events in one batch the first is the new one.
func (in *Inbox) appendAll(ctx context.Context, events []ingest.StoredEvent) ([]bool, error) {
	isNew := make([]bool, len(events))
	order := distinct(events)
	for _, i := range order {
		if err := in.partitions.ensure(ctx, in.db, "stripe_events", events[i].Created); err != nil {
			return nil, err
		}
	}
	rows, err := in.db.sql.QueryContext(ctx, storeEvents, eventColumns(events, order)...)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		var place int
		if err := rows.Scan(&place); err != nil {
			return nil, wrap(err)
		}
		isNew[place] = true
	}
	// The commit comes after the last row, and its failure is in here.
	if err := rows.Err(); err != nil {
		return nil, wrap(err)
	}
	return isNew, nil
}

// distinct are the places of the first of equal events, by key.
func distinct(events []ingest.StoredEvent) []int {
	order := make([]int, len(events))
	for i := range order {
		order[i] = i
	}
	compare := func(a, b int) int {
		x, y := &events[a], &events[b]
		return cmp.Or(strings.Compare(x.ConnectionID, y.ConnectionID), strings.Compare(x.EventID, y.EventID), x.Created.Compare(y.Created))
	}
	slices.SortStableFunc(order, compare)
	return slices.CompactFunc(order, func(a, b int) bool { return compare(a, b) == 0 })
}

// eventColumns turns the chosen events into one array per column.
func eventColumns(events []ingest.StoredEvent, order []int) []any {
	n := len(order)
	connections, environments, ids, types := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	objects, versions, statuses, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	created, received, live := make([]time.Time, n), make([]time.Time, n), make([]bool, n)
	bodies, digests, places := make([][]byte, n), make([][]byte, n), make([]int32, n)
	for row, i := range order {
		e := &events[i]
		connections[row], environments[row], ids[row], created[row] = e.ConnectionID, e.Environment.String(), e.EventID, e.Created
		types[row], objects[row], versions[row], live[row] = e.Type, e.ObjectID, e.APIVersion, e.Livemode
		bodies[row], digests[row], received[row] = e.SealedBody, e.BodySHA256[:], e.ReceivedAt
		statuses[row], reasons[row], places[row] = string(e.Status), e.Reason, int32(i) //nolint:gosec // a place within a batch
	}
	return []any{connections, environments, ids, created, types, objects, versions, live, bodies, digests, received, statuses, reasons, places}
}

// WebhookEndpoint finds an endpoint with its opened secrets.
func (in *Inbox) WebhookEndpoint(ctx context.Context, id string) (ingest.Endpoint, error) {
	var r struct {
		ID, ConnectionID, Environment, StripeAccountID string
		SealedSecret, SealedPrevious                   []byte
		Paused                                         bool
	}
	err := in.db.gorm.WithContext(ctx).Raw(`
		SELECT e.id, e.connection_id, e.environment, c.stripe_account_id, e.sealed_secret, e.sealed_previous, c.paused
		FROM webhook_endpoints e JOIN connections c ON c.id = e.connection_id WHERE e.id = ?`, id).Scan(&r).Error
	if err != nil {
		return ingest.Endpoint{}, wrap(err)
	}
	if r.ID == "" {
		return ingest.Endpoint{}, fault.New(fault.NotFound, "endpoint_unknown", "there is no webhook endpoint with this ID")
	}
	out := ingest.Endpoint{
		ID: r.ID, ConnectionID: r.ConnectionID, Environment: account.Environment(r.Environment),
		StripeAccountID: r.StripeAccountID, Paused: r.Paused,
	}
	for _, sealed := range [][]byte{r.SealedSecret, r.SealedPrevious} {
		if len(sealed) == 0 {
			continue
		}
		plain, err := in.box.Open(onboard.SecretContext(r.ID), sealed)
		if err != nil {
			return ingest.Endpoint{}, err
		}
		out.Secrets = append(out.Secrets, string(plain))
	}
	return out, nil
}
