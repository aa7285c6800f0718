package postgres

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// native runs fn on a connection of the pool with the driver's own interface, which
// has COPY and binary rows: for millions of rows, where a statement each would cost
// more than the rows. fn must not keep the connection.
func (db *DB) native(ctx context.Context, fn func(conn *pgx.Conn) error) error {
	conn, err := db.sql.Conn(ctx)
	if err != nil {
		return wrap(err)
	}
	defer conn.Close() //nolint:errcheck // closing returns it to the pool
	var failed error
	err = conn.Raw(func(dc any) error {
		c, ok := dc.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the pool holds %T, not a connection of pgx", dc)
		}
		if failed = fn(c.Conn()); c.Conn().IsClosed() {
			return driver.ErrBadConn // take it out of the pool
		}
		return nil
	})
	if failed != nil {
		return wrap(failed)
	}
	return wrap(err)
}

// nativeTx runs fn in one transaction of native.
func (db *DB) nativeTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return db.native(ctx, func(conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, fn)
	})
}
