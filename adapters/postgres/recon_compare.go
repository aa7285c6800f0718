package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

// Both sides of a month's payments may be millions of rows. They are not joined: each side
// is digested once, by quarters of an hour, into a count, a sum and the exclusive or of a
// 64-bit hash of (invoice, amount). A period begins and ends with a bucket, so that the time
// within one is of no interest. Buckets whose digests agree hold the same rows;
// only the rows of the others are joined and judged. Rows that a digest cannot judge (our
// own invoices, other modes, figures that do not sum) mark their bucket by themselves.
// Stripe's side is digested as it is staged (reconStage).
const reconBucketSeconds = 900

func reconBucket(at string) string {
	return fmt.Sprintf("date_part('epoch', %s)::bigint / %d", at, reconBucketSeconds)
}

func reconHash(id, minor string) string { return fmt.Sprintf("hashtextextended(%s, %s)", id, minor) }

// reconOurs also counts the facts whose customer is not somebody's for the whole period,
// and sums those that were there when the period was frozen, so that the rows need to be
// read once.
var reconOurs = `
	SELECT f.currency, f.bucket, count(*), bit_xor(f.h), sum(f.amount)::bigint, count(*) FILTER (WHERE f.late), %[1]s,
		coalesce(sum(f.amount) FILTER (WHERE f.frozen), 0)::bigint, count(*) FILTER (WHERE f.frozen)
	FROM (SELECT currency, customer_id, ` + reconBucket("effective_at") + ` AS bucket, amount_minor AS amount, recorded_at > $4 AS late,
			recorded_at <= $4 AND NOT historic AND amount_minor <> 0 AS frozen, ` + reconHash("invoice_id", "amount_minor") + ` AS h
		FROM reward_events WHERE connection_id = $1 AND kind = 'revenue_confirmation' AND effective_at >= $2 AND effective_at < $3) f
	%[2]s
	GROUP BY 1, 2`

// reconMapped joins the spans of customers who are somebody's for the whole period.
const reconMapped = `LEFT JOIN mapping_spans s ON s.connection_id = $1 AND s.subject_id = f.customer_id AND s.state = 'linked' AND s.valid_from <= $2 AND s.valid_to >= $3`

const reconTheirs = `SELECT currency, bucket, n, x, sum_minor, odd FROM recon_digests WHERE run_id = $1`

// reconJoin joins the rows of the buckets in $7: those that lie in them, and on either
// side whatever else there is of the same invoices.
var reconJoin = fmt.Sprintf(`
	WITH buckets AS (SELECT to_timestamp(b * %[1]d) AS starts, to_timestamp((b + 1) * %[1]d) AS ends FROM unnest($7::bigint[]) b),
	ids AS MATERIALIZED (
		SELECT r.invoice_id AS id, r.customer_id FROM buckets JOIN reward_events r ON r.effective_at >= starts AND r.effective_at < ends
		WHERE r.connection_id = $1 AND r.kind = 'revenue_confirmation' AND r.effective_at >= $5 AND r.effective_at < $6
		UNION SELECT o.id, o.customer_id FROM buckets JOIN recon_objects o ON o.at >= starts AND o.at < ends WHERE o.run_id = $2 AND o.kind = 'invoice'),
	ours AS (
		SELECT r.invoice_id AS id, count(*) AS facts, sum(r.amount_minor)::bigint AS amount, coalesce(sum(r.amount_minor) FILTER (WHERE r.effective_at >= $3 AND r.effective_at < $4), 0)::bigint AS counted,
			min(r.currency) AS currency, max(r.customer_id) AS customer_id, max(r.charge_id) AS charge_id, min(r.effective_at) AS at
		FROM ids i JOIN LATERAL (SELECT * FROM reward_events e WHERE e.connection_id = $1 AND e.customer_id = i.customer_id AND e.invoice_id = i.id AND e.kind = 'revenue_confirmation'
			AND e.effective_at >= $5 AND e.effective_at < $6 OFFSET 0) r ON true
		GROUP BY 1),
	theirs AS (SELECT o.* FROM (SELECT DISTINCT id FROM ids) i JOIN recon_objects o ON o.id = i.id WHERE o.run_id = $2 AND o.kind = 'invoice')
	SELECT coalesce(o.id, t.id), o.facts, o.amount, o.counted, o.currency, o.customer_id, o.charge_id, o.at, NULL::timestamptz,
		t.status, t.net_minor, t.cash_minor, t.out_of_band_minor, t.tax_minor, t.balanced, t.currency, t.customer_id, t.charge_id, t.at, t.undone_at, t.taken_back, t.own, t.livemode
	FROM ours o FULL JOIN theirs t ON t.id = o.id
	WHERE o.id IS NULL OR t.id IS NULL OR o.facts <> 1 OR o.amount <> t.net_minor OR o.currency <> t.currency OR t.own OR NOT t.balanced OR t.livemode <> $8 OR t.out_of_band_minor <> 0
		OR (o.at >= $3 AND o.at < $4) <> (t.at >= $3 AND t.at < $4)
	ORDER BY 1`, reconBucketSeconds)

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

// reconPlanner: compiling plans this short takes longer than running them, and sorting
// rows for a few thousand groups, whose number no statistics tell, is dearer than hashing.
var reconPlanner = []string{`SET LOCAL jit = off`, `SET LOCAL work_mem = '64MB'`, `SET LOCAL enable_sort = off`}

// Compare finds the pairs that differ and sums both sides.
func (r *Recon) Compare(ctx context.Context, sc reconcile.Scope, runID int64) (reconcile.Compared, error) {
	var out reconcile.Compared
	err := r.db.nativeTx(ctx, func(tx pgx.Tx) error {
		for _, set := range reconPlanner {
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
type digest struct{ n, x, sum int64 }

type bucketKey struct {
	currency string
	bucket   int64
}

// counts reports whether what a bucket holds counts in the period.
func (c *comparing) counts(bucket int64) bool {
	at := bucket * reconBucketSeconds
	return at >= c.sc.Interval.Start.Unix() && at < c.sc.Interval.End.Unix()
}

func (c *comparing) payments(ctx context.Context) error {
	in := c.sc.Interval
	if in.Start.Unix()%reconBucketSeconds != 0 || in.End.Unix()%reconBucketSeconds != 0 {
		return fault.New(fault.Internal, "period_unaligned", "the period from %s to %s does not begin and end at quarters of an hour", in.Start, in.End)
	}
	from, to := in.Start.Add(-reconcile.Margin), in.End.Add(reconcile.Margin)
	ours, err := c.ours(ctx, from, to)
	if err != nil {
		return err
	}
	theirs, differ, err := c.theirs(ctx)
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
	if _, err := c.tx.Exec(ctx, `SET LOCAL enable_nestloop = on`); err != nil {
		return err
	}
	rows, err := c.tx.Query(ctx, reconJoin, c.sc.Account.SourceConnection, c.runID, in.Start, in.End, from, to, slices.Collect(maps.Keys(differ)), c.sc.Window().Live)
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

// frozen is the time up to which the period was frozen, infinity while it is not; and
// whether every payment had a user then, which nothing that is said later changes.
func (c *comparing) frozen(ctx context.Context) (watermark any, mapped bool, err error) {
	var at *time.Time
	err = c.tx.QueryRow(ctx, `SELECT max(c.watermark), NOT EXISTS (SELECT 1 FROM cycle_buckets b JOIN cycles c ON c.id = b.cycle_id
			WHERE c.account_id = $1 AND c.period = $2 AND b.bucket = 'unmapped' AND b.events > 0)
		FROM cycles c WHERE c.account_id = $1 AND c.period = $2`, c.sc.Account.ID, c.sc.Period.String()).Scan(&at, &mapped)
	if at == nil {
		return "infinity", false, err
	}
	return *at, mapped, err
}

// ours digests the facts, and sums what of them counts.
func (c *comparing) ours(ctx context.Context, from, to time.Time) (map[bucketKey]digest, error) {
	watermark, mapped, err := c.frozen(ctx)
	if err != nil {
		return nil, err
	}
	count, join := "0::bigint", ""
	if !mapped {
		count, join = "count(*) - count(s.subject_id)", reconMapped
	}
	// Without statistics, as after a month has just been written, a nested loop looks cheap.
	if _, err := c.tx.Exec(ctx, `SET LOCAL enable_nestloop = off`); err != nil {
		return nil, err
	}
	rows, err := c.tx.Query(ctx, fmt.Sprintf(reconOurs, count, join), c.sc.Account.SourceConnection, from, to, watermark)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out, sums, kept := map[bucketKey]digest{}, map[string]digest{}, map[string]digest{}
	for rows.Next() {
		var k bucketKey
		var d digest
		var frozen digest
		var late, doubtful int64
		if err := rows.Scan(&k.currency, &k.bucket, &d.n, &d.x, &d.sum, &late, &doubtful, &frozen.sum, &frozen.n); err != nil {
			return nil, err
		}
		out[k] = d
		if !c.counts(k.bucket) {
			continue
		}
		if c.out.Late += late; doubtful > 0 {
			c.out.Doubtful = append(c.out.Doubtful, time.Unix(k.bucket*reconBucketSeconds, 0).UTC())
		}
		s := sums[k.currency]
		s.sum, s.n = s.sum+d.sum, s.n+d.n
		sums[k.currency] = s
		f := kept[k.currency]
		f.sum, f.n = f.sum+frozen.sum, f.n+frozen.n
		kept[k.currency] = f
	}
	for currency, f := range kept {
		c.out.Frozen = append(c.out.Frozen, recon.Money{ID: currency, Currency: currency, AmountMinor: f.sum, Facts: f.n})
	}
	for currency, s := range sums {
		c.out.Sums = append(c.out.Sums, recon.Sum{Line: recon.Revenue, Currency: currency, LeftMinor: s.sum, LeftObjects: s.n})
		c.out.Facts = append(c.out.Facts, recon.Money{ID: currency, Currency: currency, AmountMinor: s.sum, Facts: s.n})
	}
	return out, rows.Err()
}

// theirs loads the digests of what was staged, sums what of it counts, and names the
// buckets that have to be looked into whatever their digests say.
func (c *comparing) theirs(ctx context.Context) (map[bucketKey]digest, map[int64]bool, error) {
	rows, err := c.tx.Query(ctx, reconTheirs, c.runID)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	out, odd := map[bucketKey]digest{}, map[int64]bool{}
	for rows.Next() {
		var k bucketKey
		var d digest
		var marked bool
		if err := rows.Scan(&k.currency, &k.bucket, &d.n, &d.x, &d.sum, &marked); err != nil {
			return nil, nil, err
		}
		if marked {
			odd[k.bucket] = true
		}
		if d.n == 0 {
			continue
		}
		out[k] = d
		if c.counts(k.bucket) {
			c.out.Sums = append(c.out.Sums, recon.Sum{Line: recon.Revenue, Currency: k.currency, RightMinor: d.sum, RightObjects: d.n})
		}
	}
	return out, odd, rows.Err()
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
