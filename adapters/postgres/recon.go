package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/domain/source"
)

// Recon implements reconcile.Ledger.
type Recon struct{ db *DB }

// NewRecon opens the ledger's side of a reconciliation.
func (db *DB) NewRecon() *Recon { return &Recon{db} }

var _ reconcile.Ledger = (*Recon)(nil)

// contractAt is the contract of an account that holds in a month, without asking whether
// it still has its hash: that is a finding, and no reason not to look.
func contractAt(ctx context.Context, tx *gorm.DB, accountID string, m period.Month) (billing.Contract, error) {
	var r contractRow
	err := tx.WithContext(ctx).Raw(`SELECT id, account_id, environment, version, terms FROM contracts WHERE account_id = ? AND effective_from <= ?
		ORDER BY version DESC LIMIT 1`, accountID, m.String()).Scan(&r).Error
	if err != nil {
		return billing.Contract{}, err
	}
	if r.ID == "" {
		return billing.Contract{}, fault.New(fault.Conflict, "contract_missing", "account %s has no contract in %s", accountID, m).
			Fix("Choose a month from the contract's first period on")
	}
	c := billing.Contract{ID: r.ID, AccountID: r.AccountID, Environment: account.Environment(r.Environment), Version: r.Version}
	err = json.Unmarshal([]byte(r.Terms), &c.Terms)
	return c, err
}

// Scope loads what a period of an account is compared with.
func (r *Recon) Scope(ctx context.Context, accountID string, m period.Month) (reconcile.Scope, error) {
	tx := r.db.gorm.WithContext(ctx)
	acc, err := accounts{tx}.Account(ctx, accountID)
	if err != nil {
		return reconcile.Scope{}, err
	}
	c, err := contractAt(ctx, tx, accountID, m)
	if err != nil {
		return reconcile.Scope{}, wrap(err)
	}
	zone, err := c.Zone()
	if err != nil {
		return reconcile.Scope{}, err
	}
	sc := reconcile.Scope{Account: acc, Period: m, Interval: m.In(zone), Currency: string(c.Terms.Currency)}
	if sc.Tolerance, err = r.Tolerance(ctx, accountID); err != nil {
		return sc, err
	}
	sc.Intents, err = intentsOf(tx, billing.CycleID(accountID, m))
	return sc, wrap(err)
}

// intentsOf are the cycle's intents as a reconciliation sees them.
func intentsOf(tx *gorm.DB, cycleID string) ([]recon.Intent, error) {
	var rows []struct{ ID, State, IssuerConnection, Customer, Currency, Period, PlanHash, Plan, InvoiceID string }
	err := tx.Raw(`SELECT w.id, w.state, w.issuer_connection, w.customer, w.currency, w.period, w.plan_hash, i.plan, coalesce(w.invoice_id, '') AS invoice_id
		FROM writeback_intents w JOIN invoices i ON i.cycle_id = w.cycle_id WHERE w.cycle_id = ? ORDER BY w.part`, cycleID).Scan(&rows).Error
	if err != nil {
		return nil, err
	}
	var out []recon.Intent
	for _, row := range rows {
		var plan billing.InvoicePlan
		if err := json.Unmarshal([]byte(row.Plan), &plan); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "plan_unreadable", "the invoice plan of cycle %s cannot be read", cycleID)
		}
		in := recon.Intent{
			CycleID: cycleID, Key: plan.Key.StripeKey(), PlanHash: row.PlanHash, Period: row.Period, InvoiceID: row.InvoiceID, ConnectionID: row.IssuerConnection,
			Customer: row.Customer, Currency: row.Currency, TotalMinor: plan.TotalMinor(),
		}
		state := billing.IntentState(row.State)
		in.Written = state == billing.IntentFinalized || state == billing.IntentReleased
		for _, l := range plan.Lines {
			in.Lines = append(in.Lines, recon.PlanLine{Line: l.Line, AmountMinor: l.AmountMinor})
		}
		out = append(out, in)
	}
	return out, nil
}

// Due lists, per account with a contract, the month that is running, the last one that is
// over, and every earlier one with breaks that somebody still has to deal with. Months
// are those of the contract's time zone.
func (r *Recon) Due(ctx context.Context, env account.Environment, after reconcile.Due, at time.Time, limit int) ([]reconcile.Due, error) {
	var out []reconcile.Due
	err := r.db.gorm.WithContext(ctx).Raw(`
		WITH newest AS (SELECT DISTINCT ON (account_id) account_id, time_zone, first_period FROM contracts WHERE environment = ? ORDER BY account_id, version DESC),
		months AS (
			SELECT account_id, to_char((?::timestamptz AT TIME ZONE time_zone) - (n || ' months')::interval, 'YYYY-MM') AS period FROM newest, generate_series(0, 1) n
			WHERE to_char((?::timestamptz AT TIME ZONE time_zone) - (n || ' months')::interval, 'YYYY-MM') >= first_period
			UNION SELECT b.account_id, b.period FROM recon_breaks b JOIN newest USING (account_id) WHERE b.state IN ('open', 'assigned', 'waiting', 'force_requested'))
		SELECT account_id, period FROM months WHERE (account_id, period) > (?, ?) ORDER BY account_id, period LIMIT ?`,
		env.String(), at, at, after.AccountID, after.Period, limit).Scan(&out).Error
	return out, wrap(err)
}

// runDead is how long a run may be silent before another one takes its place.
const runDead = 15 * time.Minute

type runRow struct {
	ID                         int64
	AccountID, Environment     string
	Period, State, RequestedBy string
	StartedAt                  time.Time
	FinishedAt                 *time.Time
	Reads                      int
	Objects                    int64
	Found, Fresh               int
	Code, Message, Action      string
}

const runColumns = `id, account_id, environment, period, state, requested_by, started_at, finished_at, reads, objects, found, fresh, code, message, action`

func (r runRow) run() reconcile.Run {
	return reconcile.Run{
		ID: r.ID, AccountID: r.AccountID, Environment: environmentOf(r.Environment), Period: r.Period, State: reconcile.RunState(r.State), RequestedBy: r.RequestedBy,
		StartedAt: r.StartedAt.UTC(), FinishedAt: utc(r.FinishedAt), Reads: r.Reads, Objects: r.Objects, Found: r.Found, Fresh: r.Fresh,
		Code: r.Code, Message: r.Message, Next: r.Action,
	}
}

// Begin makes a run and forgets what earlier ones of the period staged.
func (r *Recon) Begin(ctx context.Context, sc reconcile.Scope, by recon.Actor, at time.Time, note audit.Entry) (reconcile.Run, error) {
	var row runRow
	err := r.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		a, p := sc.Account.ID, sc.Period.String()
		// Two that begin at once meet here.
		if err := tx.Exec(`SELECT 1 FROM accounts WHERE id = ? FOR NO KEY UPDATE`, a).Error; err != nil {
			return err
		}
		err := tx.Exec(`UPDATE recon_runs SET state = 'failed', finished_at = ?, code = 'run_lost', message = 'the run stopped working', action = 'Nothing: a later run took its place'
			WHERE account_id = ? AND period = ? AND state = 'running' AND beat_at < ?`, at, a, p, at.Add(-runDead)).Error
		if err != nil {
			return err
		}
		var other int64
		if err := tx.Raw(`SELECT id FROM recon_runs WHERE account_id = ? AND period = ? AND state = 'running'`, a, p).Scan(&other).Error; err != nil {
			return err
		}
		if other != 0 {
			return fault.New(fault.Conflict, "run_under_way", "%s of account %s is being reconciled (run %d)", p, a, other).Fix("Wait until that run is over")
		}
		for _, table := range []string{"recon_objects", "recon_digests"} {
			if err := tx.Exec(`DELETE FROM `+table+` WHERE run_id IN (SELECT id FROM recon_runs WHERE account_id = ? AND period = ?)`, a, p).Error; err != nil {
				return err
			}
		}
		err = tx.Raw(`INSERT INTO recon_runs (account_id, environment, period, state, requested_by, started_at, beat_at)
			VALUES (?, ?, ?, 'running', ?, ?, ?) RETURNING `+runColumns,
			a, sc.Account.Environment.String(), p, by.ID, at, at).Scan(&row).Error
		if err != nil || note.Action == "" {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	})
	return row.run(), wrap(err)
}

var stagedColumns = []string{
	"run_id", "kind", "id", "status", "net_minor", "cash_minor", "out_of_band_minor", "tax_minor", "balanced", "currency", "customer_id", "charge_id",
	"at", "undone_at", "taken_back", "own", "livemode",
}

// reconStage moves a page to its run and digests what was not there: one row per bucket.
var reconStage = `
	WITH staged AS (INSERT INTO recon_objects SELECT * FROM recon_page ON CONFLICT DO NOTHING RETURNING *)
	INSERT INTO recon_digests (run_id, currency, bucket, n, x, sum_minor, odd)
	SELECT run_id, currency, ` + reconBucket("at") + `, count(*) FILTER (WHERE plain), coalesce(bit_xor(h) FILTER (WHERE plain), 0), coalesce(sum(net_minor) FILTER (WHERE plain), 0), bool_or(odd)
	FROM (SELECT s.*, NOT s.own AND s.net_minor <> 0 AS plain, s.own OR NOT s.balanced OR s.out_of_band_minor <> 0 OR s.livemode <> (r.environment = 'live') AS odd,
			` + reconHash("s.id", "s.net_minor") + ` AS h
		FROM staged s JOIN recon_runs r ON r.id = s.run_id WHERE s.kind = 'invoice') s
	GROUP BY 1, 2, 3
	ON CONFLICT (run_id, currency, bucket) DO UPDATE SET n = recon_digests.n + excluded.n, x = recon_digests.x # excluded.x,
		sum_minor = recon_digests.sum_minor + excluded.sum_minor, odd = recon_digests.odd OR excluded.odd`

// Stage stores objects of a run. A list that changes while it is paged may show an object
// twice; it is staged once.
func (r *Recon) Stage(ctx context.Context, runID int64, objects []recon.Object, at time.Time) error {
	return r.db.nativeTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE recon_runs SET beat_at = $2 WHERE id = $1 AND state = 'running'`, runID, at)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return runLost(runID)
		}
		if len(objects) == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, `CREATE TEMP TABLE IF NOT EXISTS recon_page (LIKE recon_objects) ON COMMIT DELETE ROWS`); err != nil {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"recon_page"}, stagedColumns, pgx.CopyFromSlice(len(objects), func(i int) ([]any, error) {
			o := objects[i]
			var undone *time.Time
			if !o.UndoneAt.IsZero() {
				undone = &o.UndoneAt
			}
			return []any{
				runID, string(o.Kind), o.ID, o.Status, o.NetMinor, o.CashMinor, o.OutOfBandMinor, o.TaxMinor, o.Balanced, o.Currency, o.CustomerID, o.ChargeID,
				o.At, undone, o.TakenBack, o.Own, o.Livemode,
			}, nil
		}))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, reconStage)
		return err
	})
}

func runLost(id int64) error {
	return fault.New(fault.Conflict, "run_lost", "run %d was taken for dead and another one took its place", id).Fix("Start it again")
}

// Fail ends a run that could not see everything.
func (r *Recon) Fail(ctx context.Context, run reconcile.Run, at time.Time) error {
	return wrap(r.db.gorm.WithContext(ctx).Exec(`UPDATE recon_runs SET state = 'failed', finished_at = ?, beat_at = ?, reads = ?, objects = ?, code = ?, message = ?, action = ?
		WHERE id = ? AND state = 'running'`, at, at, run.Reads, run.Objects, run.Code, run.Message, run.Next, run.ID).Error)
}

// Finish stores what merge makes of the period's breaks and ends the run as complete.
func (r *Recon) Finish(ctx context.Context, sc reconcile.Scope, run reconcile.Run, at time.Time, merge func([]recon.Break) reconcile.Merged) (reconcile.Run, error) {
	var row runRow
	err := r.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		old, err := lockBreaks(tx, sc.Account.ID, sc.Period.String())
		if err != nil {
			return err
		}
		m := merge(old)
		if err := saveBreaks(tx, sc.Account.Environment, m.Breaks); err != nil {
			return err
		}
		if err := appendChanges(tx, m.Changes); err != nil {
			return err
		}
		reads := make([]readRow, len(m.Pull))
		for i, t := range m.Pull {
			reads[i] = readRow{t.ConnectionID, t.Object, t.ID, "reconciliation"}
		}
		if err := askReads(ctx, tx, reads, at); err != nil {
			return err
		}
		if err := saveSums(tx, run.ID, m.Sums); err != nil {
			return err
		}
		err = tx.Raw(`UPDATE recon_runs SET state = 'complete', finished_at = ?, beat_at = ?, reads = ?, objects = ?, found = ?, fresh = ?
			WHERE id = ? AND state = 'running' RETURNING `+runColumns, at, at, run.Reads, run.Objects, m.Found, m.Fresh, run.ID).Scan(&row).Error
		if err == nil && row.ID == 0 {
			err = runLost(run.ID)
		}
		return err
	})
	return row.run(), wrap(err)
}

// saveSums stores both sides of each line, summed over its parts.
func saveSums(tx *gorm.DB, runID int64, sums []recon.Sum) error {
	for _, l := range recon.NewTieOut(sums, nil).Lines {
		err := tx.Exec(`INSERT INTO recon_sums (run_id, line, currency, left_minor, right_minor, left_objects, right_objects) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			runID, string(l.Line), l.Currency, l.LeftMinor, l.RightMinor, l.LeftObjects, l.RightObjects).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// HasEvent reports whether the very event is stored.
func (r *Recon) HasEvent(ctx context.Context, connectionID, eventID string, created time.Time) (bool, error) {
	return r.db.NewCycles().HasEvent(ctx, connectionID, eventID, created)
}

// Budget is the connection's read allowance.
func (r *Recon) Budget(ctx context.Context, connectionID string, at time.Time) (source.Budget, error) {
	return budgetOf(ctx, r.db.gorm, connectionID, at)
}

// AddReads counts what was read.
func (r *Recon) AddReads(ctx context.Context, connectionID string, reads int, at time.Time) error {
	return addReads(ctx, r.db.gorm, connectionID, reads, at)
}

// Tolerance is the account's newest term.
func (r *Recon) Tolerance(ctx context.Context, accountID string) (recon.Tolerance, error) {
	var row struct {
		PerObjectMinor, PerPeriodMinor int64
		CutOffMinutes                  int
	}
	err := r.db.gorm.WithContext(ctx).Raw(`SELECT per_object_minor, per_period_minor, cut_off_minutes FROM recon_tolerances WHERE account_id = ? ORDER BY seq DESC LIMIT 1`, accountID).Scan(&row).Error
	return recon.Tolerance{LineMinor: row.PerObjectMinor, BatchMinor: row.PerPeriodMinor, CutOff: time.Duration(row.CutOffMinutes) * time.Minute}, wrap(err)
}

// SaveTolerance states another term.
func (r *Recon) SaveTolerance(ctx context.Context, accountID string, t recon.Tolerance, note audit.Entry) error {
	err := r.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Exec(`INSERT INTO recon_tolerances (account_id, per_object_minor, per_period_minor, cut_off_minutes, stated_by, reason, stated_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			accountID, t.LineMinor, t.BatchMinor, int(t.CutOff/time.Minute), note.Actor.ID, note.Reason, note.At).Error
		if err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	})
	return wrap(err)
}

// Account loads an account.
func (r *Recon) Account(ctx context.Context, id string) (account.Account, error) {
	return r.db.Account(ctx, id)
}
