// Package pgledger is the ledger in PostgreSQL as a campaign needs it: with cycles that
// stand at their write-back without having been measured.
package pgledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

// Ledger is the product's own, with raw SQL for what comes before the write-back.
type Ledger struct {
	*postgres.Invoicing
	desk postgres.Work[invoicing.DeskStores]
	sql  *pgxpool.Pool
}

// New makes one on a migrated database.
func New(db *postgres.DB, sql *pgxpool.Pool) *Ledger {
	return &Ledger{db.NewInvoicing(), db.Deciding(), sql}
}

// Key is what opens the issuer's key where it is stored sealed; nil stores an empty one.
type Key struct {
	StripeAccount string
	Sealed        []byte
}

// Begin implements campaign.Ledger.
func (l *Ledger) Begin(ctx context.Context, env account.Environment, plan billing.InvoicePlan, at time.Time) error {
	return l.BeginWith(ctx, env, plan, Key{Sealed: []byte{}}, at)
}

// What a cycle came to: one line over everything, and the plan of its invoice.
const (
	chargeSQL = `INSERT INTO cycle_charges (cycle_id, environment, line, position, kind, description, amount_minor, billed_minor)
		VALUES ($1, $3, 'fee:all', 1, 'adjustment', 'all lines', $2, $2)`
	invoiceSQL = `INSERT INTO invoices (cycle_id, environment, currency, total_minor, plan, plan_hash, created_at, requires_person)
		 VALUES ($1, $7, $2, $3, $4, $5, $6, $8)`
)

// ApprovedSQL is the approval that an intent rests on, a person's, because it may be of a
// first invoice: cycle, environment, plan hash, total, time. Another plan's is another row.
const ApprovedSQL = `INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
	SELECT $1 || '/' || n, $1, n, $2, $3, $4, 'approve', 'user', 'usr_approver', 'Approver', 'approver', '', $5
	FROM (SELECT count(*) + 1 AS n FROM cycle_decisions WHERE cycle_id = $1) d`

// BeginWith writes a cycle that stands at its write-back, as if it had been measured and
// proposed: what the measurement says is of no interest here.
func (l *Ledger) BeginWith(ctx context.Context, env account.Environment, plan billing.InvoicePlan, key Key, at time.Time) error {
	doc, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	tx, err := l.sql.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // after a commit there is nothing to roll back
	a, e := plan.AccountID, env.String()
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO connections (id, environment, role_source, role_issuer, stripe_account_id, sealed_key, key_mask, user_id_key, created_at)
			VALUES ($1, $5, true, true, $2, $3, 'rk_live_…', 'user_id', $4)`, []any{plan.Key.IssuerConnection, key.StripeAccount, key.Sealed, at, e}},
		{`INSERT INTO accounts (id, environment, name, source_connection, issuer_connection, payer_customer, created_at) VALUES ($1, $5, $1, $2, $2, $3, $4)`,
			[]any{a, plan.Key.IssuerConnection, plan.Key.Customer, at, e}},
		{`INSERT INTO live_writing (account_id, environment, open, basis, reason, checklist, changed_by, changed_at)
			SELECT $1, 'live', true, 'override', 'begins at its write-back', '[]', 'campaign', $2 WHERE $3 = 'live'`, []any{a, at, e}},
		{`INSERT INTO contracts (id, account_id, environment, version, terms, terms_hash, time_zone, close_lag_days, first_period, created_at)
			VALUES ($1 || '-contract', $1, $4, 1, '{}', '', 'UTC', 3, $2, $3)`, []any{a, plan.Key.Period, at, e}},
		{`INSERT INTO measurement_plans (id, account_id, environment, version, plan, plan_hash, sealed_at, sealed_salt)
			VALUES ($1 || '-plan', $1, $4, 1, jsonb_build_object('first_period', $2::text, 'attribution_days', 90)::text, '', $3, '\x00')`, []any{a, plan.Key.Period, at, e}},
		{`INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, opened_at, updated_at)
			VALUES ($1, $2, $7, $3, $4, $5, $2 || '-contract', $2 || '-plan', 'writing', $6, $6)`,
			[]any{plan.CycleID, a, plan.Key.Period, time.Unix(plan.PeriodStart, 0), time.Unix(plan.PeriodEnd, 0), at, e}},
		{chargeSQL, []any{plan.CycleID, plan.TotalMinor(), e}},
		{invoiceSQL, []any{plan.CycleID, plan.Key.Currency, plan.TotalMinor(), string(doc), plan.Hash(), at, e, false}},
		{ApprovedSQL, []any{plan.CycleID, e, plan.Hash(), plan.TotalMinor(), at}},
		{`INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part, plan_hash, total_minor, state, created_at, updated_at)
			VALUES ($1, $2, $12, $13, $3, $4, $5, $6, $7, $8, $9, $10, 'planned', $11, $11)`,
			[]any{plan.Key.ID(), plan.CycleID, a, plan.Key.IssuerConnection, plan.Key.Customer, plan.Key.Currency, plan.Key.Period, plan.Key.Part, plan.Hash(), plan.TotalMinor(), at, e, env.Livemode()}},
	} {
		if _, err := tx.Exec(ctx, q.sql, q.args...); err != nil {
			return fmt.Errorf("%w: %.40s", err, q.sql)
		}
	}
	return tx.Commit(ctx)
}

// Readdress names another payer for a cycle's account and, when the cycle is blocked,
// proposes the invoice again through the product's own path.
func (l *Ledger) Readdress(ctx context.Context, plan billing.InvoicePlan, at time.Time) error {
	if _, err := l.sql.Exec(ctx, `UPDATE accounts SET payer_customer = $1 WHERE id = $2`, plan.Key.Customer, plan.AccountID); err != nil {
		return err
	}
	state, _, err := l.Stands(ctx, plan.CycleID)
	if err != nil || state != billing.Blocked {
		return err
	}
	total, err := money.New(plan.TotalMinor(), money.Currency(plan.Key.Currency))
	if err != nil {
		return err
	}
	if _, err := l.sql.Exec(ctx, ApprovedSQL, plan.CycleID, account.Live.String(), plan.Hash(), plan.TotalMinor(), at); err != nil {
		return err
	}
	judged := invoicing.Judged{CycleID: plan.CycleID, Revision: 1, Account: account.Account{ID: plan.AccountID, Environment: account.Live}}
	_, _, err = l.SaveProposal(ctx, judged, invoicing.Proposal{Plan: plan, Priced: billing.Priced{Total: total}, Next: billing.AwaitingApproval}, at)
	return err
}

// TakeBack implements campaign.Ledger with the product's own desk.
func (l *Ledger) TakeBack(ctx context.Context, cycleID string, a billing.DecisionAction, at time.Time) (bool, error) {
	if _, err := l.sql.Exec(ctx, `UPDATE cycles SET watermark = $2 WHERE id = $1 AND watermark IS NULL`, cycleID, at); err != nil {
		return false, err // only what was measured is computed again
	}
	err := l.decided(ctx, cycleID, "finance", access.Finance, a, "", at)
	switch fault.CodeOf(err) {
	case "invoice_final", "being_finalized", "cycle_state", "no_draft":
		return false, nil
	}
	return err == nil, err
}

// decided takes a decision as somebody.
func (l *Ledger) decided(ctx context.Context, cycleID, who string, role access.Role, a billing.DecisionAction, hash string, at time.Time) error {
	by := access.Principal{Kind: access.User, ID: who, Name: who, Person: who, Roles: access.Roles{role}, Scope: access.Everything()}
	s := &invoicing.Decisions{Work: l.desk, Clock: moment(at), Changes: somethingChanged{}}
	_, err := s.Decide(ctx, by, invoicing.Wish{CycleID: cycleID, Action: a, PlanHash: hash, Reason: "the campaign wants it"})
	return err
}

// moment is a clock that stands still.
type moment time.Time

// Now implements clock.Clock.
func (m moment) Now() time.Time { return time.Time(m) }

// somethingChanged has every month come to something else.
type somethingChanged struct{}

// Since implements invoicing.Changes.
func (somethingChanged) Since(context.Context, access.Principal, string, string) (bool, error) {
	return true, nil
}

// Propose implements campaign.Ledger. What is computed again is taken for measured.
func (l *Ledger) Propose(ctx context.Context, plan billing.InvoicePlan, at time.Time) error {
	state, _, err := l.Stands(ctx, plan.CycleID)
	if err != nil {
		return err
	}
	revision := 1
	if state == billing.Returned {
		if err := l.decided(ctx, plan.CycleID, "finance", access.Finance, billing.ActRelease, "", at); err != nil {
			return err
		}
		if err := l.decided(ctx, plan.CycleID, "approver", access.Approver, billing.ActApprove, plan.Hash(), at); err != nil {
			return err
		}
	} else if revision, err = l.computed(ctx, plan, at); err != nil {
		return err
	}
	total, err := money.New(plan.TotalMinor(), money.Currency(plan.Key.Currency))
	if err != nil {
		return err
	}
	judged := invoicing.Judged{CycleID: plan.CycleID, Revision: revision, Account: account.Account{ID: plan.AccountID, Environment: account.Live}}
	_, _, err = l.SaveProposal(ctx, judged, invoicing.Proposal{Plan: plan, Priced: billing.Priced{Total: total}, Next: billing.AwaitingApproval}, at)
	return err
}

// computed writes what a revision came to, approved, as if it had been measured again.
func (l *Ledger) computed(ctx context.Context, plan billing.InvoicePlan, at time.Time) (revision int, err error) {
	doc, err := json.Marshal(plan)
	if err != nil {
		return 0, err
	}
	env := account.Live.String()
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{chargeSQL, []any{plan.CycleID, plan.TotalMinor(), env}},
		{invoiceSQL, []any{plan.CycleID, plan.Key.Currency, plan.TotalMinor(), string(doc), plan.Hash(), at, env, true}},
		{ApprovedSQL, []any{plan.CycleID, env, plan.Hash(), plan.TotalMinor(), at}},
	} {
		if _, err := l.sql.Exec(ctx, q.sql, q.args...); err != nil {
			return 0, fmt.Errorf("%w: %.40s", err, q.sql)
		}
	}
	return revision, l.sql.QueryRow(ctx, `UPDATE cycles SET state = 'approved' WHERE id = $1 RETURNING revision`, plan.CycleID).Scan(&revision)
}

// Stands implements campaign.Ledger.
func (l *Ledger) Stands(ctx context.Context, cycleID string) (billing.CycleState, string, error) {
	var state, reason string
	err := l.sql.QueryRow(ctx, `SELECT state, reason FROM cycles WHERE id = $1`, cycleID).Scan(&state, &reason)
	return billing.CycleState(state), reason, err
}
