package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/migrations"
)

// schema is every column, constraint, index and trigger of the database as text.
func schema(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	var text string
	require.NoError(t, conn.QueryRow(context.Background(), `SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable AS line FROM information_schema.columns
			WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'
		UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
			AND conrelid::regclass::text NOT LIKE 'goose%'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'goose%'
		UNION ALL SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace) s`).Scan(&text))
	return text
}

func TestMigrationsUpDownUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := postgrestest.URL(t)
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx) //nolint:errcheck // the database is dropped
	before := schema(t, conn)
	cfg, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	pool := stdlib.OpenDB(*cfg)
	defer pool.Close() //nolint:errcheck // the database is dropped
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, migrations.FS)
	require.NoError(t, err)
	down, err := provider.DownTo(ctx, 0)
	require.NoError(t, err)
	require.NotEmpty(t, down)
	var left int
	require.NoError(t, conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'goose%')
		+ (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)`).Scan(&left))
	require.Zero(t, left, "down leaves nothing behind")
	up, err := provider.Up(ctx)
	require.NoError(t, err)
	require.Len(t, up, len(down))
	require.Equal(t, before, schema(t, conn))
}

// Contracts, lines and invoices from before versions and other fees are read as what they
// are: first versions, and full months whose fees were invoiced as they stand.
func TestMigrationsKeepWhatWasBilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.propose("acme", "2026-01", 100_000)
	before, err := w.db.NewReader().TieOut(w.ctx, cy.ID)
	require.NoError(t, err)
	cfg, err := pgx.ParseConfig(w.url)
	require.NoError(t, err)
	pool := stdlib.OpenDB(*cfg)
	defer pool.Close() //nolint:errcheck // the database is dropped
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, migrations.FS)
	require.NoError(t, err)
	const last = 29 // the version before contract_versions
	_, err = provider.DownTo(w.ctx, last)
	require.NoError(t, err)
	_, err = provider.Up(w.ctx)
	require.NoError(t, err)
	require.Equal(t, "2026-01 full 20000", one[string](w, `SELECT k.effective_from || ' ' || i.phase || ' ' || l.billed_minor FROM cycles c
		JOIN contracts k ON k.id = c.contract_id JOIN invoices i ON i.cycle_id = c.id JOIN cycle_lines l ON l.cycle_id = c.id WHERE c.id = $1 AND l.fee_minor > 0`, cy.ID))
	db, err := postgres.Open(w.ctx, w.url, postgres.Options{MaxConns: 2}) // no statement from before the migration
	require.NoError(t, err)
	defer db.Close() //nolint:errcheck // the database is dropped
	after, err := db.NewReader().TieOut(w.ctx, cy.ID)
	require.NoError(t, err)
	// An invoice from before the rules was approved as it was: by its contract.
	before.RequiresPerson, before.Approver, before.Decisions[0].Actor = false, "policy:contract", "policy:contract"
	require.Empty(t, cmp.Diff(before, after))
}

// emptyDatabase is one without a schema, beside the test's own.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	ctx := context.Background()
	url := postgrestest.URL(t)
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx) //nolint:errcheck // the database is dropped
	_, err = conn.Exec(ctx, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
	require.NoError(t, err)
	return url
}

// Four starters migrate one empty database: each migration runs once.
func TestConcurrentMigrations(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := emptyDatabase(t)
	var wg sync.WaitGroup
	applied, errs := make([]int, 4), make([]error, 4)
	for i := range applied {
		wg.Go(func() {
			db, err := postgres.Open(ctx, url, postgres.Options{MaxConns: 2})
			if err != nil {
				errs[i] = err
				return
			}
			applied[i], err = db.Migrate(ctx)
			errs[i] = errors.Join(err, db.Close())
		})
	}
	wg.Wait()
	total := 0
	for i := range applied {
		require.NoError(t, errs[i])
		total += applied[i]
	}
	files, err := migrations.FS.ReadDir(".")
	require.NoError(t, err)
	require.Equal(t, len(files), total)
}

// A migration that is cancelled does not keep the lock from the next starter.
func TestCancelledMigrationGivesItsLockBack(t *testing.T) {
	t.Parallel()
	url := emptyDatabase(t)
	first, err := postgres.Open(context.Background(), url, postgres.Options{MaxConns: 2})
	require.NoError(t, err)
	defer first.Close() //nolint:errcheck // the database is dropped
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		go cancel()
		_, err = first.Migrate(ctx)
		cancel()
		if err == nil {
			break
		}
	}
	second, err := postgres.Open(context.Background(), url, postgres.Options{MaxConns: 2})
	require.NoError(t, err)
	defer second.Close() //nolint:errcheck // the database is dropped
	_, err = second.Migrate(context.Background())
	require.NoError(t, err)
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(context.Background(), "postgres://u:hidden@%zz/", postgres.Options{})
	require.Equal(t, "database_url_malformed", fault.CodeOf(err))
	require.NotContains(t, err.Error(), "hidden")
	_, err = postgres.Open(context.Background(), "postgres://u:hidden@127.0.0.1:1/db?sslmode=disable", postgres.Options{})
	require.Equal(t, "database_unreachable", fault.CodeOf(err))
	require.True(t, fault.Is(err, fault.Unavailable))
	require.ErrorContains(t, err, "127.0.0.1:1/db")
	require.NotContains(t, err.Error(), "hidden")
	require.Equal(t, 1, strings.Count(err.Error()+"\n", "\n"), "one line")
}
