package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

// Change stores what is done to a month as a whole. Whoever closes holds the account and
// the month's breaks, so that a run that is being finished waits or is waited for.
func (r *Recon) Change(ctx context.Context, accountID, period string, decide func(account.Environment, recon.Month) (recon.Closing, audit.Entry, error)) error {
	err := r.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var env string
		if err := tx.Raw(`SELECT environment FROM accounts WHERE id = ? FOR UPDATE`, accountID).Scan(&env).Error; err != nil {
			return err
		}
		if env == "" {
			return fault.New(fault.NotFound, "account_not_found", "there is no account %q", accountID)
		}
		breaks, err := lockBreaks(tx, accountID, period)
		if err != nil {
			return err
		}
		m, err := monthOf(tx, accountID, period, breaks)
		if err != nil {
			return err
		}
		c, note, err := decide(environmentOf(env), m)
		if err != nil {
			return err
		}
		var run *int64
		if c.RunID != 0 {
			run = &c.RunID
		}
		err = tx.Exec(`INSERT INTO month_closes (account_id, environment, period, action, run_id, actor, person, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			accountID, env, period, string(c.Action), run, c.Actor.ID, c.Actor.Person, c.Reason, c.At).Error
		if err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	})
	return wrap(err)
}

// Month is how a month stands, as one statement after the other sees it: nothing rests on it.
func (r *Recon) Month(ctx context.Context, accountID, period string) (account.Environment, recon.Month, error) {
	tx := r.db.gorm.WithContext(ctx)
	var env string
	if err := tx.Raw(`SELECT environment FROM accounts WHERE id = ?`, accountID).Scan(&env).Error; err != nil {
		return account.Test, recon.Month{}, wrap(err)
	}
	if env == "" {
		return account.Test, recon.Month{}, fault.New(fault.NotFound, "account_not_found", "there is no account %q", accountID)
	}
	breaks, err := breaksOf(tx, accountID, period, "")
	if err != nil {
		return account.Test, recon.Month{}, wrap(err)
	}
	m, err := monthOf(tx, accountID, period, breaks)
	return environmentOf(env), m, wrap(err)
}

// monthOf is how a month with these breaks stands.
func monthOf(tx *gorm.DB, accountID, period string, breaks []recon.Break) (recon.Month, error) {
	m := recon.Month{AccountID: accountID, Period: period, Breaks: breaks}
	var row struct {
		Last, LastBy, LastPerson, State string
		UpdatedAt                       time.Time
		RunID                           int64
		FinishedAt                      time.Time
	}
	err := tx.Raw(`SELECT coalesce(x.action, '') AS last, coalesce(x.actor, '') AS last_by, coalesce(x.person, '') AS last_person,
		coalesce(c.state, '') AS state, c.updated_at, coalesce(r.id, 0) AS run_id, r.finished_at
		FROM (SELECT 1) one LEFT JOIN LATERAL (SELECT action, actor, person FROM month_closes WHERE account_id = ? AND period = ? ORDER BY seq DESC LIMIT 1) x ON true
		LEFT JOIN cycles c ON c.account_id = ? AND c.period = ?
		LEFT JOIN LATERAL (SELECT id, finished_at FROM recon_runs WHERE account_id = ? AND period = ? AND state = 'complete' ORDER BY id DESC LIMIT 1) r ON true`,
		accountID, period, accountID, period, accountID, period).Scan(&row).Error
	if err != nil {
		return m, err
	}
	m.Last, m.LastBy = recon.CloseAction(row.Last), recon.Actor{ID: row.LastBy, Person: row.LastPerson}
	m.CycleState, m.Ended, m.ChangedAt = row.State, billing.CycleState(row.State).Terminal(), row.UpdatedAt
	if m.CycleState == "" {
		m.CycleState = "not begun"
	}
	if m.RunID, m.ComparedAt = row.RunID, row.FinishedAt; m.RunID == 0 {
		return m, nil
	}
	var sums []recon.Sum
	err = tx.Raw(`SELECT line, currency, left_minor, right_minor, left_objects, right_objects FROM recon_sums WHERE run_id = ?`, m.RunID).Scan(&sums).Error
	m.TieOut = recon.NewTieOut(sums, m.Breaks)
	return m, err
}

// Closings lists what was done to a month as a whole.
func (r *Recon) Closings(ctx context.Context, accountID, period string) ([]recon.Closing, error) {
	var rows []struct {
		Action, Actor, Person, Reason string
		RunID                         *int64
		At                            time.Time
	}
	err := r.db.gorm.WithContext(ctx).Raw(`SELECT action, actor, person, reason, run_id, at FROM month_closes WHERE account_id = ? AND period = ? ORDER BY seq`, accountID, period).Scan(&rows).Error
	out := make([]recon.Closing, len(rows))
	for i, c := range rows {
		out[i] = recon.Closing{AccountID: accountID, Period: period, Action: recon.CloseAction(c.Action), Actor: recon.Actor{ID: c.Actor, Person: c.Person}, Reason: c.Reason, At: c.At.UTC()}
		if c.RunID != nil {
			out[i].RunID = *c.RunID
		}
	}
	return out, wrap(err)
}
