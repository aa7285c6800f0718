package pipelinetest

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/campaign/pgledger"
)

// Ledger is a migrated database with a secret box.
type Ledger struct {
	DB *postgres.DB
	// SQL is for what a test changes or reads behind the program's back.
	SQL *pgxpool.Pool
	Box *system.SecretBox
	// Address is the database's, for another process.
	Address string

	serial atomic.Int64
}

// NewLedger makes a database for one test; its bills share it.
func NewLedger(t testing.TB) *Ledger {
	t.Helper()
	url := postgrestest.URL(t)
	db, err := postgres.Open(t.Context(), url, postgres.Options{MaxConns: 6})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	pool, err := pgxpool.New(t.Context(), url+poolSize(url))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	box, err := system.NewSecretBox(bytes.Repeat([]byte{7}, system.KeyBytes))
	require.NoError(t, err)
	return &Ledger{DB: db, SQL: pool, Box: box, Address: url}
}

func poolSize(url string) string {
	if bytes.ContainsRune([]byte(url), '?') {
		return "&pool_max_conns=3"
	}
	return "?pool_max_conns=3"
}

// connectionKey is what opens the keys of stored connections.
func (l *Ledger) connectionKey(ctx context.Context, id string) (account.Connection, account.SecretKey, error) {
	c, err := l.DB.SealedConnection(ctx, id)
	if err != nil {
		return account.Connection{}, account.SecretKey{}, err
	}
	text, err := l.Box.Open(onboard.KeyContext(id), c.SealedKey)
	if err != nil {
		return account.Connection{}, account.SecretKey{}, err
	}
	key, err := account.ParseSecretKey(string(text))
	return c.Connection, key, err
}

// insertBill writes a cycle that stands at its write-back.
func (l *Ledger) insertBill(ctx context.Context, plan billing.InvoicePlan, stripeAccount, key string, at time.Time) error {
	sealed, err := l.Box.Seal(onboard.KeyContext(plan.Key.IssuerConnection), []byte(key))
	if err != nil {
		return err
	}
	return pgledger.New(l.DB, l.SQL).BeginWith(ctx, account.Live, plan, pgledger.Key{StripeAccount: stripeAccount, Sealed: sealed}, at)
}
