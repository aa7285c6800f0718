package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Invoicing implements invoicing.Ledger.
type Invoicing struct{ db *DB }

// NewInvoicing opens the ledger of proposals and intents.
func (db *DB) NewInvoicing() *Invoicing { return &Invoicing{db} }

// Judged loads what a cycle's price depends on, its readouts judged again.
func (v *Invoicing) Judged(ctx context.Context, cycleID string) (invoicing.Judged, error) {
	cy, err := loadCycle(ctx, v.db.gorm, cycleID)
	if err != nil {
		return invoicing.Judged{}, err
	}
	readouts, err := storedReadouts(v.db.gorm.WithContext(ctx), cycleID, cy.Plan)
	if err != nil {
		return invoicing.Judged{}, err
	}
	if len(readouts) == 0 {
		return invoicing.Judged{}, fault.New(fault.Conflict, "not_estimated", "cycle %s has no readouts", cycleID)
	}
	return v.judged(ctx, cy, readouts)
}

// Previewed implements invoicing.Pricing.
func (v *Invoicing) Previewed(ctx context.Context, accountID string, m period.Month, asOf time.Time, readouts []lift.Readout) (invoicing.Judged, error) {
	cy, _, err := (&Cycles{v.db}).Planned(ctx, accountID, m)
	if err != nil {
		return invoicing.Judged{}, err
	}
	cy.Watermark = asOf
	return v.judged(ctx, cy, readouts)
}

// judged adds to readouts what their price depends on.
func (v *Invoicing) judged(ctx context.Context, cy measure.Cycle, readouts []lift.Readout) (j invoicing.Judged, err error) {
	j = invoicing.Judged{
		CycleID: cy.ID, State: cy.State, Revision: cy.Revision, Account: cy.Account, Contract: cy.Contract, Plan: cy.Plan, Period: cy.Period,
		Interval: cy.Interval, Names: cy.SnapshotName, Readouts: readouts,
	}
	tx := v.db.gorm.WithContext(ctx)
	if j.HighWater, err = highWater(tx, cy); err != nil {
		return j, err
	}
	if j.OpenBefore, err = openBefore(tx, cy); err != nil {
		return j, err
	}
	if j.Past, err = past(tx, cy); err != nil {
		return j, err
	}
	if j.Finished, err = finishedOthers(tx, cy); err != nil {
		return j, err
	}
	if len(cy.Contract.Terms.Outcomes) > 0 {
		if j.Outcomes, err = outcomes(tx, cy); err != nil {
			return j, err
		}
	}
	if cy.Account.IssuerConnection != "" {
		issuer, err := connections{v.db.gorm}.Connection(ctx, cy.Account.IssuerConnection)
		if err != nil {
			return j, err
		}
		j.IssuerConnected, j.IssuerKeyGone, j.IssuerPaused, j.WriteBackOff = issuer.Roles.Issuer, issuer.KeyGone(), issuer.Paused, issuer.WriteBackOff
	}
	err = v.db.gorm.WithContext(ctx).Raw(`SELECT EXISTS (SELECT 1 FROM payer_wishes WHERE account_id = ?)`, cy.Account.ID).Scan(&j.PayerWanted).Error
	if err != nil {
		return j, wrap(err)
	}
	err = wrap(pricedWhen(tx, &j))
	return j, err
}

// pricedWhen loads the account's switch, what the switch was when the cycle was priced, and
// the revenue on both sides.
func pricedWhen(tx *gorm.DB, j *invoicing.Judged) (err error) {
	if j.Writing, err = switchOf(tx, j.Account.ID); err != nil {
		return err
	}
	var r struct {
		Closed                    *bool
		Person                    bool
		PaidMinor, StripeNetMinor *int64
	}
	err = tx.Raw(`SELECT i.writing_closed AS closed, coalesce(i.requires_person, false) AS person, c.paid_minor, c.stripe_net_minor FROM cycles c LEFT JOIN invoices i ON i.cycle_id = c.id WHERE c.id = ?`, j.CycleID).Scan(&r).Error
	j.Priced, j.PricedClosed = r.Closed != nil, r.Closed != nil && *r.Closed
	if err != nil {
		return err
	}
	j.PaidMinor, j.StripeNetMinor = r.PaidMinor, r.StripeNetMinor
	// What is computed again is never released by a rule alone.
	if j.RequiresPerson = r.Person || (j.Revision > 1 && j.Account.Environment == account.Live); !j.RequiresPerson {
		if j.RequiresPerson, err = requiresPerson(tx, j.Account); err != nil {
			return err
		}
	}
	return adjustments(tx, j)
}

// requiresPerson reports whether no rule may approve an account's invoices now. What was
// stored with an invoice stays so, even when another one has cleared since.
func requiresPerson(tx *gorm.DB, acc account.Account) (bool, error) {
	if acc.Environment != account.Live {
		return false, nil
	}
	cleared, err := clearedInvoices(tx, acc.ID)
	return billing.RequiresPerson(cleared), err
}

// SaveProposal stores the priced cycle and its intent in one transaction.
func (v *Invoicing) SaveProposal(ctx context.Context, j invoicing.Judged, p invoicing.Proposal, at time.Time) (billing.CycleState, string, error) {
	var state billing.CycleState
	var reason string
	err := v.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var cy cycleRow
		if err := tx.Raw("SELECT * FROM cycles WHERE id = ? FOR UPDATE", j.CycleID).Scan(&cy).Error; err != nil {
			return err
		}
		if cy.Revision != j.Revision {
			return fault.New(fault.Conflict, "revised", "cycle %s is at revision %d by now, not %d", j.CycleID, cy.Revision, j.Revision).Fix("Run the cycle again")
		}
		state, reason = billing.CycleState(cy.State), cy.Reason
		isNew, readdressed, err := sameInvoice(tx, state, j, p, at)
		if err != nil {
			return err
		}
		if isNew {
			if err := stillInTurn(ctx, tx, j); err != nil {
				return err
			}
			if err := insertProposal(tx, j, p, at); err != nil {
				return err
			}
			if err := moveCycle(ctx, tx, j.CycleID, billing.Proposed, "", at); err != nil {
				return err
			}
			state = billing.Proposed
		}
		goesOn := state == billing.Proposed || state == billing.Blocked || state == billing.Approved || (state == billing.AwaitingApproval && readdressed)
		if !goesOn {
			return nil // it went on already, or waits for somebody; what is stored decides
		}
		state, reason, err = proceed(tx, j, p, at)
		if err != nil {
			return err
		}
		if p.TieOut != nil {
			if err := saveTieOut(tx, j.CycleID, *p.TieOut, at); err != nil {
				return err
			}
		}
		return moveCycle(ctx, tx, j.CycleID, state, reason, at)
	})
	return state, reason, wrap(err)
}

// proceed is where a priced cycle goes, with the intent made when it goes to writing.
// What a person must release is released by the last decision, if that approved this plan.
func proceed(tx *gorm.DB, j invoicing.Judged, p invoicing.Proposal, at time.Time) (billing.CycleState, string, error) {
	if p.Next != billing.Writing && p.Next != billing.AwaitingApproval {
		return p.Next, p.Reason, nil
	}
	approved, err := approvedPlan(tx, j.CycleID)
	if err != nil {
		return "", "", err
	}
	// The one invoice that had cleared may have been voided since the price was read.
	person, err := requiresPerson(tx, j.Account)
	if err != nil {
		return "", "", err
	}
	if person {
		p.Policy = ""
	}
	if p.Policy == "" && approved != p.Plan.Hash() {
		until := j.Contract.Terms.Approval.Deadline(billing.AwaitingApproval, at)
		return billing.AwaitingApproval, "", wait(tx, j.CycleID, at, until)
	}
	p.Next, p.Reason = billing.Writing, ""
	return insertIntent(tx, j, p, approved, at)
}

// stillInTurn refuses a price whose past changed since it was read: a settlement and a
// month of the following year do not wait for each other until one of them is priced. The
// account's row makes those who price its cycles wait, and those who open them.
func stillInTurn(ctx context.Context, tx *gorm.DB, j invoicing.Judged) error {
	if err := tx.Exec("SELECT 1 FROM accounts WHERE id = ? FOR NO KEY UPDATE", j.Account.ID).Error; err != nil {
		return err
	}
	cy, err := loadCycle(ctx, tx, j.CycleID)
	if err != nil {
		return err
	}
	open, err := openBefore(tx, cy)
	if err != nil {
		return err
	}
	n, err := finishedOthers(tx, cy)
	if err == nil && (len(open) > 0 || n != j.Finished) {
		err = fault.New(fault.Unavailable, "earlier_cycle_open", "while cycle %s was priced, another cycle of account %s moved", j.CycleID, j.Account.ID).
			Fix("Nothing was stored; the next attempt reads again")
	}
	return err
}

// sameInvoice reports whether the cycle has no invoice yet; one with another plan is
// a Conflict, unless nothing is being written and only its addressee is new.
func sameInvoice(tx *gorm.DB, state billing.CycleState, j invoicing.Judged, p invoicing.Proposal, at time.Time) (isNew, readdressed bool, err error) {
	var hash string
	if err := tx.Raw(`SELECT plan_hash FROM invoices WHERE cycle_id = ?`, j.CycleID).Scan(&hash).Error; err != nil {
		return false, false, err
	}
	if hash == "" || hash == p.Plan.Hash() {
		return hash == "", false, nil
	}
	changed := fault.New(fault.Conflict, "plan_changed", "cycle %s was proposed with other lines", j.CycleID).
		Fix("A proposed cycle is corrected by void and reissue, never in place")
	if !state.Readdressable() {
		return false, false, changed
	}
	var old intentRow
	if err := tx.Raw(`SELECT id, state FROM writeback_intents WHERE cycle_id = ? AND state <> 'superseded' FOR UPDATE`, j.CycleID).Scan(&old).Error; err != nil {
		return false, false, err
	}
	switch {
	case old.ID == "": // nothing was begun
	case old.ID == p.Plan.Key.ID():
		return false, false, changed
	case old.State == string(billing.IntentFinalized) || old.State == string(billing.IntentReleased):
		return false, false, nil // an invoice that is finalized keeps its addressee
	default:
		if err := supersede(tx, old.ID, at); err != nil {
			return false, false, err
		}
	}
	plan, err := json.Marshal(p.Plan)
	if err != nil {
		return false, false, err
	}
	return false, true, tx.Exec(`UPDATE invoices SET plan = ?, plan_hash = ?, total_minor = ? WHERE cycle_id = ?`,
		string(plan), p.Plan.Hash(), p.Priced.Total.Minor(), j.CycleID).Error
}

func insertProposal(tx *gorm.DB, j invoicing.Judged, p invoicing.Proposal, at time.Time) error {
	env := j.Account.Environment.String()
	for _, r := range p.Priced.Rows {
		verdict := "withheld"
		if r.Passed {
			verdict = "passed"
		}
		err := tx.Exec(`INSERT INTO cycle_lines (cycle_id, environment, snapshot_id, case_id, verdict, measured_minor, bound_minor, high_water_from,
				high_water_to, base_minor, deferred_minor, waived_minor, fee_minor, billed_minor, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			j.CycleID, env, r.SnapshotID, caseOf(j.Readouts, r.SnapshotID), verdict, r.PointMinor, r.BoundMinor, r.HighWaterBefore,
			r.HighWaterAfter, r.DeltaMinor, r.DeferredMinor, r.WaivedMinor, r.Fee, r.Billed, string(r.Reason)).Error
		if err != nil {
			return err
		}
	}
	if err := insertCharges(tx, j.CycleID, env, p.Priced.Lines); err != nil {
		return err
	}
	for _, s := range p.Priced.Steps {
		err := tx.Exec(`INSERT INTO cycle_steps (cycle_id, number, name, snapshot_id, formula, inputs, result) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			j.CycleID, s.Number, s.Name, s.SnapshotID, s.Formula, s.Inputs, s.Result).Error
		if err != nil {
			return err
		}
	}
	plan, err := json.Marshal(p.Plan)
	if err != nil {
		return err
	}
	person := j.RequiresPerson && p.Priced.Total.IsPositive()
	return tx.Exec(`INSERT INTO invoices (cycle_id, environment, currency, phase, total_minor, plan, plan_hash, writing_closed, requires_person, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		j.CycleID, env, string(j.Contract.Terms.Currency), string(p.Priced.Phase), p.Priced.Total.Minor(), string(plan), p.Plan.Hash(), p.Closed, person, at).Error
}

// insertCharges stores the lines that are no lift; the lifts are the rows' fees.
func insertCharges(tx *gorm.DB, cycleID, env string, lines []billing.Line) error {
	for i, l := range lines {
		if l.Kind == billing.LineLift {
			continue
		}
		err := tx.Exec(`INSERT INTO cycle_charges (cycle_id, environment, line, position, kind, description, amount_minor, billed_minor, snapshot_id, outcome, quantity, origin)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			cycleID, env, l.Key, i+1, string(l.Kind), l.Text, l.AmountMinor, l.BilledMinor, l.SnapshotID, l.Outcome, l.Quantity, l.Origin).Error
		if err != nil {
			return err
		}
	}
	return nil
}

func caseOf(readouts []lift.Readout, snapshotID string) string {
	for _, r := range readouts {
		if r.SnapshotID == snapshotID {
			return r.CaseID
		}
	}
	return ""
}

// insertIntent writes the intent before any request is sent, unless the cycle has one
// that counts. livemode is what the environment says, so that a row for a test account
// breaks the table's rule. A payer that another cycle bills for the period blocks this one.
// What the terms release and is not approved yet gets their decision first.
func insertIntent(tx *gorm.DB, j invoicing.Judged, p invoicing.Proposal, approved string, at time.Time) (billing.CycleState, string, error) {
	k := p.Plan.Key
	var rivals []struct{ CycleID string }
	err := tx.Raw(`SELECT cycle_id FROM writeback_intents WHERE state <> 'superseded' AND (cycle_id = ? OR (issuer_connection = ? AND customer = ? AND period = ?))`,
		j.CycleID, k.IssuerConnection, k.Customer, k.Period).Scan(&rivals).Error
	if err != nil {
		return "", "", err
	}
	for _, r := range rivals {
		if r.CycleID == j.CycleID {
			return p.Next, p.Reason, nil
		}
	}
	if len(rivals) > 0 {
		return billing.Blocked, billing.UnmetPayerBilled, nil
	}
	if approved != p.Plan.Hash() {
		if err := policyDecides(tx, j, p, at); err != nil {
			return "", "", err
		}
	}
	// One that was superseded comes back into force when its payer is named again.
	if err := tx.Exec(`INSERT INTO writeback_given_up (intent_id, invoice_id, at)
			SELECT id, invoice_id, ? FROM writeback_intents WHERE id = ? AND state = 'superseded' AND invoice_id IS NOT NULL ON CONFLICT DO NOTHING`,
		at, k.ID()).Error; err != nil {
		return "", "", err
	}
	return p.Next, p.Reason, tx.Exec(`INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part,
			plan_hash, total_minor, state, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'planned', ?, ?)
		ON CONFLICT (id) DO UPDATE SET state = 'planned', plan_hash = excluded.plan_hash, superseded_plan = NULL, retired_at = NULL, invoice_id = NULL,
			generation = writeback_intents.generation + 1, indeterminate = 0, lost_since = NULL, finalize_attempt = 0, number = '', stripe_status = '',
			stripe_total = NULL, finalized_at = NULL, updated_at = excluded.updated_at
		WHERE writeback_intents.state = 'superseded' AND writeback_intents.cycle_id = excluded.cycle_id`,
		k.ID(), j.CycleID, j.Account.Environment.String(), j.Account.Environment == account.Live, j.Account.ID, k.IssuerConnection, k.Customer,
		k.Currency, k.Period, k.Part, p.Plan.Hash(), p.Plan.TotalMinor(), at, at).Error
}
