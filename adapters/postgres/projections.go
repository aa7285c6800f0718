package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/domain/projection"
)

// seenObjects are the observations of one batch, by connection.
type seenObjects map[string]*sightings

// sightings are one connection's: all of them, and those that no stored event repeats.
type sightings struct{ all, reads *projection.Set }

func (o seenObjects) add(connectionID string, seen projection.Observation) {
	s := o[connectionID]
	if s == nil {
		s = &sightings{projection.NewSet(), projection.NewSet()}
		o[connectionID] = s
	}
	s.all.Add(seen)
	if seen.FromRead {
		s.reads.Add(seen)
	}
}

// book joins a batch into the projections and returns the objects that have to be read
// to know which of their versions is the last. Products are asked for here, all in one
// statement and before anything else is, so that nobody waits for another in a circle.
func (o seenObjects) book(ctx context.Context, tx gorm.ConnPool, at time.Time) ([]readRow, error) {
	reads := map[string]*projection.Set{}
	for connectionID, s := range o {
		reads[connectionID] = s.reads
	}
	if err := shareProjections(ctx, tx, slices.Sorted(maps.Keys(o))); err != nil {
		return nil, err
	}
	if err := remember(ctx, tx, reads); err != nil {
		return nil, err
	}
	undecided, err := current.project(ctx, tx, o)
	if err != nil {
		return nil, err
	}
	others, again := undecided[:0], map[rowKey]bool{}
	for _, r := range undecided {
		if r.Object == productsTable.object {
			again[rowKey{r.ConnectionID, r.ObjectID}] = true
			continue
		}
		others = append(others, r)
	}
	return others, askProducts(ctx, tx, o, again, at)
}

// projector writes into one set of projection tables.
type projector struct {
	subscriptions *projectionTable[projection.Subscription]
	invoices      *projectionTable[projection.Invoice]
	charges       *projectionTable[projection.Charge]
	disputes      *projectionTable[projection.Dispute]
	products      *projectionTable[projection.Product]
	customers     *projectionTable[projection.Customer]
}

// current are the tables that everybody reads.
var current = projector{subscriptionsTable, invoicesTable, chargesTable, disputesTable, productsTable, customersTable}

// project joins a batch into the tables, in one order of tables and keys for everybody.
func (p projector) project(ctx context.Context, tx gorm.ConnPool, seen seenObjects) ([]readRow, error) {
	b := &projectBatch{tx: tx, seen: seen, named: map[rowKey]bool{}}
	for _, step := range []func() error{
		func() error { return apply(ctx, b, p.subscriptions) },
		func() error { return apply(ctx, b, p.invoices) },
		func() error { return apply(ctx, b, p.charges) },
		func() error { return apply(ctx, b, p.disputes) },
		func() error { return apply(ctx, b, p.products) },
		func() error {
			b.refer()
			return apply(ctx, b, p.customers)
		},
	} {
		if err := step(); err != nil {
			return nil, wrap(err)
		}
	}
	return b.reads, nil
}

type rowKey struct{ connection, id string }

// projectBatch carries one batch from table to table.
type projectBatch struct {
	tx   gorm.ConnPool
	seen seenObjects
	// named are customers whom a row names that was stored before: they have been added.
	named map[rowKey]bool
	reads []readRow
}

// refer adds the customers that the batch names and nobody has observed, so that each
// can be listed.
func (b *projectBatch) refer() {
	for connectionID, s := range b.seen {
		set := s.all
		for id := range set.Referred {
			if !b.named[rowKey{connectionID, id}] && set.Customers[id] == nil {
				set.Customers[id] = &projection.Object[projection.Customer]{ID: id}
			}
		}
	}
}

// ask queues the read of an object whose last version is not known.
func (b *projectBatch) ask(undecided bool, connectionID, object, id string) {
	if undecided {
		b.reads = append(b.reads, readRow{connectionID, object, id, "same_second"})
	}
}

// apply joins the batch's objects of one kind.
func apply[V projection.View](ctx context.Context, b *projectBatch, t *projectionTable[V]) error {
	var rows []*projected[V]
	objects := map[rowKey]*projection.Object[V]{}
	for connectionID, s := range b.seen {
		for id, o := range t.of(s.all) {
			r, err := t.rowOfObject(connectionID, o)
			if err != nil {
				return err
			}
			rows, objects[rowKey{connectionID, id}] = append(rows, r), o
		}
	}
	if len(rows) == 0 {
		return nil
	}
	rest, err := offer(ctx, b, t, sorted(rows))
	if err != nil || len(rest) == 0 {
		return err
	}
	if rest, err = merge(ctx, b, t, rest, objects); err != nil || len(rest) == 0 {
		return err
	}
	_, err = b.tx.ExecContext(ctx, t.sql.write, t.arrays(rest)...)
	return err
}

func sorted[V projection.View](rows []*projected[V]) []*projected[V] {
	slices.SortFunc(rows, func(x, y *projected[V]) int {
		return cmp.Or(cmp.Compare(x.connection, y.connection), cmp.Compare(x.id, y.id))
	})
	return rows
}

// offer writes the rows that are new or plainly newer and returns the others, which are
// locked now.
func offer[V projection.View](ctx context.Context, b *projectBatch, t *projectionTable[V], rows []*projected[V]) ([]*projected[V], error) {
	inserted := make(map[rowKey]bool, len(rows))
	err := query(ctx, b.tx, t.sql.offer, t.arrays(rows), func(scan func(...any) error) error {
		var k rowKey
		var fresh bool
		err := scan(&k.connection, &k.id, &fresh)
		inserted[k] = fresh
		return err
	})
	var left []*projected[V]
	for _, r := range rows {
		fresh, written := inserted[rowKey{r.connection, r.id}]
		switch {
		case !written:
			left = append(left, r)
		case fresh:
			b.ask(r.undecided, r.connection, t.object, r.id)
		default:
			b.named[rowKey{r.connection, r.customer}] = true // a row is replaced for the same customer only
		}
	}
	return left, err
}

// merge joins what was offered with what is stored and returns the rows that changed.
func merge[V projection.View](ctx context.Context, b *projectBatch, t *projectionTable[V], rows []*projected[V], objects map[rowKey]*projection.Object[V]) ([]*projected[V], error) {
	var changed []*projected[V]
	looked := map[rowKey]bool{}
	err := query(ctx, b.tx, t.sql.look, t.probes(rows), func(scan func(...any) error) error {
		stored := &projected[V]{}
		if err := scan(t.fields(stored)...); err != nil {
			return err
		}
		key := rowKey{stored.connection, stored.id}
		looked[key], b.named[rowKey{stored.connection, stored.customer}] = true, true
		o, err := t.objectOf(stored)
		if err != nil {
			return err
		}
		had := o.Versions
		if !o.Join(objects[key]) {
			return nil
		}
		r, err := t.rowOfObject(stored.connection, o)
		if err != nil {
			return err
		}
		b.ask(r.undecided && !slices.EqualFunc(had, o.Versions, projection.Version[V].Same), r.connection, t.object, r.id)
		changed = append(changed, r)
		return nil
	})
	for _, r := range rows {
		if !looked[rowKey{r.connection, r.id}] {
			b.named[rowKey{r.connection, r.customer}] = true // nothing to join: the stored row names the same
		}
	}
	return sorted(changed), err
}

func query(ctx context.Context, tx gorm.ConnPool, sql string, args []any, each func(scan func(...any) error) error) error {
	rows, err := tx.QueryContext(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
