// Package postgres implements the stores of the use cases on PostgreSQL with
// GORM. It is the only package that knows GORM.
//
// Rows are unexported structs with named columns; the schema is migrations/. A
// unit of work is one transaction; nothing here calls the network otherwise.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	gormpg "gorm.io/driver/postgres"
	"gorm.io/gorm"
	gormlog "gorm.io/gorm/logger"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/migrations"
)

// DB is an open database.
type DB struct {
	dsn  string
	gorm *gorm.DB
	sql  *sql.DB
	// partitionMaker has connections of its own: partitions are made while a transaction
	// waits, and transactions that all wait for a second connection of one pool would
	// wait for one another. There are several, because making a partition of one table
	// waits for the readers of that table, who may need one of another.
	partitionMaker *sql.DB
	// locks has the sessions of those who do something alone, and of those who wait for them.
	locks *sql.DB
}

// Options tune the connection pool; zero values work.
type Options struct {
	// MaxConns is the size of the pool; default 16.
	MaxConns int
	// SearchPath are the schemas in which tables are looked for, in order; empty is the
	// database's own.
	SearchPath string
}

// Open connects to a PostgreSQL URL and checks that it answers. The error names
// the host and never the password.
func Open(ctx context.Context, dsn string, opts Options) (*DB, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fault.InvalidField("DATABASE_URL", "database_url_malformed", "the database URL cannot be parsed").
			Fix("Write it as postgres://user:password@host:5432/database")
	}
	cfg.RuntimeParams["timezone"] = "UTC"
	cfg.RuntimeParams["application_name"] = "liftbill"
	if opts.SearchPath != "" {
		cfg.RuntimeParams["search_path"] = opts.SearchPath
	}
	pool := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(interpreted))
	if opts.MaxConns == 0 {
		opts.MaxConns = 16
	}
	pool.SetMaxOpenConns(opts.MaxConns)
	pool.SetMaxIdleConns(opts.MaxConns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	if err := pool.PingContext(ctx); err != nil {
		pool.Close() //nolint:errcheck,gosec // the ping's error is the one to tell
		return nil, fault.New(fault.Unavailable, "database_unreachable", "PostgreSQL at %s refuses the connection (%s)", hostOf(cfg), lastCause(err)).
			Fix("Start it, or correct DATABASE_URL")
	}
	g, err := gorm.Open(gormpg.New(gormpg.Config{Conn: pool}), &gorm.Config{
		TranslateError: true, SkipDefaultTransaction: true, Logger: gormlog.Discard,
		DisableAutomaticPing: true, PrepareStmt: true,
		NowFunc: func() time.Time { return time.Time{} }, // no row takes its time from the machine
	})
	if err != nil {
		pool.Close() //nolint:errcheck,gosec // the first error is the one to tell
		return nil, fmt.Errorf("open GORM: %w", err)
	}
	maker := stdlib.OpenDB(*cfg)
	maker.SetMaxOpenConns(4)
	maker.SetConnMaxIdleTime(time.Minute)
	locks := stdlib.OpenDB(*cfg)
	locks.SetMaxOpenConns(4)
	locks.SetConnMaxIdleTime(time.Minute)
	return &DB{dsn: dsn, gorm: g, sql: pool, partitionMaker: maker, locks: locks}, nil
}

// interpreted has statements interpreted. Over many partitions the planner finds them dear
// enough to be compiled, and compiling can take seconds where running takes milliseconds.
func interpreted(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SET jit = off")
	return err
}

// lastCause is the innermost reason of a failed connection, on one line and
// without the user that tried.
func lastCause(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Message
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return "no answer"
}

func hostOf(cfg *pgx.ConnConfig) string {
	return (&url.URL{Host: fmt.Sprintf("%s:%d", cfg.Host, cfg.Port), Path: "/" + cfg.Database}).String()[2:]
}

// Close closes the pools.
func (db *DB) Close() error {
	return errors.Join(db.locks.Close(), db.partitionMaker.Close(), db.sql.Close())
}

// Ping checks that the database answers.
func (db *DB) Ping(ctx context.Context) error { return wrap(db.sql.PingContext(ctx)) }

// Migrate brings the schema to the newest version and returns how many
// migrations it applied. Concurrent callers wait for one another.
func (db *DB) Migrate(ctx context.Context) (int, error) {
	provider, err := goose.NewProvider(goose.DialectPostgres, db.sql, migrations.FS)
	if err != nil {
		return 0, fmt.Errorf("prepare migrations: %w", err)
	}
	// One session-level lock on a connection of its own keeps two starters apart.
	conn, err := db.sql.Conn(ctx)
	if err != nil {
		return 0, wrap(err)
	}
	defer conn.Close()        //nolint:errcheck // closing returns it to the pool
	const lockID = 0x6c696674 // "lift"
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", lockID); err != nil {
		return 0, wrap(err)
	}
	results, err := provider.Up(ctx)
	// Also after a cancelled migration: the lock belongs to a session of the pool, which
	// would keep it from everybody else.
	_, unlockErr := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", lockID)
	if err != nil {
		return 0, fault.Wrap(err, fault.Internal, "migration_failed", "the database could not be migrated")
	}
	return len(results), wrap(unlockErr)
}

// wrap turns driver errors into the vocabulary of faults. Constraint names are
// shown; values are not.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, sql.ErrNoRows):
		return fault.New(fault.NotFound, "not_found", "there is no such row")
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return fault.Wrap(err, fault.Conflict, "duplicate", "the row exists")
	case errors.Is(err, gorm.ErrForeignKeyViolated), errors.Is(err, gorm.ErrCheckConstraintViolated):
		return fault.Wrap(err, fault.Conflict, "constraint", "a rule of the database refused the row")
	case errors.As(err, &pg):
		switch pg.Code[:2] {
		case "23":
			return fault.New(fault.Conflict, "constraint", "rule %s of table %s refused the row", pg.ConstraintName, pg.TableName)
		case "08", "53", "57", "40":
			return fault.Wrap(err, fault.Unavailable, "database_unavailable", "the database cannot answer now")
		case "22":
			return fault.Wrap(err, fault.Internal, ingest.CodeValueRefused, "the database cannot store a value")
		}
		if pg.Code == "54000" { // longer than an index holds
			return fault.Wrap(err, fault.Internal, ingest.CodeValueRefused, "the database cannot store a value")
		}
		return fault.Wrap(err, fault.Internal, "database_error", "the database refused a statement")
	}
	return fault.Wrap(err, fault.Unavailable, "database_unavailable", "the database cannot answer now")
}

// notFound names what was looked for in a NotFound error.
func notFound(err error, what, id string) error {
	err = wrap(err)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, what+"_not_found", "there is no %s %q", what, id)
	}
	return err
}

// Work is the unit of work over stores that a use case names.
type Work[S any] struct {
	db   *DB
	make func(tx *gorm.DB) S
}

// Do runs fn in one transaction.
func (w Work[S]) Do(ctx context.Context, fn func(ctx context.Context, stores S) error) error {
	err := w.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return fn(ctx, w.make(tx)) })
	return wrap(err)
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
