package postgres_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	trail "github.com/liftbill/liftbill/domain/audit"
)

// pageFunc is a list in one of its orders: the keys of a page and the cursor of the next.
type pageFunc func(cursor string, limit int) (keys []string, next string, err error)

func keysOf[T any](page []T, next string, key func(T) string, err error) ([]string, string, error) {
	out := make([]string, len(page))
	for i, row := range page {
		out[i] = key(row)
	}
	return out, next, err
}

// everyOrder are the lists of the read side in each of their orders.
func everyOrder(w *world) map[string]pageFunc {
	all, r, out := access.Everything(), w.db.NewReader(), map[string]pageFunc{}
	orders := func(name string, sorts []string, page func(sort, cursor string, limit int) ([]string, string, error)) {
		for _, sort := range append([]string{""}, sorts...) {
			out[name+" "+sort] = func(cursor string, limit int) ([]string, string, error) { return page(sort, cursor, limit) }
		}
	}
	orders("cycles", reconcile.CycleSorts(), func(sort, c string, n int) ([]string, string, error) {
		p, err := r.Cycles(w.ctx, reconcile.CyclesFilter{Scope: all, Sort: sort, Cursor: c, Limit: n})
		return keysOf(p.Items, p.NextCursor, func(x reconcile.CycleSummary) string { return x.ID }, err)
	})
	orders("readouts", reconcile.ReadoutSorts(), func(sort, c string, n int) ([]string, string, error) {
		p, err := r.Readouts(w.ctx, "trial", reconcile.CyclesFilter{Sort: sort, Cursor: c, Limit: n})
		return keysOf(p.Items, p.NextCursor, func(x reconcile.Readout) string { return x.CaseID }, err)
	})
	orders("invoices", reconcile.InvoiceSorts(), func(sort, c string, n int) ([]string, string, error) {
		p, err := r.Invoices(w.ctx, reconcile.InvoicesFilter{Scope: all, Sort: sort, Cursor: c, Limit: n})
		return keysOf(p.Items, p.NextCursor, func(x reconcile.InvoiceRow) string { return x.CycleID }, err)
	})
	orders("snapshots", reconcile.SnapshotSorts(), func(sort, c string, n int) ([]string, string, error) {
		p, err := r.Snapshots(w.ctx, reconcile.SnapshotsFilter{Scope: all, Sort: sort, Cursor: c, Limit: n})
		return keysOf(p.Items, p.NextCursor, func(x reconcile.Snapshot) string { return x.AccountID + "/" + x.ID }, err)
	})
	orders("accounts", reconcile.AccountSorts(), func(sort, c string, n int) ([]string, string, error) {
		p, err := r.AccountList(w.ctx, reconcile.AccountsFilter{Scope: all, Sort: sort, Cursor: c, Limit: n})
		return keysOf(p.Items, p.NextCursor, func(x reconcile.Overview) string { return x.ID }, err)
	})
	orders("reward events", reconcile.RewardEventSorts(), func(sort, c string, n int) ([]string, string, error) {
		p, err := r.RewardEvents(w.ctx, reconcile.RewardEventsFilter{AccountID: "acme", Sort: sort, Cursor: c, Limit: n})
		return keysOf(p.Items, p.NextCursor, func(x reconcile.RewardEvent) string { return x.FactKey }, err)
	})
	orders("approvals", nil, func(_, c string, n int) ([]string, string, error) {
		p, err := r.Approvals(w.ctx, reconcile.ApprovalsFilter{Scope: all, Cursor: c, Limit: n})
		return keysOf(p.Items, p.NextCursor, func(x reconcile.Approval) string { return x.ID }, err)
	})
	orders("events", []string{operate.SortOldest}, func(sort, c string, n int) ([]string, string, error) {
		p, err := w.db.NewEventLog().Events(w.ctx, operate.EventsFilter{Selection: operate.Selection{Scope: all}, Sort: sort, Cursor: c, Limit: n})
		return keysOf(p.Items, p.NextCursor, func(x operate.Event) string { return x.ConnectionID + "/" + x.EventID }, err)
	})
	orders("customers", []string{customers.SortOldest}, func(sort, c string, n int) ([]string, string, error) {
		p, err := w.db.NewCustomerReader().Customers(w.ctx, "acme", customers.Filter{AsOf: now, Sort: sort, Cursor: c, Limit: n})
		return keysOf(p.Items, p.NextCursor, func(x customers.Summary) string { return x.ID }, err)
	})
	orders("audit", []string{audit.SortOldest}, func(sort, c string, n int) ([]string, string, error) {
		p, err := w.db.AuditReader().Entries(w.ctx, audit.Filter{Scope: all, Sort: sort, Cursor: c, Limit: n})
		keys := make([]string, len(p.Items))
		for i, e := range p.Items {
			keys[i] = fmt.Sprint(e.Chain, "/", e.Seq)
		}
		return keys, p.NextCursor, err
	})
	return out
}

// listWorld has rows in every list, many of which share the value that they are sorted by.
func listWorld(t *testing.T) *world {
	w := newWorld(t)
	for i, m := range []string{"2026-01", "2026-02", "2026-03"} {
		w.propose("acme", m, float64(50_000*(i+1)))
		w.finish("acme." + m)
		w.propose("trial", m, 50_000)
	}
	for i := range 12 {
		at := day(5 + i/4)
		w.deliver(id("evt_c%d", i), "customer.created", at, w.customer(id("cus_%d", i), "", at), nil)
		w.deliver(id("evt_%d", i), "invoice.paid", at, w.invoice(id("in_%d", i), id("cus_%d", i), 100, at), nil)
	}
	w.drain()
	for i := range 9 {
		require.NoError(t, w.db.AuditLog().Do(w.ctx, func(ctx context.Context, log audit.Log) error {
			return log.Append(ctx, trail.New(access.Operator("ada"), day(1+i/3), trail.AccountCreated, "account", id("a%d", i)).In("acme", account.Live))
		}))
	}
	return w
}

// Walking the pages of a list gives what one big page gives, in every order and for every
// size of a page.
func TestPagesAreTheWholeListInEveryOrder(t *testing.T) {
	t.Parallel()
	w := listWorld(t)
	lists, wholes := everyOrder(w), map[string][]string{}
	for name, page := range lists {
		whole, next, err := page("", 400)
		require.NoError(t, err, name)
		require.Empty(t, next, name)
		require.Greater(t, len(whole), 1, name)
		wholes[name] = whole
	}
	walkAll := func(rt *rapid.T, name string, limit func() int) {
		var got []string
		for cursor := ""; ; {
			keys, next, err := lists[name](cursor, limit())
			if err != nil {
				rt.Fatalf("%s: %v", name, err)
			}
			if got = append(got, keys...); next == "" {
				break
			}
			cursor = next
		}
		if !slices.Equal(wholes[name], got) {
			rt.Fatalf("%s: pages give %v, the whole list is %v", name, got, wholes[name])
		}
	}
	names := slices.Sorted(maps.Keys(lists))
	turn := 0
	rapid.Check(t, func(rt *rapid.T) {
		name := names[turn%len(names)] // each in turn, so that none is left out
		turn++
		walkAll(rt, name, func() int { return rapid.IntRange(1, 7).Draw(rt, name) })
	})
	require.Greater(t, turn, len(names))
}

// Rows that come while somebody walks the pages are shown once or not at all, and hide none
// of those that were there.
func TestPagesUnderInserts(t *testing.T) {
	t.Parallel()
	w := listWorld(t)
	lists := everyOrder(w)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom([]string{"reward events ", "reward events effective_asc", "events ", "events created_asc", "customers ", "customers created_asc"}).Draw(rt, "list")
		before, _, err := lists[name]("", 500)
		require.NoError(t, err)
		var got []string
		for cursor := ""; ; {
			keys, next, err := lists[name](cursor, rapid.IntRange(1, 9).Draw(rt, "limit"))
			require.NoError(t, err)
			if got = append(got, keys...); next == "" {
				break
			}
			cursor = next
			if rapid.Bool().Draw(rt, "insert") && n < 60 {
				n++
				at := day(5).Add(time.Duration(rapid.IntRange(0, 72).Draw(rt, "hour")) * time.Hour)
				w.deliver(id("evt_new%d", n), "invoice.paid", at, w.invoice(id("in_new%d", n), id("cus_new%d", n), 100, at), nil)
				w.drain()
			}
		}
		seen := map[string]bool{}
		for _, key := range got {
			if seen[key] {
				rt.Fatalf("%s shows %s twice", name, key)
			}
			seen[key] = true
		}
		for _, key := range before {
			if !seen[key] {
				rt.Fatalf("%s hides %s", name, key)
			}
		}
	})
}
