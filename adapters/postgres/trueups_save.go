package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Save stores a look. The account's row makes those who look at its years wait for each
// other, so that a look that was made from what another one has changed is refused.
func (u *TrueUps) Save(ctx context.Context, l trueups.Look, at time.Time) error {
	return wrap(u.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		mine, err := inTurn(tx, l)
		if err != nil || mine {
			return err
		}
		return insertLook(tx, l, at)
	}))
}

// inTurn holds the account's row and refuses a look that is out of date; mine is true where
// the cycle has looked already.
func inTurn(tx *gorm.DB, l trueups.Look) (mine bool, err error) {
	if err := tx.Exec("SELECT 1 FROM accounts WHERE id = ? FOR NO KEY UPDATE", l.Year.Account.ID).Error; err != nil {
		return false, err
	}
	var now struct{ Looks, Mine, Unsettled int }
	err = tx.Raw(`SELECT count(*) AS looks, count(*) FILTER (WHERE booking_cycle = @cycle AND booking_cycle <> settlement_cycle) AS mine,
		(SELECT count(*) FROM cycles c WHERE c.id = @settlement AND NOT (`+consumed+`)) AS unsettled FROM true_ups WHERE settlement_cycle = @settlement`,
		map[string]any{"cycle": l.CycleID, "settlement": l.Year.SettlementCycle}).Scan(&now).Error
	if err == nil && now.Mine == 0 && (now.Looks != l.Year.Looks || now.Unsettled > 0) {
		err = fault.New(fault.Unavailable, "true_up_moved", "while cycle %s looked at %s, another cycle did", l.CycleID, l.Year.SettlementCycle).
			Fix("Nothing was stored; the next attempt reads again")
	}
	return now.Mine > 0, err
}

func insertLook(tx *gorm.DB, l trueups.Look, at time.Time) error {
	env := l.Year.Account.Environment
	err := tx.Exec(`INSERT INTO true_ups (id, account_id, environment, settlement_cycle, booking_cycle, number, watermark, state, reason, fees_settled, fees_measured, booked_before, due_minor, recorded_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, l.ID, l.Year.Account.ID, env.String(), l.Year.SettlementCycle, l.CycleID, l.Number, l.Watermark, string(l.State), l.Reason,
		l.SettledMinor, l.MeasuredMinor, l.Year.BookedMinor, l.DueMinor, at).Error
	if err != nil {
		return err
	}
	for _, f := range l.Facts {
		err := tx.Exec(`INSERT INTO true_up_facts (true_up_id, fact_key, unit_id, snapshot_id, cause, origin, happened_at, amount_minor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			l.ID, f.Key, f.UnitID, f.SnapshotID, string(f.Cause), f.Origin.String(), f.At, f.AmountMinor).Error
		if err != nil {
			return err
		}
	}
	for _, r := range l.Readouts {
		if err := tx.Exec(`INSERT INTO true_up_readouts (true_up_id, snapshot_id, case_id, manifest) VALUES (?, ?, ?, ?)`, l.ID, r.SnapshotID, r.CaseID, string(r.ManifestJSON())).Error; err != nil {
			return err
		}
	}
	for _, line := range l.Lines {
		if err := insertTrueUpLine(tx, l, line, env, at); err != nil {
			return err
		}
	}
	return nil
}

func insertTrueUpLine(tx *gorm.DB, l trueups.Look, line trueups.Line, env account.Environment, at time.Time) error {
	origin := billing.CycleID(l.Year.Account.ID, line.Origin)
	if line.AdjustmentID != "" {
		err := tx.Exec(`INSERT INTO adjustments (id, account_id, environment, origin_cycle, line, reason, happened_at, amount_minor, source, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			line.AdjustmentID, l.Year.Account.ID, env.String(), origin, line.SnapshotID, string(line.Cause), line.HappenedAt, line.AmountMinor, l.ID+"/"+origin, at).Error
		if err != nil {
			return err
		}
	}
	return tx.Exec(`INSERT INTO true_up_lines (true_up_id, origin_cycle, snapshot_id, cause, facts, happened_at, revenue_minor, lift_minor, amount_minor, adjustment_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.ID, origin, line.SnapshotID, string(line.Cause), line.Facts, line.HappenedAt, line.RevenueMinor, line.LiftMinor, line.AmountMinor, line.AdjustmentID).Error
}

// Closing is the booking of an account that no cycle follows any more.
func (u *TrueUps) Closing(ctx context.Context, accountID string, at time.Time, freeze bool) (trueups.Booking, error) {
	acc, err := u.db.Account(ctx, accountID)
	if err != nil {
		return trueups.Booking{}, err
	}
	var r struct {
		ID, Period string
		Follows    bool
	}
	err = u.db.gorm.WithContext(ctx).Raw(`SELECT c.id, c.period, EXISTS (SELECT 1 FROM measurement_plans p WHERE p.account_id = c.account_id AND p.first_period > left(c.period, 7)) AS follows
		FROM cycles c WHERE c.account_id = ? AND c.period LIKE '%-settlement' AND `+consumed+` ORDER BY c.period DESC LIMIT 1`, accountID).Scan(&r).Error
	switch {
	case err != nil:
		return trueups.Booking{}, wrap(err)
	case r.ID == "":
		return trueups.Booking{}, fault.New(fault.Conflict, "year_not_settled", "no contract year of account %s is settled", accountID).Fix("Refunds of an open year are netted by its next look")
	case r.Follows:
		return trueups.Booking{}, fault.New(fault.Conflict, "cycles_follow", "account %s has cycles after its settlement %s", accountID, r.Period).Fix("The next one takes up what came since")
	}
	b := trueups.Booking{CycleID: r.ID, Environment: acc.Environment, End: at, Watermark: at, Settlements: []string{r.ID}, Closing: true}
	if freeze {
		b.Watermark, err = (&Cycles{u.db}).Freeze(ctx, acc, at)
	}
	return b, err
}

// lastLook is until when a settled year is trued up, as trueups has it: months after the end of
// its run-off, where a day that a month does not have runs over into the next one. It takes
// the months where the terms say none.
const lastLook = `(date_trunc('month', x.ended) + make_interval(months => coalesce((k.terms::jsonb -> 'true_up' ->> 'limit_months')::int, ?)) + (x.ended - date_trunc('month', x.ended)))`

// Ended lists the accounts whose last settled year no sealed plan follows.
func (u *TrueUps) Ended(ctx context.Context, f trueups.EndedFilter, at time.Time, limit int) ([]trueups.Ended, error) {
	var q where
	q.scoped(f.Scope, "a.environment", "a.id")
	q.eq("a.id", f.AccountID)
	q.eq("a.environment", f.Environment)
	q.add(`c.period LIKE '%-settlement' AND ` + consumed)
	q.add("NOT EXISTS (SELECT 1 FROM measurement_plans p WHERE p.account_id = c.account_id AND p.first_period > left(c.period, 7))")
	var out []trueups.Ended
	err := u.db.gorm.WithContext(ctx).Raw(`SELECT x.account_id, x.account_name, x.settlement_cycle FROM (
			SELECT DISTINCT ON (a.id) a.id AS account_id, a.name AS account_name, c.id AS settlement_cycle, c.contract_id, c.period_end AT TIME ZONE 'UTC' AS ended
			FROM cycles c JOIN accounts a ON a.id = c.account_id`+q.sql()+` ORDER BY a.id, c.period DESC) x
		JOIN contracts k ON k.id = x.contract_id WHERE ? OR `+lastLook+` >= ?::timestamptz AT TIME ZONE 'UTC' ORDER BY x.account_id LIMIT ?`,
		append(q.args, f.AccountID != "", billing.TrueUpMonths, at, limit)...).Scan(&out).Error
	return out, wrap(err)
}

// SaveClosing stores a look with its corrections in one transaction.
func (u *TrueUps) SaveClosing(ctx context.Context, l trueups.Look, note audit.Entry) ([]trueups.Credit, error) {
	var out []trueups.Credit
	err := u.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if _, err := inTurn(tx, l); err != nil {
			return err
		}
		l.DueMinor = 0
		for i := range l.Lines {
			credits, err := creditYear(ctx, tx, l, l.Lines[i], note)
			if err != nil {
				return err
			}
			l.Lines[i].AmountMinor = 0
			for _, c := range credits {
				l.Lines[i].AmountMinor -= c.AmountMinor
			}
			l.DueMinor += l.Lines[i].AmountMinor
			out = append(out, credits...)
		}
		return insertLook(tx, l, note.At)
	})
	return out, wrap(err)
}

// creditYear proposes what one line has to give back, on the year's released invoices that
// have the line, newest first.
func creditYear(ctx context.Context, tx *gorm.DB, l trueups.Look, line trueups.Line, note audit.Entry) ([]trueups.Credit, error) {
	first := l.Year.Period.Add(-11).String()
	var cycles []string
	err := tx.Raw(`SELECT c.id FROM cycles c JOIN writeback_intents w ON w.cycle_id = c.id AND w.state = 'released' JOIN writeback_lines x ON x.intent_id = w.id AND x.line = ?
		WHERE c.account_id = ? AND c.period >= ? AND c.period <= ? AND c.state = 'invoiced' ORDER BY c.period DESC`, line.SnapshotID, l.Year.Account.ID, first, l.Year.Period.String()).Scan(&cycles).Error
	if err != nil {
		return nil, err
	}
	var out []trueups.Credit
	rest := -line.AmountMinor
	for _, id := range cycles {
		c, err := correctable(tx, id, line.SnapshotID)
		if err != nil {
			return nil, err
		}
		part := min(rest, c.LineMinor-c.LineCreditedMinor, c.Standing.TotalMinor-c.Standing.CreditedMinor)
		if part <= 0 {
			continue
		}
		kind, err := billing.DecideCorrection(c.Standing, billing.Wish{Line: line.SnapshotID, TooMuchMinor: part, LineMinor: c.LineMinor, LineCreditedMinor: c.LineCreditedMinor})
		if fault.Is(err, fault.Conflict) {
			continue // void, uncollectible or partly paid: an older one
		}
		if err != nil {
			return nil, err
		}
		made, err := proposeCorrection(ctx, tx, invoicing.Wanted{
			CycleID: id, Line: line.SnapshotID, TooMuchMinor: part, Reason: note.Reason + " (true-up of " + line.Origin.String() + ", " + string(line.Cause) + ")",
		}, kind, note)
		if err != nil {
			return nil, err
		}
		out = append(out, trueups.Credit{CorrectionID: made.ID, CycleID: id, Line: line.SnapshotID, Kind: kind, AmountMinor: part, Currency: made.Currency})
		if rest -= part; rest == 0 {
			break
		}
	}
	return out, nil
}
