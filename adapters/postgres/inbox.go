package postgres

import (
	"context"
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
}

// NewInbox opens the inbox; box opens the webhook secrets.
func (db *DB) NewInbox(box secret.Box) *Inbox { return &Inbox{db: db, box: box} }

// Append stores the raw event and its pending mark in one statement, so that one
// commit decides. A repeated event changes nothing.
func (in *Inbox) Append(ctx context.Context, e ingest.StoredEvent) (bool, error) {
	if err := in.partitions.ensure(ctx, in.db, "stripe_events", e.Created); err != nil {
		return false, err
	}
	res := in.db.gorm.WithContext(ctx).Exec(`
		WITH stored AS (
			INSERT INTO stripe_events (connection_id, environment, event_id, created, type, object_id, api_version, livemode, sealed_body, body_sha256, received_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (connection_id, event_id, created) DO NOTHING
			RETURNING connection_id, event_id, created)
		INSERT INTO event_processing (connection_id, event_id, created, status, reason)
		SELECT connection_id, event_id, created, ?, ? FROM stored`,
		e.ConnectionID, e.Environment.String(), e.EventID, e.Created, e.Type, e.ObjectID, e.APIVersion, e.Livemode,
		e.SealedBody, e.BodySHA256[:], e.ReceivedAt, string(e.Status), e.Reason)
	return res.RowsAffected == 1, wrap(res.Error)
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
