package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Deciding is the unit of work of decisions about cycles.
func (db *DB) Deciding() Work[invoicing.DeskStores] {
	return Work[invoicing.DeskStores]{db: db, make: func(tx *gorm.DB) invoicing.DeskStores {
		return invoicing.DeskStores{Desk: desk{tx}, Audit: auditLog{tx}}
	}}
}

type desk struct{ tx *gorm.DB }

// begun is the condition of a cycle c of whose invoice something is, or may be, at Stripe.
const begun = `EXISTS (SELECT 1 FROM writeback_intents w WHERE w.cycle_id = c.id AND w.retired_at IS NULL AND (w.invoice_id IS NOT NULL OR w.lost_since IS NOT NULL
		OR EXISTS (SELECT 1 FROM writeback_given_up g WHERE g.intent_id = w.id)))`

// voided is the condition of a cycle c whose one invoice was seen to be void; what was given
// up before it may still count.
var voided = `(c.state = 'needs_human' AND split_part(c.reason, ':', 1) = '` + billing.HumanInvoiceVoided + `'
		AND NOT EXISTS (SELECT 1 FROM writeback_intents w JOIN writeback_given_up g ON g.intent_id = w.id WHERE w.cycle_id = c.id AND w.retired_at IS NULL))`

// Standing locks the cycle and says where it stands.
func (d desk) Standing(ctx context.Context, cycleID string) (invoicing.Standing, error) {
	tx := d.tx.WithContext(ctx)
	if err := tx.Exec("SELECT 1 FROM cycles WHERE id = ? FOR UPDATE", cycleID).Error; err != nil {
		return invoicing.Standing{}, wrap(err)
	}
	var r struct {
		ID, AccountID, Environment, Period, State, Reason, Terms, PlanHash, Currency, DecisionID string
		WaitingSince, WaitingUntil                                                               *time.Time
		TotalMinor                                                                               int64
		Reminders, Decisions                                                                     int
		Begun, Voided, Person                                                                    bool
		Revision                                                                                 int
	}
	err := tx.Raw(`
		SELECT c.id, c.revision, c.account_id, c.environment, c.period, c.state, c.reason, c.waiting_since, c.waiting_until, c.reminders, k.terms,
			coalesce(i.plan_hash, '') AS plan_hash, coalesce(i.currency, '') AS currency, coalesce(i.total_minor, 0) AS total_minor,
			coalesce(i.requires_person, false) OR (c.environment = 'live' AND cleared_invoices(c.account_id) = 0) AS person,
			(SELECT count(*) FROM cycle_decisions x WHERE x.cycle_id = c.id) AS decisions,
			coalesce((SELECT x.id FROM cycle_decisions x WHERE x.cycle_id = c.id ORDER BY x.number DESC LIMIT 1), '') AS decision_id, `+begun+` AS begun, `+voided+` AS voided
		FROM cycles c JOIN contracts k ON k.id = c.contract_id LEFT JOIN invoices i ON i.cycle_id = c.id WHERE c.id = ?`, cycleID).Scan(&r).Error
	switch {
	case err != nil:
		return invoicing.Standing{}, wrap(err)
	case r.ID == "":
		return invoicing.Standing{}, fault.New(fault.NotFound, "cycle_not_found", "there is no cycle %q", cycleID)
	}
	var terms billing.Terms
	if err := json.Unmarshal([]byte(r.Terms), &terms); err != nil {
		return invoicing.Standing{}, err
	}
	out := invoicing.Standing{
		CycleID: r.ID, AccountID: r.AccountID, Environment: account.Environment(r.Environment), Period: r.Period, State: billing.CycleState(r.State), Reason: r.Reason,
		Approval: terms.Approval, PlanHash: r.PlanHash, TotalMinor: r.TotalMinor, Currency: r.Currency, Reminders: r.Reminders, Decisions: r.Decisions,
		DecisionID: r.DecisionID, Begun: r.Begun, Voided: r.Voided, RequiresPerson: r.Person,
	}
	if r.WaitingSince != nil {
		out.Since = r.WaitingSince.UTC()
	}
	if r.WaitingUntil != nil {
		out.Until = r.WaitingUntil.UTC()
	}
	out.Revision = r.Revision
	if err := d.revisable(ctx, &out); err != nil {
		return out, wrap(err)
	}
	err = wrap(tx.Raw(`SELECT id FROM contracts WHERE account_id = ? ORDER BY version`, r.AccountID).Scan(&out.Contracts).Error)
	return out, err
}

// Decide stores a decision and moves the cycle; the intent of one that is skipped is put
// out of force.
func (d desk) Decide(ctx context.Context, in invoicing.CycleDecision, to billing.CycleState, reason string, until time.Time) error {
	tx := d.tx.WithContext(ctx)
	var env string
	if err := tx.Raw(`SELECT environment FROM cycles WHERE id = ?`, in.CycleID).Scan(&env).Error; err != nil {
		return wrap(err)
	}
	if err := insertDecision(tx, env, in); err != nil {
		return wrap(err)
	}
	if to == billing.Skipped || in.Action.Revises() {
		if err := supersedeAll(tx, in.CycleID, in.At); err != nil {
			return wrap(err)
		}
	}
	if in.Action == billing.ActRecompute {
		if err := d.keepRevision(ctx, in); err != nil {
			return wrap(err)
		}
		return wrap(d.nextRevision(ctx, in))
	}
	if err := wait(tx, in.CycleID, in.At, until); err != nil {
		return wrap(err)
	}
	return wrap(moveCycle(ctx, tx, in.CycleID, to, reason, in.At))
}

func insertDecision(tx *gorm.DB, env string, in invoicing.CycleDecision) error {
	return tx.Exec(`INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		in.ID, in.CycleID, in.Number, env, in.PlanHash, in.TotalMinor, string(in.Action), string(in.Actor.Kind), in.Actor.ID, in.Actor.Name, in.Actor.Person, in.Reason, in.At).Error
}

// wait begins a wait for a decision, or ends it when until is the zero time.
func wait(tx *gorm.DB, cycleID string, at, until time.Time) error {
	if until.IsZero() {
		return tx.Exec(`UPDATE cycles SET waiting_since = NULL, waiting_until = NULL, reminders = 0 WHERE id = ?`, cycleID).Error
	}
	return tx.Exec(`UPDATE cycles SET waiting_since = ?, waiting_until = ?, reminders = 0 WHERE id = ?`, at, until, cycleID).Error
}

// Environment is that of an account.
func (d desk) Environment(ctx context.Context, accountID string) (account.Environment, error) {
	acc, err := accounts(d).Account(ctx, accountID)
	return acc.Environment, err
}

// Remind counts a reminder.
func (d desk) Remind(ctx context.Context, cycleID string, n int) error {
	return wrap(d.tx.WithContext(ctx).Exec(`UPDATE cycles SET reminders = ? WHERE id = ?`, n, cycleID).Error)
}

type cycleDecisionRow struct {
	ID, CycleID, PlanHash, Action, ActorKind, ActorID, ActorName, Person, Reason string
	Number                                                                       int
	TotalMinor                                                                   int64
	At                                                                           time.Time
}

func (r cycleDecisionRow) view() invoicing.CycleDecision {
	return invoicing.CycleDecision{
		ID: r.ID, CycleID: r.CycleID, Number: r.Number, PlanHash: r.PlanHash, TotalMinor: r.TotalMinor, Action: billing.DecisionAction(r.Action),
		Actor: access.Actor{Kind: access.Kind(r.ActorKind), ID: r.ActorID, Name: r.ActorName, Person: r.Person}, Reason: r.Reason, At: r.At.UTC(),
	}
}

// Decision finds a stored decision.
func (d desk) Decision(ctx context.Context, cycleID, id string) (invoicing.CycleDecision, error) {
	var r cycleDecisionRow
	err := d.tx.WithContext(ctx).Raw(`SELECT * FROM cycle_decisions WHERE cycle_id = ? AND id = ?`, cycleID, id).Scan(&r).Error
	if err == nil && r.ID == "" {
		err = fault.New(fault.NotFound, "decision_not_found", "the ledger has no decision %q about cycle %s", id, cycleID).Fix("Decide through the API, which knows who decides")
	}
	return r.view(), wrap(err)
}

// approvedPlan is the digest of the plan that the last decision about a cycle approved,
// empty when it did not approve.
func approvedPlan(tx *gorm.DB, cycleID string) (string, error) {
	var r cycleDecisionRow
	err := tx.Raw(`SELECT * FROM cycle_decisions WHERE cycle_id = ? ORDER BY number DESC LIMIT 1`, cycleID).Scan(&r).Error
	if err != nil || r.Action != string(billing.ActApprove) {
		return "", err
	}
	return r.PlanHash, nil
}

// policyDecides stores the approval that the contract's terms give.
func policyDecides(tx *gorm.DB, j invoicing.Judged, p invoicing.Proposal, at time.Time) error {
	var n int
	if err := tx.Raw(`SELECT count(*) FROM cycle_decisions WHERE cycle_id = ?`, j.CycleID).Scan(&n).Error; err != nil {
		return err
	}
	return insertDecision(tx, j.Account.Environment.String(), invoicing.CycleDecision{
		ID: invoicing.DecisionID(j.CycleID, n+1), CycleID: j.CycleID, Number: n + 1, PlanHash: p.Plan.Hash(), TotalMinor: p.Plan.TotalMinor(), Action: billing.ActApprove,
		Actor: access.Actor{Kind: access.System, ID: p.Policy, Name: p.Policy}, At: at,
	})
}

// tieOutDecisions lists what was decided, and until when something waits.
func tieOutDecisions(ctx context.Context, tx *gorm.DB, t *reconcile.TieOut) error {
	var rows []cycleDecisionRow
	if err := tx.WithContext(ctx).Raw(`SELECT * FROM cycle_decisions WHERE cycle_id = ? ORDER BY number`, t.ID).Scan(&rows).Error; err != nil {
		return err
	}
	for _, r := range rows {
		d := r.view()
		actor := d.Actor.Label()
		if d.Actor.Kind == access.System {
			actor = d.Actor.ID
		}
		t.Decisions = append(t.Decisions, reconcile.Decision{ID: d.ID, Action: string(d.Action), InvoiceHash: d.PlanHash, AmountMinor: d.TotalMinor, Actor: actor, Reason: d.Reason, At: d.At})
	}
	var w struct {
		WaitingUntil *time.Time
		Reminders    int
	}
	err := tx.WithContext(ctx).Raw(`SELECT c.waiting_until, c.reminders FROM cycles c WHERE c.id = ?`, t.ID).Scan(&w).Error
	if w.WaitingUntil != nil {
		until := w.WaitingUntil.UTC()
		t.WaitingUntil = &until
	}
	t.Reminders = w.Reminders
	return err
}
