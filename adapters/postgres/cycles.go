package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Cycles implements measure.Ledger.
type Cycles struct{ db *DB }

// NewCycles opens the ledger of cycles.
func (db *DB) NewCycles() *Cycles { return &Cycles{db} }

type cycleRow struct {
	ID              string `gorm:"primaryKey"`
	AccountID       string
	Environment     string
	Period          string
	PeriodStart     time.Time
	PeriodEnd       time.Time
	ContractID      string
	PlanID          string
	State           string
	Reason          string
	WorkflowID      string
	Watermark       *time.Time
	SourceWatermark *time.Time
	InputDigest     string
	PaidMinor       *int64
	StripeNetMinor  *int64
	OpenedAt        time.Time
	UpdatedAt       time.Time `gorm:"autoUpdateTime:false"`
}

func (cycleRow) TableName() string { return "cycles" }

// OpenCycle makes the cycle with the contract version that holds in the month, or
// returns the one that is there. A period that is not the contract's is refused.
func (c *Cycles) OpenCycle(ctx context.Context, accountID string, m period.Month, workflowID string, at time.Time) (measure.Cycle, error) {
	var out measure.Cycle
	err := c.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		acc, err := accounts{tx}.Account(ctx, accountID)
		if err != nil {
			return err
		}
		// Nobody adds a version between the look at the contract and the cycle.
		if err := tx.WithContext(ctx).Exec("SELECT 1 FROM accounts WHERE id = ? FOR SHARE", accountID).Error; err != nil {
			return err
		}
		contract, err := agreements{tx}.at(ctx, accountID, m)
		if err != nil {
			return err
		}
		plan, err := agreements{tx}.Plan(ctx, accountID)
		if err != nil {
			return err
		}
		if err := coversMonth(plan.Plan.Plan(), accountID, m); err != nil {
			return err
		}
		settled, err := contract.SettledAt(m, plan.Plan.Plan().AttributionDays)
		if err != nil {
			return err
		}
		if at.Before(settled) {
			return fault.New(fault.Conflict, "period_not_settled", "%s of account %s settles at %s", m, accountID, settled.Format(time.RFC3339)).
				Fix("Wait for the close lag of the contract")
		}
		zone, err := contract.Zone()
		if err != nil {
			return err
		}
		in := m.In(zone)
		err = tx.WithContext(ctx).Exec(`
			INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, workflow_id, opened_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'collecting', ?, ?, ?) ON CONFLICT (account_id, period) DO NOTHING`,
			billing.CycleID(accountID, m), accountID, acc.Environment.String(), m.String(), in.Start, in.End, contract.ID, plan.ID, workflowID, at, at).Error
		if err != nil {
			return err
		}
		out, err = loadCycle(ctx, tx, billing.CycleID(accountID, m))
		return err
	})
	return out, wrap(err)
}

// coversMonth refuses a month outside the contract year that a plan was sealed for: its
// error budget is spent.
func coversMonth(plan lift.Plan, accountID string, m period.Month) error {
	first, err := plan.First()
	if err != nil {
		return err
	}
	if n := m.Sub(first); n < 0 || n >= lift.PeriodsPerYear {
		return fault.New(fault.Conflict, "plan_missing_for_year", "the measurement plan of account %s covers the year from %s, not %s", accountID, first, m).
			Fix("Seal a plan for that contract year")
	}
	return nil
}

// Cycle loads a cycle with its agreements.
func (c *Cycles) Cycle(ctx context.Context, id string) (measure.Cycle, error) {
	return loadCycle(ctx, c.db.gorm, id)
}

func loadCycle(ctx context.Context, tx *gorm.DB, id string) (measure.Cycle, error) {
	var r cycleRow
	if err := tx.WithContext(ctx).Take(&r, "id = ?", id).Error; err != nil {
		return measure.Cycle{}, notFound(err, "cycle", id)
	}
	return r.load(ctx, tx)
}

func (r cycleRow) load(ctx context.Context, tx *gorm.DB) (measure.Cycle, error) {
	out := measure.Cycle{
		ID: r.ID, PlanID: r.PlanID, State: billing.CycleState(r.State),
		Interval: period.Interval{Start: r.PeriodStart.UTC(), End: r.PeriodEnd.UTC()}, SnapshotName: map[string]string{},
	}
	if r.Watermark != nil {
		out.Watermark = r.Watermark.UTC()
	}
	var err error
	if out.Period, err = period.Parse(r.Period); err != nil {
		return out, err
	}
	if out.Account, err = (accounts{tx}).Account(ctx, r.AccountID); err != nil {
		return out, err
	}
	if out.Contract, err = (agreements{tx}).contract(ctx, r.ContractID); err != nil {
		return out, err
	}
	plan, err := agreements{tx}.plan(ctx, r.PlanID)
	if err != nil {
		return out, err
	}
	out.Plan, out.SealedSalt = plan.Plan, plan.SealedSalt
	snapshots, err := agreements{tx}.Snapshots(ctx, r.AccountID)
	if err != nil {
		return out, err
	}
	for _, s := range snapshots {
		out.SnapshotName[s.ID] = s.Name
	}
	if out.YearStart, err = out.Contract.YearStart(out.Period); err != nil {
		return out, err
	}
	zone, err := out.Contract.Zone()
	if err != nil {
		return out, err
	}
	out.YearToDate = period.Interval{Start: out.YearStart.In(zone).Start, End: out.Interval.End}
	return out, nil
}

// calendarAccounts selects the accounts of a calendar that can be billed in a month:
// the contract version that holds then is on it, and a plan is sealed.
const calendarAccounts = `
	SELECT a.id AS account_id
	FROM accounts a JOIN LATERAL (
		SELECT * FROM contracts k WHERE k.account_id = a.id AND k.effective_from <= ? ORDER BY version DESC LIMIT 1) k ON true
	WHERE a.environment = ? AND k.time_zone = ? AND k.close_lag_days = ?
	  AND EXISTS (SELECT 1 FROM measurement_plans p WHERE p.account_id = a.id)`

// DuePeriods lists the months of a calendar that have ended, are settled by asOf and
// are not finished for some account, with the number of such accounts. A month belongs
// to the calendar of the contract version that holds in it.
func (c *Cycles) DuePeriods(ctx context.Context, env account.Environment, cal billing.Calendar, asOf time.Time) (map[period.Month]int, error) {
	zone, err := period.LoadZone(cal.TimeZone)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		AccountID, EffectiveFrom string
		Until                    *string
	}
	err = c.db.gorm.WithContext(ctx).Raw(`
		SELECT * FROM (
			SELECT account_id, environment, time_zone, close_lag_days, effective_from,
				lead(effective_from) OVER (PARTITION BY account_id ORDER BY version) AS until FROM contracts) k
		WHERE environment = ? AND time_zone = ? AND close_lag_days = ?
		  AND EXISTS (SELECT 1 FROM measurement_plans p WHERE p.account_id = k.account_id)`, env.String(), cal.TimeZone, cal.CloseLagDays).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	var ids []string
	err = c.db.gorm.WithContext(ctx).Raw(`SELECT id FROM cycles WHERE environment = ? AND state IN ('invoiced', 'withheld', 'dry_run')`, env.String()).Scan(&ids).Error
	if err != nil {
		return nil, wrap(err)
	}
	finished := make(map[string]bool, len(ids))
	for _, id := range ids {
		finished[id] = true
	}
	due := map[period.Month]int{}
	for _, r := range rows {
		m, err := period.ParseMonth(r.EffectiveFrom)
		if err != nil {
			return nil, err
		}
		for ; !m.In(zone).End.AddDate(0, 0, cal.CloseLagDays).After(asOf) && (r.Until == nil || m.String() < *r.Until); m = m.Add(1) {
			if !finished[billing.CycleID(r.AccountID, m)] {
				due[m]++
			}
		}
	}
	return due, nil
}

// ListAccounts pages by ID through the accounts whose month is not finished.
func (c *Cycles) ListAccounts(ctx context.Context, env account.Environment, cal billing.Calendar, m period.Month, after string, limit int) ([]string, error) {
	var ids []string
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT account_id FROM (`+calendarAccounts+`) d WHERE account_id > ?
		AND NOT EXISTS (SELECT 1 FROM cycles c WHERE c.account_id = d.account_id AND c.period = ? AND c.state IN ('invoiced', 'withheld', 'dry_run'))
		ORDER BY account_id LIMIT ?`, m.String(), env.String(), cal.TimeZone, cal.CloseLagDays, after, m.String(), limit).Scan(&ids).Error
	return ids, wrap(err)
}

// Calendars lists the distinct calendars of an environment's contracts.
func (c *Cycles) Calendars(ctx context.Context) (map[account.Environment][]billing.Calendar, error) {
	var rows []struct {
		Environment, TimeZone string
		CloseLagDays          int
	}
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT DISTINCT environment, time_zone, close_lag_days FROM contracts ORDER BY 1, 2, 3`).Scan(&rows).Error
	out := map[account.Environment][]billing.Calendar{}
	for _, r := range rows {
		env := account.Environment(r.Environment)
		out[env] = append(out[env], billing.Calendar{TimeZone: r.TimeZone, CloseLagDays: r.CloseLagDays})
	}
	return out, wrap(err)
}

// Counts says how many accounts of a calendar have a cycle in the month, and how
// many of the cycles are in which state.
func (c *Cycles) Counts(ctx context.Context, env account.Environment, cal billing.Calendar, m period.Month) (total int, byState map[billing.CycleState]int, err error) {
	var rows []struct {
		State *string
		N     int
	}
	err = c.db.gorm.WithContext(ctx).Raw(`SELECT c.state, count(*) AS n FROM (`+calendarAccounts+`) d
		LEFT JOIN cycles c ON c.account_id = d.account_id AND c.period = ? GROUP BY c.state`,
		m.String(), env.String(), cal.TimeZone, cal.CloseLagDays, m.String()).Scan(&rows).Error
	byState = map[billing.CycleState]int{}
	for _, r := range rows {
		total += r.N
		if r.State != nil {
			byState[billing.CycleState(*r.State)] = r.N
		}
	}
	return total, byState, wrap(err)
}
