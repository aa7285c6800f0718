package pipelinetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
)

// Ledger is a migrated database with a secret box.
type Ledger struct {
	DB *postgres.DB
	// SQL is for what a test changes or reads behind the program's back.
	SQL *pgxpool.Pool
	Box *system.SecretBox

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
	return &Ledger{DB: db, SQL: pool, Box: box}
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

// insertBill writes a cycle that stands at its write-back, as if it had been
// measured and proposed: what the measurement says is of no interest here.
func (l *Ledger) insertBill(ctx context.Context, plan billing.InvoicePlan, stripeAccount, key string, at time.Time) error {
	sealed, err := l.Box.Seal(onboard.KeyContext(plan.Key.IssuerConnection), []byte(key))
	if err != nil {
		return err
	}
	doc, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	tx, err := l.SQL.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // after a commit there is nothing to roll back
	a := plan.AccountID
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO connections (id, environment, role_source, role_issuer, stripe_account_id, sealed_key, key_mask, user_id_key, created_at)
			VALUES ($1, 'live', true, true, $2, $3, 'rk_live_…', 'user_id', $4)`, []any{plan.Key.IssuerConnection, stripeAccount, sealed, at}},
		{`INSERT INTO accounts (id, environment, name, source_connection, issuer_connection, payer_customer, created_at) VALUES ($1, 'live', $1, $2, $2, $3, $4)`,
			[]any{a, plan.Key.IssuerConnection, plan.Key.Customer, at}},
		{`INSERT INTO contracts (id, account_id, environment, version, terms, terms_hash, time_zone, close_lag_days, first_period, created_at)
			VALUES ($1 || '-contract', $1, 'live', 1, '{}', '', 'UTC', 3, $2, $3)`, []any{a, plan.Key.Period, at}},
		{`INSERT INTO measurement_plans (id, account_id, environment, version, plan, plan_hash, sealed_at, sealed_salt)
			VALUES ($1 || '-plan', $1, 'live', 1, jsonb_build_object('first_period', $2::text, 'attribution_days', 90)::text, '', $3, '\x00')`, []any{a, plan.Key.Period, at}},
		{`INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, opened_at, updated_at)
			VALUES ($1, $2, 'live', $3, $4, $5, $2 || '-contract', $2 || '-plan', 'writing', $6, $6)`,
			[]any{plan.CycleID, a, plan.Key.Period, time.Unix(plan.PeriodStart, 0), time.Unix(plan.PeriodEnd, 0), at}},
		{`INSERT INTO cycle_charges (cycle_id, environment, line, position, kind, description, amount_minor, billed_minor) VALUES ($1, 'live', 'fee:all', 1, 'adjustment', 'all lines', $2, $2)`,
			[]any{plan.CycleID, plan.TotalMinor()}},
		{`INSERT INTO invoices (cycle_id, environment, currency, total_minor, plan, plan_hash, created_at) VALUES ($1, 'live', $2, $3, $4, $5, $6)`,
			[]any{plan.CycleID, plan.Key.Currency, plan.TotalMinor(), string(doc), plan.Hash(), at}},
		{`INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part, plan_hash, total_minor, state, created_at, updated_at)
			VALUES ($1, $2, 'live', true, $3, $4, $5, $6, $7, $8, $9, $10, 'planned', $11, $11)`,
			[]any{plan.Key.ID(), plan.CycleID, a, plan.Key.IssuerConnection, plan.Key.Customer, plan.Key.Currency, plan.Key.Period, plan.Key.Part, plan.Hash(), plan.TotalMinor(), at}},
	} {
		if _, err := tx.Exec(ctx, q.sql, q.args...); err != nil {
			return fmt.Errorf("%w: %.40s", err, q.sql)
		}
	}
	return tx.Commit(ctx)
}
