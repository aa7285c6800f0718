package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/figures"
	"github.com/liftbill/liftbill/domain/period"
)

// KeptFigures implements figures.Ledger.
type KeptFigures struct{ db *DB }

// NewKeptFigures opens the figures that are kept of large connections.
func (db *DB) NewKeptFigures() *KeptFigures { return &KeptFigures{db} }

var _ figures.Ledger = (*KeptFigures)(nil)

// keptRow is what is kept of a connection's period.
type keptRow struct {
	AsOf                    time.Time
	Coverage, Reasons, Gaps string
}

// keptCoverage reads what is kept of a period; nil where nothing is, or what is lies between
// other instants, because the contract has got another time zone.
func keptCoverage(ctx context.Context, tx *gorm.DB, connectionID, name string, in period.Interval) (*keptRow, error) {
	var rows []keptRow
	err := tx.WithContext(ctx).Raw(`SELECT r.as_of, f.coverage::text AS coverage, f.reasons::text AS reasons, f.gaps::text AS gaps
		FROM coverage_runs r JOIN coverage_figures f ON f.connection_id = r.connection_id
		WHERE r.connection_id = ? AND f.period = ? AND f.starts = ? AND f.ends = ?`, connectionID, name, in.Start, in.End).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, wrap(err)
	}
	rows[0].AsOf = rows[0].AsOf.UTC()
	return &rows[0], nil
}

// Kept lists the connections that accounts take their revenue from.
func (k *KeptFigures) Kept(ctx context.Context) ([]figures.Kept, error) {
	var rows []struct {
		ConnectionID    string
		AsOf, ChangedAt *time.Time
		Facts           int64
	}
	err := k.db.gorm.WithContext(ctx).Raw(`SELECT a.source_connection AS connection_id, r.as_of, r.changed_at, coalesce(r.facts, 0) AS facts
		FROM accounts a LEFT JOIN coverage_runs r ON r.connection_id = a.source_connection ORDER BY r.as_of NULLS FIRST, 1`).Scan(&rows).Error
	out := make([]figures.Kept, len(rows))
	for i, r := range rows {
		out[i] = figures.Kept{ConnectionID: r.ConnectionID, AsOf: utc(r.AsOf), ChangedAt: utc(r.ChangedAt), Facts: r.Facts}
	}
	return out, wrap(err)
}

// figurePeriod is an interval with a name: a month, or all time, whose name is empty.
type figurePeriod struct {
	Name  string    `json:"period"`
	Start time.Time `json:"starts"`
	End   time.Time `json:"ends"`
}

// periodArgs are the parameters of what is asked of periods, in order, which lie between the
// first and the last of them.
func periodArgs(accountID, connectionID string, periods []figurePeriod) (map[string]any, error) {
	doc, err := json.Marshal(periods)
	out := ownedArgs(connectionID, period.Interval{Start: periods[0].Start, End: periods[len(periods)-1].End})
	out["account"], out["periods"] = accountID, string(doc)
	return out, err
}

// allTime is the interval of an empty period.
func allTime() period.Interval {
	return period.Interval{Start: time.Time{}, End: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
}

// Refresh sums the facts of a connection anew, in one transaction; another that does so already
// is left to it. A connection with few facts keeps no figures.
func (k *KeptFigures) Refresh(ctx context.Context, connectionID string, few int64, at time.Time) error {
	return wrap(k.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var free bool
		if err := tx.Raw(`SELECT pg_try_advisory_xact_lock(hashtext('coverage of ' || ?))`, connectionID).Scan(&free).Error; err != nil || !free {
			return err
		}
		var facts int64
		if err := tx.Raw(`SELECT count(*) FROM reward_events WHERE connection_id = ?`, connectionID).Scan(&facts).Error; err != nil {
			return err
		}
		var periods []figurePeriod
		var rows []figureDoc
		var gaps map[string][]gapRow
		if facts > few {
			accountID, months, err := k.months(ctx, tx, connectionID, at)
			if err != nil {
				return err
			}
			if periods = months; len(months) > 0 {
				if gaps, err = gapsByPeriod(ctx, tx, accountID, connectionID, months); err != nil {
					return err
				}
			}
			periods = append(periods, figurePeriod{"", allTime().Start, allTime().End})
			if rows, err = sumCoverage(tx, accountID, connectionID, periods); err != nil {
				return err
			}
		}
		return keepCoverage(tx, connectionID, facts, at, periods, rows, gaps)
	}))
}

// months are those of the account's cycles, and the last two.
func (k *KeptFigures) months(ctx context.Context, tx *gorm.DB, connectionID string, at time.Time) (accountID string, out []figurePeriod, err error) {
	if err := tx.Raw(`SELECT id FROM accounts WHERE source_connection = ?`, connectionID).Scan(&accountID).Error; err != nil {
		return "", nil, err
	}
	var names []string
	if err := tx.Raw(`SELECT period FROM cycles WHERE account_id = ? AND length(period) = 7`, accountID).Scan(&names).Error; err != nil {
		return "", nil, err
	}
	names = append(names, period.Of(at, time.UTC).String(), period.Of(at.AddDate(0, 0, -at.Day()), time.UTC).String())
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		in, err := k.db.NewReader().interval(ctx, accountID, name)
		if err != nil {
			return "", nil, err
		}
		out = append(out, figurePeriod{name, in.Start, in.End})
	}
	return accountID, out, nil
}

// gapsByPeriod are the gaps of months, by month.
func gapsByPeriod(ctx context.Context, tx *gorm.DB, accountID, connectionID string, months []figurePeriod) (map[string][]gapRow, error) {
	all, err := joinGaps(ctx, tx, accountID, connectionID, months)
	out := map[string][]gapRow{}
	for _, g := range all {
		out[g.Period] = append(out[g.Period], g)
	}
	return out, err
}

// figureDoc are the sums of a period, as keptRow holds them.
type figureDoc struct{ Period, Coverage, Reasons string }

// sumCoverage sums the facts of a connection by period, and keeps the customers without a
// user. The payments that money goes back from are taken from one pass over all of them, not
// looked up one by one as for a page. All joins are by hashing: the planner has no statistics of
// the parts, and a merge by the connection alone, which all rows share, would take hours.
func sumCoverage(tx *gorm.DB, accountID, connectionID string, periods []figurePeriod) ([]figureDoc, error) {
	for _, set := range []string{`SET LOCAL enable_nestloop = off`, `SET LOCAL enable_mergejoin = off`, `SET LOCAL jit = off`, `SET LOCAL work_mem = '64MB'`} {
		if err := tx.Exec(set).Error; err != nil {
			return nil, err
		}
	}
	args, err := periodArgs(accountID, connectionID, periods)
	if err != nil {
		return nil, err
	}
	args["start"], args["end"] = allTime().Start, allTime().End
	var out []figureDoc
	err = tx.Raw(`WITH `+gapPeriods+`, `+ownOnly+`, `+paidOnce+`, `+ownedFacts+factJoinsOnce+ownedRows+ownedSpread+`,
		found AS MATERIALIZED (`+unmappedCustomers+`),
		gone AS (DELETE FROM coverage_customers c WHERE c.connection_id = @connection
			AND NOT EXISTS (SELECT 1 FROM found f WHERE f.period = c.period AND f.customer_id = c.customer_id AND f.reason = c.reason)),
		kept AS (INSERT INTO coverage_customers AS c (connection_id, period, customer_id, reason, facts, amounts) SELECT @connection, period, customer_id, reason, facts, amounts FROM found
			ON CONFLICT (connection_id, period, customer_id, reason) DO UPDATE SET facts = excluded.facts, amounts = excluded.amounts
			WHERE (c.facts, c.amounts) IS DISTINCT FROM (excluded.facts, excluded.amounts)),
		shares AS (SELECT period, jsonb_agg(to_jsonb(s) ORDER BY what, name) AS doc FROM (`+coverageRows+`) s GROUP BY period),
		reasons AS (SELECT period, jsonb_agg(to_jsonb(s) ORDER BY reason) AS doc FROM (`+unmappedReasons+`) s GROUP BY period)
		SELECT p.period, coalesce(s.doc, '[]')::text AS coverage, coalesce(r.doc, '[]')::text AS reasons
		FROM periods p LEFT JOIN shares s ON s.period = p.period LEFT JOIN reasons r ON r.period = p.period`, args).Scan(&out).Error
	return out, err
}

// keepCoverage replaces what is kept of a connection.
func keepCoverage(tx *gorm.DB, connectionID string, facts int64, at time.Time, periods []figurePeriod, rows []figureDoc, gaps map[string][]gapRow) error {
	err := tx.Exec(`INSERT INTO coverage_runs (connection_id, as_of, facts) VALUES (?, ?, ?)
		ON CONFLICT (connection_id) DO UPDATE SET as_of = excluded.as_of, facts = excluded.facts`, connectionID, at, facts).Error
	if err != nil {
		return err
	}
	if err := tx.Exec(`DELETE FROM coverage_figures WHERE connection_id = ?`, connectionID).Error; err != nil {
		return err
	}
	if len(rows) == 0 {
		return tx.Exec(`DELETE FROM coverage_customers WHERE connection_id = ?`, connectionID).Error
	}
	for _, p := range periods {
		doc, err := json.Marshal(orEmpty(gaps[p.Name]))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rows, func(r figureDoc) bool { return r.Period == p.Name })
		err = tx.Exec(`INSERT INTO coverage_figures (connection_id, period, starts, ends, coverage, reasons, gaps) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			connectionID, p.Name, p.Start, p.End, rows[i].Coverage, rows[i].Reasons, string(doc)).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// coverageChanged has the figures of a connection computed soon, because a person has changed
// whose its customers are.
func coverageChanged(tx *gorm.DB, connectionID string, at time.Time) error {
	return wrap(tx.Exec(`UPDATE coverage_runs SET changed_at = ? WHERE connection_id = ?`, at, connectionID).Error)
}
