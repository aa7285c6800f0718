package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
)

// CustomerReader implements customers.Reader.
type CustomerReader struct {
	db *DB
	// looked bounds what a filtered page looks at.
	looked int
}

// customersLooked are the customers whose subscriptions a filtered page looks up.
const customersLooked = 1500

// NewCustomerReader opens the read side of customers.
func (db *DB) NewCustomerReader() *CustomerReader { return &CustomerReader{db, customersLooked} }

var _ customers.Reader = (*CustomerReader)(nil)

// source is the connection whose customers are the account's.
func (r *CustomerReader) source(ctx context.Context, accountID string) (string, error) {
	a, err := accounts{r.db.gorm}.Account(ctx, accountID)
	return a.SourceConnection, err
}

// The conditions of the segments on a customer c; @at is the moment in Unix seconds and
// @as_of the same as a time. docs/customers.md says them in words.
const (
	statusOf       = `CASE WHEN s.since <= @at THEN s.stands ELSE stripe_status_at(s.timeline, @at) END`
	subscriptionOf = `SELECT 1 FROM stripe_subscriptions s WHERE s.connection_id = c.connection_id AND s.customer_id = c.id AND `
	downgradesOf   = `SELECT 1 FROM reward_events e WHERE e.connection_id = c.connection_id AND e.customer_id = c.id AND `
	liveOf         = subscriptionOf + statusOf + ` IN ('trialing', 'active', 'past_due')`
)

func segmentCondition(s customers.Segment) string {
	switch s {
	case customers.TrialExpiring:
		return `EXISTS (` + subscriptionOf + `s.trial_end >= @as_of AND s.trial_end < @trial_until AND ` + statusOf + ` = 'trialing')`
	case customers.FailedPayment:
		return `(EXISTS (` + subscriptionOf + statusOf + ` IN ('past_due', 'unpaid'))
			OR EXISTS (SELECT 1 FROM stripe_invoices i WHERE i.connection_id = c.connection_id AND i.customer_id = c.id AND NOT i.own AND i.deleted_at IS NULL
				AND i.finalized_at <= @as_of AND coalesce(i.paid_at, i.voided_at, i.uncollectible_at, 'infinity') > @as_of
				AND i.attempts > CASE WHEN i.paid_at IS NULL THEN 0 ELSE 1 END))`
	case customers.Churned:
		return `(NOT EXISTS (` + subscriptionOf + statusOf + ` IN ('trialing', 'active', 'past_due', 'paused', 'incomplete'))
			AND EXISTS (` + subscriptionOf + statusOf + ` IN ('canceled', 'unpaid') AND stripe_paying_until(s.timeline, @at)))`
	case customers.Downgraded:
		return `EXISTS (` + downgradesOf + `e.kind = 'downgrade' AND e.effective_at > @downgraded_since AND e.effective_at <= @as_of)`
	default:
		return "true"
	}
}

// moments are the named arguments of the conditions.
func moments(connectionID string, asOf time.Time) map[string]any {
	return map[string]any{
		"connection": connectionID, "as_of": asOf, "at": asOf.Unix(),
		"trial_until": asOf.Add(customers.TrialWindow), "downgraded_since": asOf.Add(-customers.DowngradeWindow),
	}
}

const (
	customerColumns = `c.id, coalesce(l.user_id, '') AS user_id, c.said_rank > 0 AS seen, c.created_at, c.deleted_at, c.currency, c.country, c.balance_minor,
		c.delinquent, c.has_payment_method, c.payment_method, coalesce(s.status, '') AS status, coalesce(array_to_string(s.prices, chr(31)), '') AS prices,
		s.trial_end, coalesce(s.n, 0) AS subscriptions, coalesce(w.worth::text, '[]') AS worth, coalesce(c.cash_balance::text, '') AS cash_balance`
	// userOf is whose the customer was at the moment, by the spans that its revenue is
	// attributed with too. There is one at most; that the statement says so has each customer
	// looked up by its key. The planner takes two open ends for few rows, and would compare
	// every span of the connection with every customer of the page.
	userOf = ` LEFT JOIN LATERAL (SELECT m.user_id FROM mapping_spans m
		WHERE m.connection_id = c.connection_id AND m.subject_id = c.id AND m.valid_from <= @as_of AND @as_of < m.valid_to LIMIT 1) l ON true`
	customerJoins = userOf + `
		LEFT JOIN LATERAL (
			SELECT count(*) AS n, (array_agg(u.status ORDER BY array_position(ARRAY['active', 'trialing', 'past_due', 'unpaid', 'paused', 'incomplete', 'canceled', 'incomplete_expired'], u.status)))[1] AS status,
				min(u.trial_end) FILTER (WHERE u.status = 'trialing' AND u.trial_end >= @as_of) AS trial_end,
				(SELECT array_agg(DISTINCT p ORDER BY p) FROM stripe_subscriptions s, unnest(s.price_ids) AS p
					WHERE s.connection_id = c.connection_id AND s.customer_id = c.id AND ` + statusOf + ` IN ('trialing', 'active', 'past_due')) AS prices
			FROM (SELECT s.trial_end, ` + statusOf + ` AS status FROM stripe_subscriptions s WHERE s.connection_id = c.connection_id AND s.customer_id = c.id) u) s ON true
		LEFT JOIN LATERAL (
			SELECT json_agg(json_build_object('currency', m.currency, 'mrr', m.mrr::text, 'net', m.net::text, 'unknown', m.unknown, 'undiscounted', m.undiscounted) ORDER BY m.currency) AS worth
			FROM (SELECT b.currency, coalesce(sum(b.mrr_minor), 0) AS mrr, coalesce(sum(b.net_mrr_minor), 0) AS net,
					count(*) FILTER (WHERE b.mrr_minor IS NULL) AS unknown, count(*) FILTER (WHERE b.mrr_minor IS NOT NULL AND b.net_mrr_minor IS NULL) AS undiscounted
				FROM stripe_subscriptions b WHERE b.connection_id = c.connection_id AND b.customer_id = c.id AND b.status IN ('active', 'past_due') GROUP BY b.currency) m) w ON true`
)

// customerListRow is a row of the list as it comes.
type customerListRow struct {
	ID, UserID, Currency, Country, PaymentMethod, Status string
	Seen, Delinquent, HasPaymentMethod                   bool
	CreatedAt, DeletedAt, TrialEnd                       *time.Time
	BalanceMinor                                         *int64
	Subscriptions                                        int
	Prices, Worth, CashBalance                           string
}

func (r customerListRow) view() (customers.Summary, error) {
	out := customers.Summary{
		ID: r.ID, UserID: r.UserID, Seen: r.Seen, CreatedAt: utc(r.CreatedAt), DeletedAt: utc(r.DeletedAt), Currency: r.Currency, Country: r.Country,
		BalanceMinor: r.BalanceMinor, Delinquent: r.Delinquent, HasPaymentMethod: r.HasPaymentMethod, PaymentMethod: r.PaymentMethod,
		Status: r.Status, PriceIDs: split(r.Prices), TrialEnd: utc(r.TrialEnd), Subscriptions: r.Subscriptions,
	}
	var worth []struct {
		Currency              string
		MRR, Net              decimal.Decimal
		Unknown, Undiscounted int
	}
	if err := json.Unmarshal([]byte(r.Worth), &worth); err != nil {
		return out, fault.Wrap(err, fault.Internal, "worth_unreadable", "the worth of customer %s cannot be read", r.ID)
	}
	for _, w := range worth {
		out.Worth = append(out.Worth, customers.Worth{Currency: w.Currency, MRR: w.MRR, NetMRR: w.Net, Unknown: w.Unknown, Undiscounted: w.Undiscounted})
	}
	return out, nil
}

// oneByOne has the subscriptions and facts of each customer looked up where it stands in the
// order of the list. Joining all of them first costs an account with many customers more
// than a page.
func oneByOne(conditions string) string {
	return strings.NewReplacer(
		subscriptionOf, `SELECT 1 FROM (SELECT q.* FROM stripe_subscriptions q WHERE q.connection_id = c.connection_id AND q.customer_id = c.id OFFSET 0) s WHERE `,
		downgradesOf, `SELECT 1 FROM (SELECT q.kind, q.effective_at FROM reward_events q WHERE q.connection_id = c.connection_id AND q.customer_id = c.id
			AND q.effective_at > @downgraded_since AND q.effective_at <= @as_of OFFSET 0) e WHERE `,
	).Replace(conditions)
}

// customerFound looks a customer up by its ID, by its user at the moment, or by one of its
// subscriptions, each by an index. The array is made before the customers are looked at.
const customerFound = `c.id = ANY (ARRAY(SELECT CAST(@q AS text)
	UNION SELECT m.subject_id FROM mapping_spans m WHERE m.connection_id = @connection AND m.user_id = @q AND m.user_id <> '' AND m.valid_from <= @as_of AND @as_of < m.valid_to
	UNION SELECT b.customer_id FROM stripe_subscriptions b WHERE b.connection_id = @connection AND b.id = @q))`

// Customers pages by (created_at, id), newest first. One that was never shown itself has
// no such time and comes last. A filtered page looks at so many customers at most: it may be
// short, or empty, and still have a next one.
func (r *CustomerReader) Customers(ctx context.Context, accountID string, f customers.Filter) (customers.Page[customers.Summary], error) {
	connectionID, err := r.source(ctx, accountID)
	if err != nil {
		return customers.Page[customers.Summary]{}, err
	}
	p, err := inSteps(f.Limit, r.looked, f.Cursor, func(cursor string, limit, looked int) (reconcile.Page[customers.Summary], error) {
		step := f
		step.Cursor, step.Limit = cursor, limit
		return r.customers(ctx, connectionID, step, looked)
	})
	return customers.Page[customers.Summary]{Items: p.Items, NextCursor: p.NextCursor}, err
}

func (r *CustomerReader) customers(ctx context.Context, connectionID string, f customers.Filter, looked int) (reconcile.Page[customers.Summary], error) {
	var page reconcile.Page[customers.Summary]
	direction, beyond, within := " DESC", "<", ">="
	if f.Sort == customers.SortOldest {
		direction, beyond, within = "", ">", "<="
	}
	order := " ORDER BY coalesce(c.created_at, 'epoch')" + direction + ", c.id" + direction
	q := customerQuery{[]string{"c.connection_id = @connection"}, moments(connectionID, f.AsOf)}
	if f.Cursor != "" {
		at, id, err := timeCursor(f.Cursor)
		if err != nil {
			return page, err
		}
		q.add(true, "(coalesce(c.created_at, 'epoch'), c.id) "+beyond+" (@after, @after_id)", "after", at)
		q.args["after_id"] = id
	}
	next := ""
	if f.Search == "" && (f.Segment != "" || f.Plan != "" || f.Status != "" || f.Currency != "" || f.Country != "" || f.Mapped != "") {
		var reach []customerListRow // found first, so that customers who come meanwhile lie inside
		q.args["looked"] = looked - 1
		if err := r.db.gorm.WithContext(ctx).Raw("SELECT c.id, c.created_at FROM stripe_customers c WHERE "+q.sql()+order+" LIMIT 2 OFFSET @looked", q.args).Scan(&reach).Error; err != nil {
			return page, wrap(err)
		}
		if len(reach) == 2 {
			next = keyOf(reach[0].CreatedAt, reach[0].ID)
			q.add(true, "(coalesce(c.created_at, 'epoch'), c.id) "+within+" (coalesce(@reach, 'epoch'::timestamptz), @reach_id)", "reach", reach[0].CreatedAt)
			q.args["reach_id"] = reach[0].ID
		}
	}
	q.filter(f)
	q.args["limit"] = f.Limit + 1
	var rows []customerListRow
	err := r.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if f.Segment == customers.Downgraded { // a plan for any days takes a customer's facts for as many as the connection's
			if err := tx.Exec("SET LOCAL plan_cache_mode = force_custom_plan").Error; err != nil {
				return err
			}
		}
		return tx.Raw("SELECT "+customerColumns+" FROM stripe_customers c"+customerJoins+" WHERE "+oneByOne(q.sql())+order+" LIMIT @limit", q.args).Scan(&rows).Error
	})
	if err != nil {
		return page, wrap(err)
	}
	page, err = pageOf(rows, f.Limit, customerListRow.view, func(last customerListRow) string { return keyOf(last.CreatedAt, last.ID) })
	if page.NextCursor == "" {
		page.NextCursor = next
	}
	return page, err
}

// customerQuery collects conditions on a customer c with their named arguments.
type customerQuery struct {
	conds []string
	args  map[string]any
}

func (q *customerQuery) sql() string { return strings.Join(q.conds, " AND ") }

func (q *customerQuery) add(when bool, cond, name string, value any) {
	if when {
		q.conds = append(q.conds, cond)
		q.args[name] = value
	}
}

func (q *customerQuery) filter(f customers.Filter) {
	q.add(f.Segment != "", segmentCondition(f.Segment), "segment", f.Segment)
	q.add(f.Plan != "", "EXISTS ("+liveOf+" AND @plan = ANY (s.price_ids || s.product_ids))", "plan", f.Plan)
	q.add(f.Status != "", "EXISTS ("+subscriptionOf+statusOf+" = @status)", "status", f.Status)
	q.add(f.Currency != "", "c.currency = @currency", "currency", f.Currency)
	q.add(f.Country != "", "c.country = @country", "country", f.Country)
	// Said so that the planner expects many: it reads in the list's order and stops.
	q.add(f.Mapped == "yes", "l.user_id <> ''", "mapped", true)
	q.add(f.Mapped == "no", "(l.user_id <> '') IS NOT TRUE", "mapped", false)
	q.add(f.Search != "", customerFound, "q", f.Search)
}

// keyOf is the cursor of a row that is sorted by a time that may be missing, and its ID.
func keyOf(at *time.Time, id string) string {
	if at == nil {
		at = &time.Time{}
		*at = time.Unix(0, 0)
	}
	return cursor(at.UTC().Format(time.RFC3339Nano), id)
}

func timeCursor(c string) (time.Time, string, error) {
	text, id, err := parseCursor(c)
	if err != nil {
		return time.Time{}, "", err
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, "", badCursor(c)
	}
	return at, id, nil
}

// Counts counts in one pass over the customers.
func (r *CustomerReader) Counts(ctx context.Context, accountID string, asOf time.Time) (customers.Counts, error) {
	connectionID, err := r.source(ctx, accountID)
	if err != nil {
		return customers.Counts{}, err
	}
	args := moments(connectionID, asOf)
	counts := []string{"count(*)"}
	for _, rule := range customers.Rules() {
		counts = append(counts, fmt.Sprintf("count(*) FILTER (WHERE %s)", segmentCondition(rule.Segment)))
	}
	found := make([]int, len(counts))
	into := make([]any, len(counts))
	for i := range found {
		into[i] = &found[i]
	}
	err = r.db.gorm.WithContext(ctx).Raw("SELECT "+strings.Join(counts, ", ")+" FROM stripe_customers c WHERE c.connection_id = @connection", args).Row().Scan(into...)
	if err != nil {
		return customers.Counts{}, wrap(err)
	}
	out := customers.Counts{Customers: found[0]}
	for i, rule := range customers.Rules() {
		out.Segments = append(out.Segments, customers.SegmentCount{Rule: rule, Customers: found[i+1]})
	}
	err = r.db.gorm.WithContext(ctx).Raw(`
		SELECT i.item ->> 'price' AS price_id, coalesce(i.item ->> 'product', '') AS product_id,
			coalesce(max(i.item ->> 'product_name'), max(nullif(p.name, '')), max(i.item ->> 'name'), '') AS product_name, count(DISTINCT s.customer_id) AS customers
		FROM stripe_subscriptions s
		CROSS JOIN LATERAL json_array_elements(s.items) AS i (item)
		LEFT JOIN stripe_products p ON p.connection_id = s.connection_id AND p.id = i.item ->> 'product'
		WHERE s.connection_id = @connection AND `+statusOf+` IN ('trialing', 'active', 'past_due')
		GROUP BY 1, 2 ORDER BY customers DESC, 1, 2`, args).Scan(&out.Plans).Error
	return out, wrap(err)
}
