package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/domain/mapping"
	"github.com/liftbill/liftbill/migrations"
)

// Links that were there before links were statements say the same afterwards, and the spans
// that the migration writes are those that follow from its statements. Back again loses nothing.
func TestLinksAreMovedToStatements(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := postgrestest.URL(t)
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx) //nolint:errcheck // the database is dropped
	cfg, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	pool := stdlib.OpenDB(*cfg)
	defer pool.Close() //nolint:errcheck // the database is dropped
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, migrations.FS)
	require.NoError(t, err)
	_, err = provider.DownTo(ctx, 24)
	require.NoError(t, err)
	_, err = conn.Exec(ctx, `INSERT INTO connections (id, environment, role_source, role_issuer, stripe_account_id, sealed_key, key_mask, user_id_key, created_at)
		VALUES ('c', 'test', true, false, 'acct_1', '', 'rk_test_', 'user_id', '2026-01-01')`)
	require.NoError(t, err)
	_, err = conn.Exec(ctx, `INSERT INTO customer_links (connection_id, customer_id, user_id, valid_from, event_id) VALUES
		('c', 'cus_late', 'a', '2026-01-20', 'evt_1'),
		('c', 'cus_moved', 'a', 'epoch', 'evt_2'), ('c', 'cus_moved', 'b', '2026-01-10', 'evt_2'), ('c', 'cus_moved', 'a', '2026-01-15', 'evt_3'),
		('c', 'cus_closed', 'a', '2026-01-05', 'evt_4'), ('c', 'cus_closed', '', '2026-01-10', 'evt_5'),
		('c', 'cus_nobody', '', '2026-01-05', 'evt_6'), ('c', 'cus_nobody', 'b', '2026-01-10', 'evt_7')`)
	require.NoError(t, err)
	_, err = provider.Up(ctx)
	require.NoError(t, err)

	day := func(n int) time.Time { return time.Date(2026, 1, n, 12, 0, 0, 0, time.UTC) }
	for customer, want := range map[string][4]string{
		"cus_late": {"a", "a", "a", "a"}, "cus_moved": {"a", "a", "b", "a"}, "cus_closed": {"a", "a", "", ""}, "cus_nobody": {"", "", "b", "b"},
	} {
		for i, at := range []time.Time{day(2), day(7), day(12), day(22)} {
			var user string
			require.NoError(t, conn.QueryRow(ctx, `SELECT coalesce((SELECT user_id FROM mapping_spans WHERE subject_id = $1 AND valid_from <= $2 AND $2 < valid_to), '')`, customer, at).Scan(&user))
			require.Equal(t, want[i], user, "%s on %s", customer, at)
		}
		require.Equal(t, spansOf(t, conn, customer), movedSpans(t, conn, customer), customer)
	}
	_, err = provider.DownTo(ctx, 24)
	require.NoError(t, err)
	var rows int
	require.NoError(t, conn.QueryRow(ctx, `SELECT count(*) FROM customer_links WHERE (customer_id, user_id, event_id) IN
		(('cus_late', 'a', 'evt_1'), ('cus_moved', 'a', 'evt_2'), ('cus_moved', 'b', 'evt_2'), ('cus_moved', 'a', 'evt_3'),
		('cus_closed', 'a', 'evt_4'), ('cus_closed', '', 'evt_5'), ('cus_nobody', '', 'evt_6'), ('cus_nobody', 'b', 'evt_7'))`).Scan(&rows))
	require.Equal(t, 8, rows)
}

// spansOf are the spans that follow from a customer's statements.
func spansOf(t *testing.T, conn *pgx.Conn, customer string) []mapping.Span {
	t.Helper()
	rows, err := conn.Query(context.Background(), `SELECT link_id, user_id, previous_user_id, metadata_key, valid_from, event_id, seq
		FROM mapping_statements WHERE subject_id = $1 ORDER BY seq`, customer)
	require.NoError(t, err)
	var known []mapping.Statement
	for rows.Next() {
		s := mapping.Statement{Subject: customer, Source: mapping.Metadata}
		var from time.Time
		require.NoError(t, rows.Scan(&s.ID, &s.User, &s.Previous, &s.Key, &from, &s.EventID, &s.Seq))
		s.From = mapping.Instant(from)
		known = append(known, s)
	}
	require.NoError(t, rows.Err())
	return mapping.Spans(known, "user_id")
}

// movedSpans are the spans that are stored.
func movedSpans(t *testing.T, conn *pgx.Conn, customer string) []mapping.Span {
	t.Helper()
	rows, err := conn.Query(context.Background(), `SELECT valid_from, nullif(valid_to, 'infinity'), state, user_id, link_id, source, event_id, former
		FROM mapping_spans WHERE subject_id = $1 ORDER BY valid_from`, customer)
	require.NoError(t, err)
	var out []mapping.Span
	for rows.Next() {
		s := mapping.Span{Subject: customer}
		var from time.Time
		var to *time.Time
		require.NoError(t, rows.Scan(&from, &to, &s.State, &s.User, &s.LinkID, &s.Source, &s.EventID, &s.Former))
		if s.From = mapping.Instant(from); to != nil {
			s.To = to.UTC()
		}
		out = append(out, s)
	}
	require.NoError(t, rows.Err())
	return out
}
