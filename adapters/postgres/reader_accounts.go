package postgres

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

const accountColumns = `a.id, a.name, a.environment AS env, a.source_connection, coalesce(a.issuer_connection, '') AS issuer_connection, coalesce(a.payer_customer, '') AS payer_customer`

// incompleteAccount holds of an account that lacks something that a billed month needs: each
// is asked of an index, and the first that is missing decides.
const incompleteAccount = `(coalesce(a.issuer_connection, '') = '' OR coalesce(a.payer_customer, '') = ''
	OR NOT EXISTS (SELECT 1 FROM contracts k WHERE k.account_id = a.id) OR NOT EXISTS (SELECT 1 FROM measurement_plans p WHERE p.account_id = a.id)
	OR NOT EXISTS (SELECT 1 FROM policy_snapshots s WHERE s.account_id = a.id) OR NOT EXISTS (SELECT 1 FROM decision_keys d WHERE d.account_id = a.id)
	OR NOT EXISTS (SELECT 1 FROM stripe_events e WHERE e.connection_id = a.source_connection))`

type overviewRow struct {
	ID, Name, Env, SourceConnection, IssuerConnection, PayerCustomer, ContractID, PlanID, Terms string
	Snapshots                                                                                   int
	HasDecisions, HasEvents                                                                     bool
	PendingEvents, DeadEvents                                                                   int64
	LastEventAt                                                                                 *time.Time
}

func (r overviewRow) view() (reconcile.Overview, error) {
	out := reconcile.Overview{
		ID: r.ID, Name: r.Name, Environment: environmentOf(r.Env), SourceConnection: r.SourceConnection, IssuerConnection: r.IssuerConnection, PayerCustomer: r.PayerCustomer,
		ContractID: r.ContractID, PlanID: r.PlanID, Snapshots: r.Snapshots, HasDecisions: r.HasDecisions, HasEvents: r.HasEvents,
		PendingEvents: r.PendingEvents, DeadEvents: r.DeadEvents, LastEventAt: utc(r.LastEventAt),
	}
	if r.Terms == "" {
		return out, nil
	}
	var t billing.Terms
	if err := json.Unmarshal([]byte(r.Terms), &t); err != nil {
		return out, fault.Wrap(err, fault.Internal, "contract_unreadable", "contract %s cannot be read", r.ContractID)
	}
	out.Basis, out.Settlement = t.Basis, t.Settlement
	return out, nil
}

// Accounts lists the wiring of accounts: what they are called and what they are connected
// to. What else they have, AccountList tells.
func (r *Reader) Accounts(ctx context.Context, scope access.Scope) ([]reconcile.Overview, error) {
	q := where{}
	q.scoped(scope, "a.environment", "a.id")
	var rows []overviewRow
	if err := r.db.gorm.WithContext(ctx).Raw(`SELECT `+accountColumns+` FROM accounts a`+q.sql()+` ORDER BY a.id`, q.args...).Scan(&rows).Error; err != nil {
		return nil, wrap(err)
	}
	out := make([]reconcile.Overview, len(rows))
	for i, row := range rows {
		out[i], _ = row.view() // without terms there is nothing to read
	}
	return out, nil
}

var accountOrders = keyset[overviewRow]{
	id: "a.id", value: func(o overviewRow) string { return o.ID }, first: "id",
	by: map[string]sorting[overviewRow]{"id": {"a.id", byText, func(o overviewRow) string { return o.ID }}},
}

// AccountList pages by ID. What waits is counted once for all connections, by the partial
// indexes of events that wait; whether there is a decision or an event is asked of an index.
func (r *Reader) AccountList(ctx context.Context, f reconcile.AccountsFilter) (reconcile.Page[reconcile.Overview], error) {
	q := where{}
	q.scoped(f.Scope, "a.environment", "a.id")
	q.eq("a.environment", f.Environment)
	q.eq("a.id", f.ID)
	if f.Incomplete {
		q.add(incompleteAccount)
	}
	if f.Search != "" {
		q.add("(a.id ILIKE ? OR a.name ILIKE ? OR a.payer_customer ILIKE ?)", startsWith(f.Search), startsWith(f.Search), startsWith(f.Search))
	}
	sort := "id_asc" // the first letters of the alphabet come first
	if f.Sort == "id_desc" {
		sort = "id"
	}
	order, key, err := accountOrders.page(&q, sort, f.Cursor)
	if err != nil {
		return reconcile.Page[reconcile.Overview]{}, err
	}
	var rows []overviewRow
	err = r.db.gorm.WithContext(ctx).Raw(`
		WITH shown AS MATERIALIZED (SELECT a.* FROM accounts a`+q.sql()+` ORDER BY `+order+` LIMIT ?),
		waiting AS MATERIALIZED (SELECT connection_id, count(*) AS n FROM event_processing WHERE status = 'pending' GROUP BY connection_id),
		dead AS MATERIALIZED (SELECT connection_id, count(*) AS n FROM event_processing WHERE status IN ('dead', 'quarantined') GROUP BY connection_id)
		SELECT `+accountColumns+`, coalesce(k.id, '') AS contract_id, coalesce(k.terms, '') AS terms,
			coalesce((SELECT id FROM measurement_plans p WHERE p.account_id = a.id ORDER BY version DESC LIMIT 1), '') AS plan_id,
			(SELECT count(*) FROM policy_snapshots s WHERE s.account_id = a.id) AS snapshots,
			EXISTS (SELECT 1 FROM decision_keys d WHERE d.account_id = a.id) AS has_decisions,
			newest.created IS NOT NULL AS has_events, newest.created AS last_event_at,
			coalesce(waiting.n, 0) AS pending_events, coalesce(dead.n, 0) AS dead_events
		FROM shown a LEFT JOIN waiting ON waiting.connection_id = a.source_connection LEFT JOIN dead ON dead.connection_id = a.source_connection
		LEFT JOIN LATERAL (SELECT id, terms FROM contracts k WHERE k.account_id = a.id ORDER BY version DESC LIMIT 1) k ON true
		`+newestEvent("a.source_connection", "CAST(? AS timestamptz)")+`
		ORDER BY `+order, append(q.args, f.Limit+1, f.Now)...).Scan(&rows).Error
	if err != nil {
		return reconcile.Page[reconcile.Overview]{}, wrap(err)
	}
	return pageOf(rows, f.Limit, overviewRow.view, key)
}

// startsWith is the pattern of texts that begin so, whatever case they are in.
func startsWith(text string) string {
	return strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%"
}

// AccountCounts reads an index from end to end, which is for one account only.
func (r *Reader) AccountCounts(ctx context.Context, accountID string) (decisions, events int64, err error) {
	err = r.db.gorm.WithContext(ctx).Raw(`SELECT (SELECT count(*) FROM decision_keys WHERE account_id = ?),
		(SELECT count(*) FROM stripe_events WHERE connection_id = (SELECT source_connection FROM accounts WHERE id = ?))`, accountID, accountID).Row().Scan(&decisions, &events)
	return decisions, events, wrap(err)
}
