package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/recon"
)

// Both sides of a month's payments may be millions of rows. They are not joined: each side
// is digested once, by buckets of invoice IDs, into a count, a sum and the exclusive or of
// a 64-bit hash of (invoice, amount, whether it counts in the period). Buckets whose digests
// agree hold the same rows; only the rows of the others are joined and judged. Rows that a
// digest cannot judge (our own invoices, other modes, figures that do not sum) mark their
// bucket by themselves.
const reconBuckets = 1024

const reconOurs = `
	SELECT currency, bucket, count(*) AS n, bit_xor(h) AS x, coalesce(sum(amount) FILTER (WHERE inside), 0)::bigint AS counted,
		count(*) FILTER (WHERE inside) AS objects, count(*) FILTER (WHERE inside AND late) AS late, false AS odd
	FROM (SELECT currency, hashtext(invoice_id) & $4 AS bucket, amount_minor AS amount, effective_at >= $2 AND effective_at < $3 AS inside, recorded_at > $7 AS late,
			hashtextextended(invoice_id, amount_minor * 2 + (effective_at >= $2 AND effective_at < $3)::int) AS h
		FROM reward_events WHERE connection_id = $1 AND kind = 'revenue_confirmation' AND effective_at >= $5 AND effective_at < $6) f
	GROUP BY 1, 2`

const reconTheirs = `
	SELECT currency, bucket, count(*) FILTER (WHERE plain) AS n, coalesce(bit_xor(h) FILTER (WHERE plain), 0) AS x,
		coalesce(sum(amount) FILTER (WHERE inside AND plain), 0)::bigint AS counted, count(*) FILTER (WHERE inside AND plain) AS objects, 0::bigint AS late, bool_or(odd) AS odd
	FROM (SELECT currency, hashtext(id) & $4 AS bucket, net_minor AS amount, at >= $2 AND at < $3 AS inside,
			NOT own AND net_minor <> 0 AS plain, own OR NOT balanced OR livemode <> $5 OR out_of_band_minor <> 0 AS odd,
			hashtextextended(id, net_minor * 2 + (at >= $2 AND at < $3)::int) AS h
		FROM recon_objects WHERE run_id = $1 AND kind = 'invoice') o
	GROUP BY 1, 2`

// reconJoin joins the rows of the buckets in $8.
const reconJoin = `
	WITH ours AS (
		SELECT invoice_id AS id, count(*) AS facts, sum(amount_minor)::bigint AS amount, coalesce(sum(amount_minor) FILTER (WHERE effective_at >= $3 AND effective_at < $4), 0)::bigint AS counted,
			min(currency) AS currency, max(customer_id) AS customer_id, max(charge_id) AS charge_id, min(effective_at) AS at
		FROM reward_events WHERE connection_id = $1 AND kind = 'revenue_confirmation' AND effective_at >= $6 AND effective_at < $7 AND hashtext(invoice_id) & $5 = ANY($8)
		GROUP BY 1),
	theirs AS (SELECT * FROM recon_objects WHERE run_id = $2 AND kind = 'invoice' AND hashtext(id) & $5 = ANY($8))
	SELECT coalesce(o.id, t.id), o.facts, o.amount, o.counted, o.currency, o.customer_id, o.charge_id, o.at, NULL::timestamptz,
		t.status, t.net_minor, t.cash_minor, t.out_of_band_minor, t.tax_minor, t.balanced, t.currency, t.customer_id, t.charge_id, t.at, t.undone_at, t.taken_back, t.own, t.livemode
	FROM ours o FULL JOIN theirs t ON t.id = o.id
	WHERE o.id IS NULL OR t.id IS NULL OR o.facts <> 1 OR o.amount <> t.net_minor OR o.currency <> t.currency OR t.own OR NOT t.balanced OR t.livemode <> $9 OR t.out_of_band_minor <> 0
		OR (o.at >= $3 AND o.at < $4) <> (t.at >= $3 AND t.at < $4)
	ORDER BY 1`

// reconReturns joins refunds and disputes; there are few of them. Credit notes are not
// in Stripe's list of refunds. Money of our own invoices is nobody's revenue.
const reconReturns = `
	WITH ours AS (
		SELECT CASE WHEN kind = 'refund' THEN 'refund' ELSE 'dispute' END AS kind, object_id AS id, count(*) AS facts, sum(amount_minor)::bigint AS amount,
			coalesce(sum(amount_minor) FILTER (WHERE effective_at >= $3 AND effective_at < $4), 0)::bigint AS counted, min(currency) AS currency, max(customer_id) AS customer_id,
			max(charge_id) AS charge_id, min(effective_at) AS at, max(effective_at) FILTER (WHERE amount_minor > 0) AS undone_at
		FROM reward_events WHERE connection_id = $1 AND kind IN ('refund', 'dispute', 'dispute_won', 'dispute_lost') AND effective_at >= $5 AND object_id NOT LIKE 'cn\_%'
		GROUP BY 1, 2),
	theirs AS (SELECT * FROM recon_objects WHERE run_id = $2 AND kind IN ('refund', 'dispute'))
	SELECT coalesce(o.kind, t.kind), coalesce(o.id, t.id), o.facts, o.amount, o.counted, o.currency, coalesce(nullif(o.customer_id, ''), w.customer_id, ''), o.charge_id, o.at, o.undone_at,
		t.status, t.net_minor, t.cash_minor, t.out_of_band_minor, t.tax_minor, t.balanced, t.currency, coalesce(w.customer_id, ''), t.charge_id, t.at, t.undone_at, t.taken_back,
		coalesce(w.own_invoice, false), t.livemode
	FROM ours o FULL JOIN theirs t ON t.kind = o.kind AND t.id = o.id
	LEFT JOIN charge_owners w ON w.connection_id = $1 AND w.charge_id = coalesce(nullif(o.charge_id, ''), t.charge_id)
	WHERE NOT coalesce(w.own_invoice, false) AND (coalesce(o.counted, 0) <> 0 OR (o.at >= $3 AND o.at < $4) OR (o.undone_at >= $3 AND o.undone_at < $4)
		OR (t.at >= $3 AND t.at < $4) OR (t.undone_at >= $3 AND t.undone_at < $4))
	ORDER BY 1, 2`

// reconStates finds subscriptions that have another state at Stripe, but for those that
// were made while the list was read.
const reconStates = `
	WITH ours AS (SELECT id, status, customer_id FROM stripe_subscriptions WHERE connection_id = $1 AND deleted_at IS NULL AND coalesce(created_at, 'epoch') < $3),
	theirs AS (SELECT id, status, customer_id, at FROM recon_objects WHERE run_id = $2 AND kind = 'subscription' AND at < $3)
	SELECT coalesce(o.id, t.id), o.status, o.customer_id, t.status, t.customer_id FROM ours o FULL JOIN theirs t ON t.id = o.id
	WHERE o.status IS DISTINCT FROM t.status ORDER BY 1`

// Compare finds the pairs that differ and sums both sides.
func (r *Recon) Compare(ctx context.Context, sc reconcile.Scope, runID int64) (reconcile.Compared, error) {
	var out reconcile.Compared
	err := r.db.nativeTx(ctx, func(tx pgx.Tx) error {
		// Compiling a plan that is this short takes longer than running it.
		for _, set := range []string{`SET LOCAL jit = off`, `SET LOCAL work_mem = '64MB'`} {
			if _, err := tx.Exec(ctx, set); err != nil {
				return err
			}
		}
		c := &comparing{tx: tx, sc: sc, runID: runID, out: &out}
		for _, step := range []func(context.Context) error{c.payments, c.returns, c.states} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

type comparing struct {
	tx    pgx.Tx
	sc    reconcile.Scope
	runID int64
	out   *reconcile.Compared
}

// digest is one side of one bucket in one currency.
type digest struct {
	n, x, counted int64
}

type bucketKey struct {
	currency string
	bucket   int32
}

func (c *comparing) payments(ctx context.Context) error {
	in, live := c.sc.Interval, c.sc.Window().Live
	from, to := in.Start.Add(-reconcile.Margin), in.End.Add(reconcile.Margin)
	watermark, err := c.watermark(ctx)
	if err != nil {
		return err
	}
	differ := map[int32]bool{}
	ours, err := c.digests(ctx, true, differ, reconOurs, c.sc.Account.SourceConnection, in.Start, in.End, reconBuckets-1, from, to, watermark)
	if err != nil {
		return err
	}
	theirs, err := c.digests(ctx, false, differ, reconTheirs, c.runID, in.Start, in.End, reconBuckets-1, live)
	if err != nil {
		return err
	}
	for k, d := range ours {
		if theirs[k] != d {
			differ[k.bucket] = true
		}
	}
	for k, d := range theirs {
		if ours[k] != d {
			differ[k.bucket] = true
		}
	}
	if len(differ) == 0 {
		return nil
	}
	buckets := make([]int32, 0, len(differ))
	for b := range differ {
		buckets = append(buckets, b)
	}
	rows, err := c.tx.Query(ctx, reconJoin, c.sc.Account.SourceConnection, c.runID, in.Start, in.End, reconBuckets-1, from, to, buckets, live)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var p pairRow
		if err := rows.Scan(p.dest()...); err != nil {
			return err
		}
		c.out.Pairs = append(c.out.Pairs, p.pair(recon.Payment))
	}
	return rows.Err()
}

// watermark is the time up to which the period was frozen; infinity while it is not.
func (c *comparing) watermark(ctx context.Context) (any, error) {
	var at *time.Time
	err := c.tx.QueryRow(ctx, `SELECT max(watermark) FROM cycles WHERE account_id = $1 AND period = $2`, c.sc.Account.ID, c.sc.Period.String()).Scan(&at)
	if at == nil {
		return "infinity", err
	}
	return *at, err
}

func (c *comparing) digests(ctx context.Context, ours bool, odd map[int32]bool, sql string, args ...any) (map[bucketKey]digest, error) {
	rows, err := c.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[bucketKey]digest{}
	sums := map[string]*recon.Sum{}
	for rows.Next() {
		var k bucketKey
		var d digest
		var objects, late int64
		var marked bool
		if err := rows.Scan(&k.currency, &k.bucket, &d.n, &d.x, &d.counted, &objects, &late, &marked); err != nil {
			return nil, err
		}
		if marked {
			odd[k.bucket] = true
		}
		c.out.Late += late
		if d.n == 0 {
			continue
		}
		out[k] = d
		s := sums[k.currency]
		if s == nil {
			s = &recon.Sum{Line: recon.Revenue, Currency: k.currency}
			sums[k.currency] = s
		}
		if ours {
			s.LeftMinor, s.LeftObjects = s.LeftMinor+d.counted, s.LeftObjects+objects
		} else {
			s.RightMinor, s.RightObjects = s.RightMinor+d.counted, s.RightObjects+objects
		}
	}
	for currency, s := range sums {
		c.out.Sums = append(c.out.Sums, *s)
		if ours {
			c.out.Facts = append(c.out.Facts, recon.Money{ID: currency, Currency: currency, AmountMinor: s.LeftMinor, Facts: s.LeftObjects})
		}
	}
	return out, rows.Err()
}

// pairRow is one row of a full join; what a side does not have is null.
type pairRow struct {
	id                                 string
	facts                              *int
	amount, counted                    *int64
	currency, customer, charge         *string
	at, undone                         *time.Time
	status                             *string
	net, cash, outOfBand, tax          *int64
	balanced                           *bool
	theirCurrency, theirCust, theirChg *string
	theirAt, theirUndone               *time.Time
	takenBack, own, livemode           *bool
}

func (p *pairRow) dest() []any {
	return []any{
		&p.id, &p.facts, &p.amount, &p.counted, &p.currency, &p.customer, &p.charge, &p.at, &p.undone,
		&p.status, &p.net, &p.cash, &p.outOfBand, &p.tax, &p.balanced, &p.theirCurrency, &p.theirCust, &p.theirChg, &p.theirAt, &p.theirUndone, &p.takenBack, &p.own, &p.livemode,
	}
}

func momentOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func (p *pairRow) pair(kind recon.Kind) recon.Pair {
	out := recon.Pair{Kind: kind, ID: p.id}
	if p.facts != nil {
		out.Ours = &recon.Booked{
			Facts: *p.facts, AmountMinor: *p.amount, CountedMinor: *p.counted, Currency: text(p.currency), CustomerID: text(p.customer), ChargeID: text(p.charge),
			At: momentOf(p.at), UndoneAt: momentOf(p.undone),
		}
	}
	if p.status != nil {
		out.Theirs = &recon.Object{
			Kind: kind, ID: p.id, Status: *p.status, NetMinor: *p.net, CashMinor: *p.cash, OutOfBandMinor: *p.outOfBand, TaxMinor: *p.tax, Balanced: *p.balanced,
			Currency: text(p.theirCurrency), CustomerID: text(p.theirCust), ChargeID: text(p.theirChg), At: momentOf(p.theirAt), UndoneAt: momentOf(p.theirUndone),
			TakenBack: *p.takenBack, Own: *p.own, Livemode: *p.livemode,
		}
	}
	return out
}

// returns sums refunds and disputes pair by pair, by the rule that judges them.
func (c *comparing) returns(ctx context.Context) error {
	in := c.sc.Interval
	rows, err := c.tx.Query(ctx, reconReturns, c.sc.Account.SourceConnection, c.runID, in.Start, in.End, in.Start.Add(-reconcile.DefaultLookback))
	if err != nil {
		return err
	}
	defer rows.Close()
	lines := map[recon.Kind]recon.Line{recon.Refund: recon.Refunds, recon.Dispute: recon.Disputes}
	for rows.Next() {
		var p pairRow
		var kind recon.Kind
		if err := rows.Scan(append([]any{&kind}, p.dest()...)...); err != nil {
			return err
		}
		pair := p.pair(kind)
		if pair.Theirs != nil {
			pair.Theirs.Livemode = c.mode(kind, pair.Theirs.Livemode)
		}
		left, right := c.sc.Window().Sums(pair)
		if left.CountedMinor != 0 {
			c.out.Sums = append(c.out.Sums, recon.Sum{Line: lines[kind], Currency: left.Currency, LeftMinor: left.CountedMinor, LeftObjects: 1})
		}
		if right.CountedMinor != 0 {
			c.out.Sums = append(c.out.Sums, recon.Sum{Line: lines[kind], Currency: right.Currency, RightMinor: right.CountedMinor, RightObjects: 1})
		}
		c.out.Pairs = append(c.out.Pairs, pair)
	}
	return rows.Err()
}

// mode is an object's mode: refunds do not say theirs.
func (c *comparing) mode(kind recon.Kind, said bool) bool {
	if kind == recon.Refund {
		return c.sc.Window().Live
	}
	return said
}

// states compares subscriptions, when they were listed.
func (c *comparing) states(ctx context.Context) error {
	if !c.sc.Current {
		return nil
	}
	rows, err := c.tx.Query(ctx, reconStates, c.sc.Account.SourceConnection, c.runID, c.sc.At.Add(-recon.EventGrace))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var ours, ourCustomer, theirs, theirCustomer *string
		if err := rows.Scan(&id, &ours, &ourCustomer, &theirs, &theirCustomer); err != nil {
			return err
		}
		p := recon.Pair{Kind: recon.Subscription, ID: id}
		if ours != nil {
			p.Ours = &recon.Booked{Status: *ours, CustomerID: text(ourCustomer)}
		}
		if theirs != nil {
			p.Theirs = &recon.Object{Kind: recon.Subscription, ID: id, Status: *theirs, CustomerID: text(theirCustomer)}
		}
		c.out.Pairs = append(c.out.Pairs, p)
	}
	return rows.Err()
}
