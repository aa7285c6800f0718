package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// Customer loads one customer with the newest rows of each list.
func (r *CustomerReader) Customer(ctx context.Context, accountID, customerID string, asOf time.Time, newest int) (customers.Detail, error) {
	connectionID, err := r.source(ctx, accountID)
	if err != nil {
		return customers.Detail{}, err
	}
	args := moments(connectionID, asOf)
	args["id"] = customerID
	var row customerListRow
	err = r.db.gorm.WithContext(ctx).Raw("SELECT "+customerColumns+" FROM stripe_customers c"+customerJoins+" WHERE c.connection_id = @connection AND c.id = @id", args).Scan(&row).Error
	if err != nil {
		return customers.Detail{}, wrap(err)
	}
	if row.ID == "" {
		if row, err = r.named(ctx, args); err != nil {
			return customers.Detail{}, err
		}
	}
	out := customers.Detail{}
	if out.Summary, err = row.view(); err != nil {
		return out, err
	}
	if row.CashBalance != "" {
		if err := json.Unmarshal([]byte(row.CashBalance), &out.CashBalance); err != nil {
			return out, fault.Wrap(err, fault.Internal, "cash_balance_unreadable", "the cash balance of customer %s cannot be read", customerID)
		}
	}
	if out.Revenue, err = r.revenue(ctx, connectionID, customerID, asOf); err != nil {
		return out, err
	}
	if out.Subscriptions, err = r.subscriptions(ctx, connectionID, customerID, asOf); err != nil {
		return out, err
	}
	first := customers.ListFilter{Limit: newest}
	invoices, err := r.invoices(ctx, connectionID, customerID, first)
	if err != nil {
		return out, err
	}
	charges, err := r.charges(ctx, connectionID, customerID, first)
	if err != nil {
		return out, err
	}
	disputes, err := r.disputes(ctx, connectionID, customerID, first)
	out.Invoices, out.Charges, out.Disputes = invoices.Items, charges.Items, disputes.Items
	return out, err
}

// namedElsewhere: no object of the customer @id was ever joined, and yet a fact names it, a charge
// that was read, or a person who said whose it is.
const namedElsewhere = `(EXISTS (SELECT 1 FROM reward_events WHERE connection_id = @connection AND customer_id = @id)
	OR EXISTS (SELECT 1 FROM charge_owners WHERE connection_id = @connection AND customer_id = @id)
	OR EXISTS (SELECT 1 FROM mapping_spans WHERE connection_id = @connection AND subject_id = @id))`

// named is what is known of a customer without a projection: that it is there, and whose.
func (r *CustomerReader) named(ctx context.Context, args map[string]any) (customerListRow, error) {
	var row customerListRow
	err := r.db.gorm.WithContext(ctx).Raw("SELECT c.id, coalesce(l.user_id, '') AS user_id, '[]' AS worth FROM (SELECT CAST(@connection AS text) AS connection_id, CAST(@id AS text) AS id) c"+
		userOf+" WHERE "+namedElsewhere, args).Scan(&row).Error
	if err == nil && row.ID == "" {
		err = unknownCustomer(args["id"].(string))
	}
	return row, wrap(err)
}

func unknownCustomer(id string) error {
	return fault.New(fault.NotFound, "customer_not_found", "there is no customer %q", id).Fix("See the list of customers for their IDs; they begin with cus_")
}

// revenue sums the money facts of a customer up to a moment; refunds and disputes find
// their customer by the charge.
func (r *CustomerReader) revenue(ctx context.Context, connectionID, customerID string, asOf time.Time) ([]customers.Revenue, error) {
	var out []customers.Revenue
	err := r.db.gorm.WithContext(ctx).Raw(`
		SELECT e.currency, coalesce(sum(e.amount_minor) FILTER (WHERE e.kind = @confirmed), 0) AS confirmed_minor,
			coalesce(sum(e.amount_minor) FILTER (WHERE e.kind <> @confirmed), 0) AS returned_minor, count(*) AS facts
		FROM reward_events e
		LEFT JOIN charge_owners o ON o.connection_id = e.connection_id AND o.charge_id = e.charge_id
		WHERE e.connection_id = @connection AND e.kind IN @kinds AND e.amount_minor <> 0 AND e.effective_at <= @as_of AND NOT coalesce(o.own_invoice, false)
			AND (e.customer_id = @id OR (e.customer_id = '' AND o.customer_id = @id))
		GROUP BY e.currency ORDER BY e.currency`, map[string]any{
		"connection": connectionID, "id": customerID, "as_of": asOf, "kinds": moneyKinds(), "confirmed": reward.RevenueConfirmation.String(),
	}).Scan(&out).Error
	return out, wrap(err)
}

// stored reads rows of a projection table as objects.
func stored[V projection.View](ctx context.Context, r *CustomerReader, t *projectionTable[V], where string, args ...any) ([]*projected[V], error) {
	var out []*projected[V]
	err := query(ctx, r.db.sql, "SELECT "+strings.Join(t.reads(), ", ")+" FROM "+t.name+" t WHERE "+where, args, func(scan func(...any) error) error {
		row := &projected[V]{}
		out = append(out, row)
		return scan(t.fields(row)...)
	})
	return out, wrap(err)
}

// object is a row with its lists read.
func objects[V projection.View](t *projectionTable[V], rows []*projected[V]) ([]*projection.Object[V], error) {
	out := make([]*projection.Object[V], len(rows))
	for i, row := range rows {
		o, err := t.objectOf(row)
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "projection_unreadable", "%s %s cannot be read", t.object, row.id)
		}
		out[i] = o
	}
	return out, nil
}

func (r *CustomerReader) subscriptions(ctx context.Context, connectionID, customerID string, asOf time.Time) ([]customers.Subscription, error) {
	rows, err := stored(ctx, r, subscriptionsTable, "t.connection_id = $1 AND t.customer_id = $2 ORDER BY coalesce(t.created_at, 'epoch') DESC, t.id DESC", connectionID, customerID)
	if err != nil {
		return nil, err
	}
	all, err := objects(subscriptionsTable, rows)
	if err != nil {
		return nil, err
	}
	names, err := r.productNames(ctx, connectionID, all)
	if err != nil {
		return nil, err
	}
	conversions, err := r.conversions(ctx, connectionID, customerID, asOf)
	if err != nil {
		return nil, err
	}
	out := make([]customers.Subscription, len(all))
	for i, o := range all {
		now, _ := o.Now()
		s := customers.Subscription{
			ID: o.ID, Subscription: now, TrialEndAction: o.Value(projection.KeyTrialEndAction), Undecided: o.Undecided,
			Intervals: projection.Intervals(projection.Timeline(o)),
		}
		for k, item := range s.Items {
			s.Items[k].ProductName = cmp.Or(item.ProductName, names[item.Product])
			if name := cmp.Or(s.Items[k].ProductName, item.Name); name != "" {
				s.ProductNames = append(s.ProductNames, name)
			}
		}
		if at, ok := projection.StatusAt(s.Intervals, asOf.Unix()); ok {
			s.StatusAt = at.Status
		}
		if c, ok := conversions[o.ID]; ok {
			s.Conversion = &c
		}
		out[i] = s
	}
	return out, nil
}

// productNames are the names of the products that the subscriptions name only by ID.
func (r *CustomerReader) productNames(ctx context.Context, connectionID string, all []*projection.Object[projection.Subscription]) (map[string]string, error) {
	var ids []string
	for _, o := range all {
		now, _ := o.Now()
		ids = append(ids, now.ProductIDs...)
	}
	slices.Sort(ids)
	out := map[string]string{}
	err := query(ctx, r.db.sql, "SELECT id, name FROM stripe_products WHERE connection_id = $1 AND id = ANY ($2)", []any{connectionID, slices.Compact(ids)}, func(scan func(...any) error) error {
		var id, name string
		err := scan(&id, &name)
		out[id] = name
		return err
	})
	return out, wrap(err)
}

// known answers NotFound for a customer that is not there: a typo must not look like a
// customer without invoices.
func (r *CustomerReader) known(ctx context.Context, accountID, customerID string) (string, error) {
	connectionID, err := r.source(ctx, accountID)
	if err != nil {
		return "", err
	}
	var found bool
	err = r.db.gorm.WithContext(ctx).Raw("SELECT EXISTS (SELECT 1 FROM stripe_customers WHERE connection_id = @connection AND id = @id) OR "+namedElsewhere,
		map[string]any{"connection": connectionID, "id": customerID}).Scan(&found).Error
	if err == nil && !found {
		return "", unknownCustomer(customerID)
	}
	return connectionID, wrap(err)
}

// Invoices pages by (created_at, id), newest first.
func (r *CustomerReader) Invoices(ctx context.Context, accountID, customerID string, f customers.ListFilter) (customers.Page[customers.Invoice], error) {
	connectionID, err := r.known(ctx, accountID, customerID)
	if err != nil {
		return customers.Page[customers.Invoice]{}, err
	}
	return r.invoices(ctx, connectionID, customerID, f)
}

func (r *CustomerReader) invoices(ctx context.Context, connectionID, customerID string, f customers.ListFilter) (customers.Page[customers.Invoice], error) {
	return listOf(ctx, r, invoicesTable, "t.customer_id = $2", connectionID, customerID, f, func(o *projection.Object[projection.Invoice]) (customers.Invoice, int64) {
		now, _ := o.Now()
		out := customers.Invoice{ID: o.ID, Invoice: now, ChargeID: o.Value(projection.KeyCharge)}
		if o.DeletedAt != 0 {
			at := time.Unix(o.DeletedAt, 0).UTC()
			out.DeletedAt = &at
		}
		return out, now.CreatedAt
	})
}

// Charges pages by (created_at, id), newest first.
func (r *CustomerReader) Charges(ctx context.Context, accountID, customerID string, f customers.ListFilter) (customers.Page[customers.Charge], error) {
	connectionID, err := r.known(ctx, accountID, customerID)
	if err != nil {
		return customers.Page[customers.Charge]{}, err
	}
	return r.charges(ctx, connectionID, customerID, f)
}

func (r *CustomerReader) charges(ctx context.Context, connectionID, customerID string, f customers.ListFilter) (customers.Page[customers.Charge], error) {
	page, err := listOf(ctx, r, chargesTable, "t.customer_id = $2", connectionID, customerID, f, func(o *projection.Object[projection.Charge]) (customers.Charge, int64) {
		now, _ := o.Now()
		return customers.Charge{ID: o.ID, Charge: now, InvoiceID: o.Value(projection.KeyInvoice)}, now.CreatedAt
	})
	if err != nil {
		return page, err
	}
	return page, r.invoicesOf(ctx, connectionID, page.Items)
}

// invoicesOf finds the invoices of charges that do not name theirs: since basil only the
// invoice knows its charge.
func (r *CustomerReader) invoicesOf(ctx context.Context, connectionID string, charges []customers.Charge) error {
	at := map[string]int{}
	var ids []string
	customerID := ""
	for i, c := range charges {
		if c.InvoiceID == "" {
			at[c.ID], ids, customerID = i, append(ids, c.ID), c.Customer
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return wrap(query(ctx, r.db.sql, "SELECT charge_id, id FROM stripe_invoices WHERE connection_id = $1 AND customer_id = $2 AND charge_id = ANY ($3) ORDER BY id",
		[]any{connectionID, customerID, ids}, func(scan func(...any) error) error {
			var charge, invoice string
			err := scan(&charge, &invoice)
			charges[at[charge]].InvoiceID = invoice
			return err
		}))
}

// Disputes pages by (created_at, id), newest first.
func (r *CustomerReader) Disputes(ctx context.Context, accountID, customerID string, f customers.ListFilter) (customers.Page[customers.Dispute], error) {
	connectionID, err := r.known(ctx, accountID, customerID)
	if err != nil {
		return customers.Page[customers.Dispute]{}, err
	}
	return r.disputes(ctx, connectionID, customerID, f)
}

func (r *CustomerReader) disputes(ctx context.Context, connectionID, customerID string, f customers.ListFilter) (customers.Page[customers.Dispute], error) {
	const mine = `t.charge_id IN (SELECT id FROM stripe_charges c WHERE c.connection_id = $1 AND c.customer_id = $2
		UNION SELECT charge_id FROM charge_owners o WHERE o.connection_id = $1 AND o.customer_id = $2)`
	return listOf(ctx, r, disputesTable, mine, connectionID, customerID, f, func(o *projection.Object[projection.Dispute]) (customers.Dispute, int64) {
		now, _ := o.Now()
		return customers.Dispute{ID: o.ID, Dispute: now}, now.CreatedAt
	})
}

// listOf reads one page of a table; view also gives the row's time of creation.
func listOf[V projection.View, T any](ctx context.Context, r *CustomerReader, t *projectionTable[V], mine, connectionID, customerID string, f customers.ListFilter, view func(*projection.Object[V]) (T, int64)) (customers.Page[T], error) {
	var page customers.Page[T]
	where, args := "t.connection_id = $1 AND "+mine, []any{connectionID, customerID, f.Limit + 1}
	if f.Cursor != "" {
		at, id, err := timeCursor(f.Cursor)
		if err != nil {
			return page, err
		}
		where += " AND (coalesce(t.created_at, 'epoch'), t.id) < ($4, $5)"
		args = append(args, at, id)
	}
	rows, err := stored(ctx, r, t, where+" ORDER BY coalesce(t.created_at, 'epoch') DESC, t.id DESC LIMIT $3", args...)
	if err != nil {
		return page, err
	}
	all, err := objects(t, rows)
	if err != nil {
		return page, err
	}
	for i, o := range all {
		item, created := view(o)
		if i == f.Limit {
			break
		}
		page.Items = append(page.Items, item)
		if i == f.Limit-1 && len(all) > f.Limit {
			at := time.Unix(created, 0)
			page.NextCursor = keyOf(&at, o.ID)
		}
	}
	return page, nil
}
