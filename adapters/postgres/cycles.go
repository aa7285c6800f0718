package postgres

import (
	"context"
	"encoding/json"
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
	Revision        int
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
		// Nobody adds a version between the look at the contract and the cycle.
		if err := tx.WithContext(ctx).Exec("SELECT 1 FROM accounts WHERE id = ? FOR SHARE", accountID).Error; err != nil {
			return err
		}
		r, settled, err := agreed(ctx, tx, accountID, m)
		if err != nil {
			return err
		}
		if at.Before(settled) {
			return fault.New(fault.Conflict, "period_not_settled", "%s of account %s settles at %s", m, accountID, settled.Format(time.RFC3339)).
				Fix("Wait for the close lag of the contract")
		}
		err = tx.WithContext(ctx).Exec(`
			INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, workflow_id, opened_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'collecting', ?, ?, ?) ON CONFLICT (account_id, period) DO NOTHING`,
			r.ID, accountID, r.Environment, r.Period, r.PeriodStart, r.PeriodEnd, r.ContractID, r.PlanID, workflowID, at, at).Error
		if err != nil {
			return err
		}
		out, err = loadCycle(ctx, tx, billing.CycleID(accountID, m))
		return err
	})
	return out, wrap(err)
}

// agreed is a cycle's row as it is opened: with the contract version and the plan that
// hold in the period, which settles at the given time.
func agreed(ctx context.Context, tx *gorm.DB, accountID string, m period.Month) (cycleRow, time.Time, error) {
	acc, err := accounts{tx}.Account(ctx, accountID)
	if err != nil {
		return cycleRow{}, time.Time{}, err
	}
	contract, err := agreements{tx}.at(ctx, accountID, m)
	if err != nil {
		return cycleRow{}, time.Time{}, err
	}
	plan, err := agreements{tx}.planOf(ctx, accountID, m)
	if err != nil {
		return cycleRow{}, time.Time{}, err
	}
	runOff := plan.Plan.Plan().AttributionDays
	in, err := contract.Interval(m, runOff)
	if err != nil {
		return cycleRow{}, time.Time{}, err
	}
	settled, err := contract.SettledAt(m, runOff)
	return cycleRow{
		ID: billing.CycleID(accountID, m), AccountID: accountID, Environment: acc.Environment.String(), Period: m.String(), PeriodStart: in.Start, PeriodEnd: in.End,
		ContractID: contract.ID, PlanID: plan.ID, State: string(billing.Collecting),
	}, settled, err
}

// Planned implements measure.Planner.
func (c *Cycles) Planned(ctx context.Context, accountID string, m period.Month) (measure.Cycle, time.Time, error) {
	tx := c.db.gorm
	r, settled, err := agreed(ctx, tx, accountID, m)
	if err != nil {
		return measure.Cycle{}, settled, wrap(err)
	}
	r.Revision = 1
	var stored cycleRow
	if err := tx.WithContext(ctx).Raw(`SELECT * FROM cycles WHERE id = ?`, r.ID).Scan(&stored).Error; err != nil {
		return measure.Cycle{}, settled, wrap(err)
	}
	out, err := r.load(ctx, tx)
	if stored.ID != "" {
		out.Revision = stored.Revision
		if !billing.CycleState(stored.State).Terminal() {
			out.Replaces = r.ID
		}
	}
	return out, settled, wrap(err)
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
		ID: r.ID, PlanID: r.PlanID, State: billing.CycleState(r.State), Revision: r.Revision,
		Interval: period.Interval{Start: r.PeriodStart.UTC(), End: r.PeriodEnd.UTC()}, SnapshotName: map[string]string{},
	}
	if r.Watermark != nil {
		out.Watermark = r.Watermark.UTC()
	}
	err := tx.WithContext(ctx).Raw(`SELECT EXISTS (SELECT 1 FROM writeback_intents w WHERE w.cycle_id = ? AND w.state = 'superseded' AND w.retired_at IS NULL)`, r.ID).Scan(&out.Leftover).Error
	if err != nil {
		return out, wrap(err)
	}
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
	year := period.Interval{Start: out.YearStart.In(zone).Start, End: out.Interval.End}
	out.YearToDate, out.Exposed = year, year
	if out.Period.IsSettlement() {
		out.Exposed.End = out.Interval.Start
	}
	return out, nil
}

// cohortAccounts selects the accounts of a calendar that can be billed for a month: the
// contract version that holds then is on it, and a plan is sealed.
const cohortAccounts = `
	SELECT a.id AS account_id
	FROM accounts a JOIN LATERAL (
		SELECT * FROM contracts k WHERE k.account_id = a.id AND k.effective_from <= @period ORDER BY version DESC LIMIT 1) k ON true
	WHERE a.environment = @env AND k.time_zone = @zone AND k.close_lag_days = @lag
	  AND EXISTS (SELECT 1 FROM measurement_plans p WHERE p.account_id = a.id`

// cohort is the SQL of a cohort's accounts with its arguments. A settlement's have the plan
// of the year that it ends, and the year's attribution window has passed.
func cohort(c billing.Cohort) (sql string, args map[string]any, err error) {
	zone, err := period.LoadZone(c.Calendar.TimeZone)
	if err != nil {
		return "", nil, err
	}
	args = map[string]any{"period": c.Period.String(), "env": c.Environment.String(), "zone": c.Calendar.TimeZone, "lag": c.Calendar.CloseLagDays}
	if !c.Period.IsSettlement() {
		return cohortAccounts + ")", args, nil
	}
	args["year"] = c.Period.Add(1 - lift.PeriodsPerYear).String()
	args["left"] = int(c.AsOf.Sub(c.Period.In(zone).End.AddDate(0, 0, c.Calendar.CloseLagDays)) / (24 * time.Hour))
	return cohortAccounts + " AND p.first_period = @year AND p.attribution_days <= @left)", args, nil
}

// DuePeriods lists the periods of a calendar that have ended, are settled by asOf and
// are not finished for some account, with the number of such accounts. A period belongs
// to the calendar of the contract version that holds in it.
func (c *Cycles) DuePeriods(ctx context.Context, env account.Environment, cal billing.Calendar, asOf time.Time) (map[period.Month]int, error) {
	zone, err := period.LoadZone(cal.TimeZone)
	if err != nil {
		return nil, err
	}
	var rows []dueRow
	err = c.db.gorm.WithContext(ctx).Raw(`
		SELECT k.*, p.years FROM (
			SELECT account_id, environment, time_zone, close_lag_days, effective_from,
				lead(effective_from) OVER (PARTITION BY account_id ORDER BY version) AS until FROM contracts) k
		JOIN (SELECT account_id, jsonb_object_agg(first_period, attribution_days)::text AS years FROM measurement_plans GROUP BY account_id) p USING (account_id)
		WHERE environment = ? AND time_zone = ? AND close_lag_days = ?`, env.String(), cal.TimeZone, cal.CloseLagDays).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	var ids []string
	err = c.db.gorm.WithContext(ctx).Raw(`SELECT id FROM cycles WHERE environment = ? AND state IN ('invoiced', 'withheld', 'dry_run', 'skipped')`, env.String()).Scan(&ids).Error
	if err != nil {
		return nil, wrap(err)
	}
	finished := make(map[string]bool, len(ids))
	for _, id := range ids {
		finished[id] = true
	}
	due := map[period.Month]int{}
	for _, r := range rows {
		months, err := r.periods(zone, cal.CloseLagDays, asOf)
		if err != nil {
			return nil, err
		}
		for _, m := range months {
			if !finished[billing.CycleID(r.AccountID, m)] {
				due[m]++
			}
		}
	}
	return due, nil
}

// dueRow is a contract version with the account's plans: attribution days by first period.
type dueRow struct {
	AccountID, EffectiveFrom, Years string
	Until                           *string
}

// periods are the months and settlements of the version that are over by asOf.
func (r dueRow) periods(zone *time.Location, lagDays int, asOf time.Time) ([]period.Month, error) {
	from, err := period.ParseMonth(r.EffectiveFrom)
	if err != nil {
		return nil, err
	}
	var years map[string]int
	if err := json.Unmarshal([]byte(r.Years), &years); err != nil {
		return nil, err
	}
	var out []period.Month
	for m := from; !m.In(zone).End.AddDate(0, 0, lagDays).After(asOf) && (r.Until == nil || m.String() < *r.Until); m = m.Add(1) {
		out = append(out, m)
		runOff, ends := years[m.Add(1-lift.PeriodsPerYear).String()]
		if ends && !m.In(zone).End.AddDate(0, 0, runOff+lagDays).After(asOf) {
			out = append(out, m.Settlement())
		}
	}
	return out, nil
}

// ListAccounts pages by ID through the accounts of a cohort whose period is not finished.
func (c *Cycles) ListAccounts(ctx context.Context, of billing.Cohort, after string, limit int) ([]string, error) {
	sql, args, err := cohort(of)
	if err != nil {
		return nil, err
	}
	args["after"], args["limit"] = after, limit
	var ids []string
	err = c.db.gorm.WithContext(ctx).Raw(`SELECT account_id FROM (`+sql+`) d WHERE account_id > @after
		AND NOT EXISTS (SELECT 1 FROM cycles c WHERE c.account_id = d.account_id AND c.period = @period AND `+finished+`)
		ORDER BY account_id LIMIT @limit`, args).Scan(&ids).Error
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

// Counts says how many accounts of a cohort have a cycle in the period, and how many of
// the cycles are in which state.
func (c *Cycles) Counts(ctx context.Context, of billing.Cohort) (total int, byState map[billing.CycleState]int, err error) {
	sql, args, err := cohort(of)
	if err != nil {
		return 0, nil, err
	}
	var rows []struct {
		State *string
		N     int
	}
	err = c.db.gorm.WithContext(ctx).Raw(`SELECT c.state, count(*) AS n FROM (`+sql+`) d
		LEFT JOIN cycles c ON c.account_id = d.account_id AND c.period = @period GROUP BY c.state`, args).Scan(&rows).Error
	byState = map[billing.CycleState]int{}
	for _, r := range rows {
		total += r.N
		if r.State != nil {
			byState[billing.CycleState(*r.State)] = r.N
		}
	}
	return total, byState, wrap(err)
}
