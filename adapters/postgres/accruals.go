package postgres

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
)

// Accruals implements accrual.Ledger.
type Accruals struct{ db *DB }

// NewAccruals opens the figures of open months.
func (db *DB) NewAccruals() *Accruals { return &Accruals{db} }

var _ accrual.Ledger = (*Accruals)(nil)

// Environment of an account.
func (a *Accruals) Environment(ctx context.Context, accountID string) (account.Environment, error) {
	acc, err := a.db.Account(ctx, accountID)
	return acc.Environment, err
}

// Frozen reports whether the month's inputs are frozen.
func (a *Accruals) Frozen(ctx context.Context, accountID, period string) (bool, error) {
	var frozen bool
	err := a.db.gorm.WithContext(ctx).Raw(`SELECT EXISTS (SELECT 1 FROM cycles WHERE account_id = ? AND period = ? AND watermark IS NOT NULL)`, accountID, period).Scan(&frozen).Error
	return frozen, wrap(err)
}

// openMonths is how many months of an account, with the present one, are looked at.
const openMonths = 13

// Open lists the months that have begun and are not frozen.
func (a *Accruals) Open(ctx context.Context, env account.Environment, after accrual.Month, at time.Time, limit int) ([]accrual.Month, error) {
	var out []accrual.Month
	err := a.db.gorm.WithContext(ctx).Raw(`
		WITH newest AS (SELECT DISTINCT ON (account_id) account_id, time_zone, first_period FROM contracts WHERE environment = ? ORDER BY account_id, version DESC),
		months AS (
			SELECT account_id, first_period, to_char((?::timestamptz AT TIME ZONE time_zone)::date - ((extract(day FROM ?::timestamptz AT TIME ZONE time_zone) - 1) || ' days')::interval
				- (n || ' months')::interval, 'YYYY-MM') AS period
			FROM newest, generate_series(0, ? - 1) n)
		SELECT m.account_id, m.period FROM months m LEFT JOIN cycles c ON c.account_id = m.account_id AND c.period = m.period
		WHERE m.period >= m.first_period AND c.watermark IS NULL AND (m.account_id, m.period) > (?, ?) ORDER BY m.account_id, m.period LIMIT ?`,
		env.String(), at, at, openMonths, after.AccountID, after.Period, limit).Scan(&out).Error
	return out, wrap(err)
}

type accrualRow struct {
	AccountID, AccountName, Environment, Period, Run, TimeZone, ContractID, ComputedBy, Currency, Phase, Held, Lines, WaitsFor, InputDigest, Digest, State string
	AsOf, PeriodStart, PeriodEnd                                                                                                                           time.Time
	Over                                                                                                                                                   bool
	LowPerformance, LowFixed, LowBalance, ExpectedPerformance, ExpectedFixed, ExpectedBalance, High                                                        int64
	RealisedMinor                                                                                                                                          *int64
}

// accrualSelect shows accruals r, and what the month's cycle came to, once it is final: what
// a person skipped came to nothing.
const accrualSelect = `
	SELECT r.*, a.name AS account_name, coalesce(c.state, '') AS state,
		CASE WHEN c.state = 'skipped' THEN 0 WHEN c.state IN ('invoiced', 'withheld', 'dry_run') THEN coalesce(i.total_minor, 0) END AS realised_minor
	FROM accruals r JOIN accounts a ON a.id = r.account_id
	LEFT JOIN cycles c ON c.account_id = r.account_id AND c.period = r.period` + cycleInvoice

func (r accrualRow) accrual() (accrual.Accrual, error) {
	out := accrual.Accrual{
		AccountID: r.AccountID, AccountName: r.AccountName, Environment: environmentOf(r.Environment), Period: r.Period, Interval: period.Interval{Start: r.PeriodStart.UTC(), End: r.PeriodEnd.UTC()},
		TimeZone: r.TimeZone, ContractID: r.ContractID, Run: r.Run, AsOf: r.AsOf.UTC(), By: r.ComputedBy, Over: r.Over, InputDigest: r.InputDigest, Digest: r.Digest,
		State: billing.CycleState(r.State), RealisedMinor: r.RealisedMinor,
		Accrual: billing.Accrual{
			Currency: money.Currency(r.Currency), Phase: billing.PhaseKind(r.Phase), Held: billing.HeldReason(r.Held), HighMinor: r.High,
			Low:      billing.Accrued{PerformanceMinor: r.LowPerformance, FixedMinor: r.LowFixed, BalanceMinor: r.LowBalance},
			Expected: billing.Accrued{PerformanceMinor: r.ExpectedPerformance, FixedMinor: r.ExpectedFixed, BalanceMinor: r.ExpectedBalance},
		},
	}
	if err := json.Unmarshal([]byte(r.Lines), &out.Lines); err != nil {
		return out, err
	}
	err := json.Unmarshal([]byte(r.WaitsFor), &out.WaitsFor)
	return out, err
}

// OfRun is what a run stored of a month.
func (a *Accruals) OfRun(ctx context.Context, m accrual.Month, run string) (accrual.Accrual, bool, error) {
	return ofRun(a.db.gorm.WithContext(ctx), m, run)
}

func ofRun(tx *gorm.DB, m accrual.Month, run string) (accrual.Accrual, bool, error) {
	var rows []accrualRow
	err := tx.Raw(accrualSelect+` WHERE r.account_id = ? AND r.period = ? AND r.run = ?`, m.AccountID, m.Period, run).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return accrual.Accrual{}, false, wrap(err)
	}
	out, err := rows[0].accrual()
	return out, err == nil, err
}

// Save stores an accrual once per run.
func (a *Accruals) Save(ctx context.Context, in accrual.Accrual, note audit.Entry) (accrual.Accrual, bool, error) {
	lines, err := json.Marshal(orEmpty(in.Lines))
	if err != nil {
		return in, false, err
	}
	waits, err := json.Marshal(orEmpty(in.WaitsFor))
	if err != nil {
		return in, false, err
	}
	var out accrual.Accrual
	fresh := false
	err = a.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec(`INSERT INTO accruals (account_id, environment, period, as_of, run, period_start, period_end, time_zone, contract_id, computed_by, over, currency, phase, held,
				low_performance, low_fixed, low_balance, expected_performance, expected_fixed, expected_balance, high, lines, waits_for, input_digest, digest)
			VALUES (`+strings.Repeat("?, ", 24)+`?) ON CONFLICT DO NOTHING`,
			in.AccountID, in.Environment.String(), in.Period, in.AsOf, in.Run, in.Interval.Start, in.Interval.End, in.TimeZone, in.ContractID, in.By, in.Over, string(in.Currency), string(in.Phase), string(in.Held),
			in.Low.PerformanceMinor, in.Low.FixedMinor, in.Low.BalanceMinor, in.Expected.PerformanceMinor, in.Expected.FixedMinor, in.Expected.BalanceMinor, in.HighMinor,
			string(lines), string(waits), in.InputDigest, in.Digest)
		if res.Error != nil {
			return res.Error
		}
		fresh = res.RowsAffected == 1
		var ok bool
		out, ok, err = ofRun(tx, accrual.Month{AccountID: in.AccountID, Period: in.Period}, in.Run)
		if err == nil && !ok { // another run looked at the same moment
			out, fresh = in, false
		}
		if err != nil || !fresh || note.Action == "" {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	})
	return out, fresh, wrap(err)
}

func orEmpty[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

// Accruals pages by (as of, account and period), newest first.
func (a *Accruals) Accruals(ctx context.Context, f accrual.Filter) (accrual.Page, error) {
	q := where{}
	q.scoped(f.Scope, "x.environment", "x.account_id")
	q.eq("x.account_id", f.AccountID)
	q.eq("x.period", f.Period)
	q.eq("x.environment", f.Environment)
	const final = `EXISTS (SELECT 1 FROM cycles c WHERE c.account_id = x.account_id AND c.period = x.period AND c.state IN ('invoiced', 'withheld', 'dry_run', 'skipped'))`
	switch f.Closed {
	case "closed":
		q.add(final)
	case "open":
		q.add("NOT " + final)
	}
	if f.Cursor != "" {
		at, _, err := parseCursor(f.Cursor)
		if err == nil {
			_, err = time.Parse(time.RFC3339Nano, at)
		}
		if err != nil {
			return accrual.Page{}, badCursor(f.Cursor)
		}
	}
	if err := q.after(f.Cursor, "(x.as_of, x.account_id || '/' || x.period) < (?::timestamptz, ?)"); err != nil {
		return accrual.Page{}, err
	}
	of := "accrual_newest"
	if f.History {
		of = "accruals"
	}
	var rows []accrualRow
	err := a.db.gorm.WithContext(ctx).Raw(`WITH shown AS MATERIALIZED (
			SELECT x.account_id, x.period, x.as_of FROM `+of+` x`+q.sql()+` ORDER BY x.as_of DESC, x.account_id || '/' || x.period DESC LIMIT ?)`+accrualSelect+`
		JOIN shown x ON x.account_id = r.account_id AND x.period = r.period AND x.as_of = r.as_of ORDER BY r.as_of DESC, r.account_id || '/' || r.period DESC`, append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return accrual.Page{}, wrap(err)
	}
	page, err := pageOf(rows, f.Limit, accrualRow.accrual, func(r accrualRow) string {
		return cursor(r.AsOf.UTC().Format(time.RFC3339Nano), r.AccountID+"/"+r.Period)
	})
	return accrual.Page{Items: page.Items, NextCursor: page.NextCursor}, err
}
