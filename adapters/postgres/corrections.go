package postgres

import (
	"context"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// Corrections implements invoicing.CorrectionBook.
type Corrections struct{ db *DB }

var _ invoicing.CorrectionBook = (*Corrections)(nil)

// NewCorrections opens the book of corrections.
func (db *DB) NewCorrections() *Corrections { return &Corrections{db} }

type correctionRow struct {
	ID, CycleID, AccountID, Environment, InvoiceID, Kind, Line, StripeItem, Currency string
	Reason, State, Detail, ProposedBy, ApprovedBy, StripeID                          string
	Number, KeyNumber                                                                int
	AmountMinor                                                                      int64
	ProposedAt                                                                       time.Time
	LostSince                                                                        *time.Time
}

const correctionSelect = `
	SELECT k.id, k.cycle_id, c.account_id, k.environment, k.number, k.invoice_id, k.kind, k.line, coalesce(l.stripe_id, '') AS stripe_item, k.amount_minor,
		w.currency, k.reason, k.state, k.detail, k.proposed_by, k.proposed_at, k.approved_by, k.stripe_id, k.key_number, k.lost_since
	FROM corrections k JOIN cycles c ON c.id = k.cycle_id JOIN writeback_intents w ON w.id = k.intent_id
	LEFT JOIN writeback_lines l ON l.intent_id = k.intent_id AND l.line = k.line`

func (r correctionRow) domain() invoicing.Correction {
	out := invoicing.Correction{
		ID: r.ID, CycleID: r.CycleID, AccountID: r.AccountID, Environment: account.Environment(r.Environment), Number: r.Number, InvoiceID: r.InvoiceID,
		Kind: billing.CorrectionKind(r.Kind), Line: r.Line, StripeItem: r.StripeItem, AmountMinor: r.AmountMinor, Currency: r.Currency, Reason: r.Reason,
		State: invoicing.CorrectionState(r.State), Detail: r.Detail, ProposedBy: r.ProposedBy, ProposedAt: r.ProposedAt.UTC(), ApprovedBy: r.ApprovedBy,
		StripeID: r.StripeID, KeyNumber: r.KeyNumber,
	}
	if r.LostSince != nil {
		out.LostSince = r.LostSince.UTC()
	}
	return out
}

// Correctable loads what a correction is decided on.
func (b *Corrections) Correctable(ctx context.Context, cycleID, line string) (invoicing.Correctable, error) {
	return correctable(b.db.gorm.WithContext(ctx), cycleID, line)
}

func correctable(tx *gorm.DB, cycleID, line string) (invoicing.Correctable, error) {
	var r struct {
		AccountID, Environment, ReleasedStatus, SeenStatus string
		TotalMinor, PaidMinor, RemainingMinor, Credited    int64
		LineMinor, LineCredited                            int64
		Released                                           bool
	}
	err := tx.Raw(`
		SELECT c.account_id, c.environment, coalesce(w.stripe_status, '') AS released_status, coalesce(p.status, '') AS seen_status, coalesce(i.total_minor, 0) AS total_minor,
			coalesce(w.state = 'released' AND c.state = 'invoiced', false) AS released,
			coalesce(p.amount_paid_minor, 0) AS paid_minor, coalesce(p.amount_remaining_minor, w.total_minor, 0) AS remaining_minor,
			coalesce((SELECT sum(k.amount_minor)::bigint FROM corrections k WHERE k.cycle_id = c.id AND k.state <> 'withdrawn' AND k.kind <> 'void' AND k.amount_minor > 0), 0) AS credited,
			coalesce(l.amount_minor, 0) AS line_minor,
			coalesce((SELECT sum(k.amount_minor)::bigint FROM corrections k WHERE k.cycle_id = c.id AND k.state <> 'withdrawn' AND k.line = @line AND k.amount_minor > 0), 0) AS line_credited
		FROM cycles c LEFT JOIN invoices i ON i.cycle_id = c.id LEFT JOIN writeback_intents w ON w.cycle_id = c.id AND w.state <> 'superseded'`+paymentJoin+`
		LEFT JOIN writeback_lines l ON l.intent_id = w.id AND l.line = @line WHERE c.id = @cycle`, map[string]any{"cycle": cycleID, "line": line}).Scan(&r).Error
	switch {
	case err != nil:
		return invoicing.Correctable{}, wrap(err)
	case r.AccountID == "":
		return invoicing.Correctable{}, fault.New(fault.NotFound, "cycle_not_found", "there is no cycle %q", cycleID)
	case !r.Released:
		return invoicing.Correctable{}, fault.New(fault.Conflict, "not_released", "cycle %s has no finalized invoice that could be corrected", cycleID).
			Fix("Before it is invoiced a cycle is held or recomputed")
	}
	return invoicing.Correctable{
		AccountID: r.AccountID, Environment: account.Environment(r.Environment), LineMinor: r.LineMinor, LineCreditedMinor: r.LineCredited,
		Standing: billing.Standing{
			Status: billing.LaterStatus(r.ReleasedStatus, r.SeenStatus), TotalMinor: r.TotalMinor, PaidMinor: r.PaidMinor, RemainingMinor: r.RemainingMinor, CreditedMinor: r.Credited,
		},
	}, nil
}

// Propose stores a correction. The invoice's row makes those who correct it wait for each
// other, so that the numbers and the limits are right.
func (b *Corrections) Propose(ctx context.Context, w invoicing.Wanted, kind billing.CorrectionKind, note audit.Entry) (invoicing.Correction, error) {
	var out invoicing.Correction
	err := b.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		out, err = proposeCorrection(ctx, tx, w, kind, note)
		return err
	})
	return out, wrap(err)
}

func proposeCorrection(ctx context.Context, tx *gorm.DB, w invoicing.Wanted, kind billing.CorrectionKind, note audit.Entry) (out invoicing.Correction, err error) {
	var intent struct{ ID, InvoiceID string }
	if err := tx.Exec(`SELECT 1 FROM invoices WHERE cycle_id = ? FOR UPDATE`, w.CycleID).Error; err != nil {
		return out, err
	}
	if err := tx.Raw(`SELECT id, coalesce(invoice_id, '') AS invoice_id FROM writeback_intents WHERE cycle_id = ? AND state = 'released'`, w.CycleID).Scan(&intent).Error; err != nil {
		return out, err
	}
	var n int
	if err := tx.Raw(`SELECT coalesce(max(number), 0) + 1 FROM corrections WHERE cycle_id = ?`, w.CycleID).Scan(&n).Error; err != nil {
		return out, err
	}
	id, line, amount := billing.CorrectionID(w.CycleID, n), w.Line, w.TooMuchMinor
	if kind == billing.CorrectVoid {
		line, amount = "", 0
	}
	err = tx.Exec(`INSERT INTO corrections (id, cycle_id, environment, number, intent_id, invoice_id, kind, line, amount_minor, reason, state, proposed_by, proposed_at)
		VALUES (?, ?, 'live', ?, ?, ?, ?, ?, ?, ?, 'proposed', ?, ?)`,
		id, w.CycleID, n, intent.ID, intent.InvoiceID, string(kind), line, amount, w.Reason, note.Actor.Label(), note.At).Error
	if err != nil {
		return out, err
	}
	note.ObjectID = id
	if out, err = loadCorrection(tx, id, ""); err != nil {
		return out, err
	}
	return out, auditLog{tx}.Append(ctx, note.Changed(nil, correctionFacts(out)))
}

func loadCorrection(tx *gorm.DB, id, lock string) (invoicing.Correction, error) {
	var r correctionRow
	if err := tx.Raw(correctionSelect+` WHERE k.id = ?`+lock, id).Scan(&r).Error; err != nil {
		return invoicing.Correction{}, err
	}
	if r.ID == "" {
		return invoicing.Correction{}, fault.New(fault.NotFound, "correction_not_found", "there is no correction %q", id)
	}
	return r.domain(), nil
}

// change moves a correction from one of some states, with its audit entry.
func (b *Corrections) change(ctx context.Context, id string, from []invoicing.CorrectionState, note audit.Entry, do func(tx *gorm.DB, c invoicing.Correction) error) (invoicing.Correction, error) {
	var out invoicing.Correction
	err := b.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		was, err := loadCorrection(tx, id, ` FOR UPDATE OF k`)
		if err != nil {
			return err
		}
		ok := false
		for _, s := range from {
			ok = ok || was.State == s
		}
		if !ok {
			return fault.New(fault.Conflict, "correction_state", "correction %s is %s", id, was.State)
		}
		if err := do(tx, was); err != nil {
			return err
		}
		if out, err = loadCorrection(tx, id, ""); err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note.Changed(correctionFacts(was), correctionFacts(out)))
	})
	return out, wrap(err)
}

func correctionFacts(c invoicing.Correction) audit.Facts {
	return audit.Facts{"cycle": c.CycleID, "kind": string(c.Kind), "line": c.Line, "too_much_minor": strconv.FormatInt(c.AmountMinor, 10), "state": string(c.State)}
}

// Approve lets a correction be carried out; one of the next cycle becomes an adjustment.
func (b *Corrections) Approve(ctx context.Context, id string, allowed func(made []access.Actor) error, note audit.Entry) (invoicing.Correction, error) {
	return b.change(ctx, id, []invoicing.CorrectionState{invoicing.CorrectionProposed}, note, func(tx *gorm.DB, c invoicing.Correction) error {
		made, err := auditLog{tx}.Actors(ctx, "correction", id, audit.CorrectionProposed, audit.CorrectionRetried)
		if err != nil {
			return err
		}
		if err := allowed(made); err != nil {
			return err
		}
		if err := tx.Exec(`UPDATE corrections SET state = 'approved', approved_by = ?, approved_at = ? WHERE id = ?`, note.Actor.Label(), note.At, id).Error; err != nil {
			return err
		}
		if c.Kind != billing.CorrectNext {
			return nil
		}
		// Too much is taken off, too little is added.
		err = tx.Exec(`INSERT INTO adjustments (id, account_id, environment, origin_cycle, line, reason, happened_at, amount_minor, source, recorded_at)
			VALUES (?, ?, 'live', ?, ?, ?, ?, ?, ?, ?)`,
			id, c.AccountID, c.CycleID, c.Line, string(billing.AdjustCorrection), c.ProposedAt, -c.AmountMinor, id, note.At).Error
		if err != nil {
			return err
		}
		return tx.Exec(`UPDATE corrections SET state = 'done', done_at = ? WHERE id = ?`, note.At, id).Error
	})
}

// Withdraw takes a correction back for which nothing was sent.
func (b *Corrections) Withdraw(ctx context.Context, id string, note audit.Entry) (invoicing.Correction, error) {
	return b.change(ctx, id, []invoicing.CorrectionState{invoicing.CorrectionProposed}, note, func(tx *gorm.DB, _ invoicing.Correction) error {
		return tx.Exec(`UPDATE corrections SET state = 'withdrawn', detail = ? WHERE id = ?`, note.Reason, id).Error
	})
}

// Again approves a stopped correction once more, under a fresh key when an answer was lost.
func (b *Corrections) Again(ctx context.Context, id string, note audit.Entry) (invoicing.Correction, error) {
	return b.change(ctx, id, []invoicing.CorrectionState{invoicing.CorrectionHuman}, note, func(tx *gorm.DB, _ invoicing.Correction) error {
		return tx.Exec(`UPDATE corrections SET state = 'approved', detail = '', key_number = key_number + 1, lost = 0, lost_since = NULL WHERE id = ?`, id).Error
	})
}

// Correction loads one.
func (b *Corrections) Correction(ctx context.Context, id string) (invoicing.Correction, error) {
	c, err := loadCorrection(b.db.gorm.WithContext(ctx), id, "")
	return c, wrap(err)
}

// Corrections lists those of a cycle.
func (b *Corrections) Corrections(ctx context.Context, cycleID string) ([]invoicing.Correction, error) {
	var rows []correctionRow
	if err := b.db.gorm.WithContext(ctx).Raw(correctionSelect+` WHERE k.cycle_id = ? ORDER BY k.number`, cycleID).Scan(&rows).Error; err != nil {
		return nil, wrap(err)
	}
	out := make([]invoicing.Correction, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, nil
}

// Due lists the approved ones.
func (b *Corrections) Due(ctx context.Context, limit int) ([]string, error) {
	var ids []string
	err := b.db.gorm.WithContext(ctx).Raw(`SELECT id FROM corrections WHERE state = 'approved' ORDER BY approved_at, id LIMIT ?`, limit).Scan(&ids).Error
	return ids, wrap(err)
}

// Rekind stores that a credit is one after payment by now.
func (b *Corrections) Rekind(ctx context.Context, id string, kind billing.CorrectionKind) error {
	return wrap(b.db.gorm.WithContext(ctx).Exec(`UPDATE corrections SET kind = ?, key_number = key_number + 1 WHERE id = ? AND state = 'approved'`, string(kind), id).Error)
}

// Lost counts a lost answer.
func (b *Corrections) Lost(ctx context.Context, id string, at time.Time) (int, time.Time, error) {
	var r struct {
		Lost      int
		LostSince time.Time
	}
	err := b.db.gorm.WithContext(ctx).Raw(`UPDATE corrections SET lost = lost + 1, lost_since = coalesce(lost_since, ?) WHERE id = ? AND state = 'approved' RETURNING lost, lost_since`, at, id).Scan(&r).Error
	return r.Lost, r.LostSince.UTC(), wrap(err)
}

// Done ends a correction. The cycle of a voided invoice is a person's from then on.
func (b *Corrections) Done(ctx context.Context, id, stripeID string, at time.Time) error {
	err := b.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec(`UPDATE corrections SET state = 'done', stripe_id = ?, detail = '', done_at = ? WHERE id = ? AND state = 'approved'`, stripeID, at, id)
		if res.Error != nil || res.RowsAffected == 0 {
			return res.Error // another worker was faster
		}
		c, err := loadCorrection(tx, id, "")
		if err != nil || c.Kind != billing.CorrectVoid {
			return err
		}
		if err := tx.Exec(`UPDATE writeback_intents SET state = 'needs_human', stripe_status = 'void', updated_at = ? WHERE cycle_id = ? AND invoice_id = ? AND state = 'released'`, at, c.CycleID, c.InvoiceID).Error; err != nil {
			return err
		}
		return moveCycle(ctx, tx, c.CycleID, billing.NeedsHuman, billing.HumanInvoiceVoided+": by correction "+id, at)
	})
	return wrap(err)
}

// Stop hands a correction to a person.
func (b *Corrections) Stop(ctx context.Context, id, detail string) error {
	return wrap(b.db.gorm.WithContext(ctx).Exec(`UPDATE corrections SET state = 'needs_human', detail = ? WHERE id = ? AND state = 'approved'`, detail, id).Error)
}

// adjustments are the true-ups that a cycle's price holds: those that are stored with it, or
// before it has a price those that no other cycle has.
func adjustments(tx *gorm.DB, j *invoicing.Judged) error {
	var rows []struct {
		ID, OriginPeriod, Line, Reason string
		HappenedAt                     time.Time
		AmountMinor                    int64
		Lift                           bool
	}
	err := tx.Raw(`
		SELECT a.id, o.period AS origin_period, a.line, a.reason, a.happened_at, a.amount_minor, EXISTS (SELECT 1 FROM cycle_lines l WHERE l.cycle_id = o.id AND l.snapshot_id = a.line) AS lift
		FROM adjustments a JOIN cycles o ON o.id = a.origin_cycle
		LEFT JOIN LATERAL (`+adjustmentUse+` AND c.account_id = a.account_id AND f.line = 'fee:adjustment:' || a.id) u ON true
		WHERE a.account_id = @account AND o.id <> @cycle AND CASE WHEN @priced THEN u.cycle_id = @cycle ELSE u.cycle_id IS NULL AND left(o.period, 7) <= left(@period, 7) END
		ORDER BY a.id`, map[string]any{"account": j.Account.ID, "cycle": j.CycleID, "priced": j.Priced, "period": j.Period.String()}).Scan(&rows).Error
	if err != nil {
		return err
	}
	for _, r := range rows {
		m, err := period.Parse(r.OriginPeriod)
		if err != nil {
			return err
		}
		a := billing.Adjustment{ID: r.ID, Origin: m.Add(0), Reason: billing.AdjustmentReason(r.Reason), At: r.HappenedAt.UTC(), AmountMinor: r.AmountMinor}
		if r.Lift {
			a.SnapshotID = r.Line
		}
		j.Adjustments = append(j.Adjustments, a)
	}
	return nil
}
