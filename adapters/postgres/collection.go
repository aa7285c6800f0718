package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// Exposures lists decisions in time order with their features in the plan's order;
// a feature that a decision does not carry is 0. Logs repeat the same lists of actions
// over and over, so that each list is kept once.
func (c *Cycles) Exposures(ctx context.Context, cy measure.Cycle, watermark time.Time) ([]lift.Exposure, error) {
	return c.exposures(ctx, cy, watermark, "''", "decisions")
}

// exposures are the decisions of a source that Exposures lists, under the names that a column
// gives them.
func (c *Cycles) exposures(ctx context.Context, cy measure.Cycle, watermark time.Time, name, source string, args ...any) ([]lift.Exposure, error) {
	names, err := json.Marshal(cy.Plan.Plan().Features)
	if err != nil {
		return nil, err
	}
	rows, err := c.db.gorm.WithContext(ctx).Raw(`
		SELECT `+name+`, unit_id, user_id, snapshot_id, arm, ts, propensity::text, to_json(eligible_actions)::text, action, baseline_action,
			surface, plan_hash, salt_commitment, ARRAY(SELECT coalesce((features ->> f)::float8, 0) FROM jsonb_array_elements_text(?::jsonb) WITH ORDINALITY AS n(f, i) ORDER BY i)::text
		FROM `+source+` WHERE account_id = ? AND ts >= ? AND ts < ? AND recorded_at <= ? ORDER BY ts, decision_id`,
		slices.Concat([]any{string(names)}, args, []any{cy.Account.ID, cy.YearToDate.Start, cy.YearToDate.End, watermark})...).Rows()
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var out []lift.Exposure
	lists, words := map[string][]string{}, map[string]string{}
	for rows.Next() {
		var e lift.Exposure
		var arm, actions string
		var propensity, features floats
		if err := rows.Scan(&e.DecisionID, &e.UnitID, &e.UserID, &e.SnapshotID, &arm, &e.At, &propensity, &actions, &e.Action, &e.Baseline,
			&e.Surface, &e.PlanHash, &e.SaltCommitment, &features); err != nil {
			return nil, wrap(err)
		}
		list, ok := lists[actions]
		if !ok {
			if err := json.Unmarshal([]byte(actions), &list); err != nil {
				return nil, err
			}
			lists[actions] = list
		}
		e.NextYear = !e.At.Before(cy.Exposed.End)
		e.Arm, e.At, e.Actions, e.Propensity, e.Features, e.PropensityOK = lift.Arm(arm), e.At.UTC(), list, propensity, features, len(propensity) > 0
		for _, s := range []*string{&e.SnapshotID, &e.Action, &e.Baseline, &e.Surface, &e.PlanHash, &e.SaltCommitment} {
			if same, ok := words[*s]; ok {
				*s = same
			} else {
				words[*s] = *s
			}
		}
		out = append(out, e)
	}
	return out, wrap(rows.Err())
}

// Links lists the customers of the source connection with the users that they are mapped
// to, each from when it was known: what a person decided is known since then, however far
// back it reaches.
func (c *Cycles) Links(ctx context.Context, cy measure.Cycle) ([]lift.Link, error) {
	return c.links(ctx, cy, "")
}

// links are those that Links lists, or those of them that a condition selects.
func (c *Cycles) links(ctx context.Context, cy measure.Cycle, only string, args ...any) ([]lift.Link, error) {
	var out []lift.Link
	err := c.db.gorm.WithContext(ctx).Raw(`
		SELECT s.subject_id AS customer_id, s.user_id, greatest(s.valid_from, m.valid_from, CASE WHEN m.source <> 'metadata' THEN m.recorded_at END) AS "from"
		FROM mapping_spans s JOIN mapping_statements m ON m.connection_id = s.connection_id AND m.link_id = s.link_id
		WHERE s.connection_id = ? AND s.state = 'linked'`+only+` ORDER BY s.subject_id, s.valid_from`, append([]any{cy.Account.SourceConnection}, args...)...).Scan(&out).Error
	for i := range out {
		out[i].From = out[i].From.UTC()
	}
	return out, wrap(err)
}

// Incomplete lists the decisions of the year that were refused because of their
// propensities and never came whole: the number of them and the units that they name.
func (c *Cycles) Incomplete(ctx context.Context, cy measure.Cycle, watermark time.Time) (int, []string, error) {
	var rows []struct {
		UnitID string
		N      int
	}
	err := c.db.gorm.WithContext(ctx).Raw(`
		SELECT r.unit_id, count(*) AS n FROM decision_refusals r
		WHERE r.account_id = ? AND r.recorded_at <= ? AND (r.ts IS NULL OR (r.ts >= ? AND r.ts < ?))
			AND r.field IN ('propensity', 'eligible_actions', 'action', 'baseline_action')
			AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.account_id = r.account_id AND d.decision_id = r.decision_id AND d.recorded_at <= ?)
		GROUP BY r.unit_id ORDER BY r.unit_id`,
		cy.Account.ID, watermark, cy.Exposed.Start, cy.Exposed.End, watermark).Scan(&rows).Error
	if err != nil {
		return 0, nil, wrap(err)
	}
	n, units := 0, []string(nil)
	for _, r := range rows {
		n += r.N
		if r.UnitID != "" {
			units = append(units, r.UnitID)
		}
	}
	return n, units, nil
}

// Marks is what the finished months of the contract year have billed of each snapshot;
// ok is false while an earlier month of the year is not finished.
func (c *Cycles) Marks(ctx context.Context, cy measure.Cycle) (map[string]int64, bool, error) {
	tx := c.db.gorm.WithContext(ctx)
	marks, err := highWater(tx, cy)
	if err != nil {
		return nil, false, err
	}
	open, err := openBefore(tx, cy)
	return marks, len(open) == 0, err
}

// DecisionGaps counts the sequence numbers that are missing between the smallest
// and the largest one of each SDK stream; ok is false when nothing is numbered.
func (c *Cycles) DecisionGaps(ctx context.Context, cy measure.Cycle, watermark time.Time) (int, bool, error) {
	var r struct {
		Numbered int64
		Gaps     int64
	}
	err := c.db.gorm.WithContext(ctx).Raw(`
		SELECT coalesce(sum(n), 0) AS numbered, coalesce(sum(hi - lo + 1 - n), 0) AS gaps FROM (
			SELECT count(DISTINCT seq_no) AS n, min(seq_no) AS lo, max(seq_no) AS hi FROM decisions
			WHERE account_id = ? AND ts >= ? AND ts < ? AND recorded_at <= ? AND seq_no IS NOT NULL GROUP BY sdk_version, surface) s`,
		cy.Account.ID, cy.Exposed.Start, cy.Exposed.End, watermark).Scan(&r).Error
	return int(r.Gaps), r.Numbered > 0, wrap(err)
}

// HasEvent reports whether the very event is stored.
func (c *Cycles) HasEvent(ctx context.Context, connectionID, eventID string, created time.Time) (bool, error) {
	var found bool
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT EXISTS (SELECT 1 FROM stripe_events WHERE connection_id = ? AND event_id = ? AND created = ?)`,
		connectionID, eventID, created).Scan(&found).Error
	return found, wrap(err)
}

// NewestEvent is the newest stored event of the connection.
func (c *Cycles) NewestEvent(ctx context.Context, connectionID string) (string, time.Time, error) {
	var r struct {
		EventID string
		Created time.Time
	}
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT event_id, created FROM stripe_events WHERE connection_id = ? ORDER BY created DESC LIMIT 1`, connectionID).Scan(&r).Error
	if err == nil && r.EventID == "" {
		return "", time.Time{}, fault.New(fault.NotFound, "no_events", "connection %s has no events", connectionID)
	}
	return r.EventID, r.Created.UTC(), wrap(err)
}

// SaveCollection freezes everything in one transaction. Whoever comes second finds
// the watermark set and changes nothing.
func (c *Cycles) SaveCollection(ctx context.Context, cy measure.Cycle, col measure.Collection, at time.Time) error {
	return c.db.nativeTx(ctx, func(tx pgx.Tx) error {
		var frozen bool
		var revision int
		err := tx.QueryRow(ctx, "SELECT watermark IS NOT NULL, revision FROM cycles WHERE id = $1 FOR UPDATE", cy.ID).Scan(&frozen, &revision)
		switch {
		case err != nil:
			return err
		case revision != cy.Revision:
			return revised(cy, revision)
		case frozen:
			return nil
		}
		cycleID := cy.ID
		for _, b := range col.Buckets {
			_, err := tx.Exec(ctx, `INSERT INTO cycle_buckets (cycle_id, bucket, snapshot_id, currency, amount_minor, events) VALUES ($1, $2, $3, $4, $5, $6)`,
				cycleID, b.Name, b.SnapshotID, b.Currency, b.SumMinor, b.Events)
			if err != nil {
				return err
			}
		}
		for _, t := range col.Tables {
			if err := saveTable(ctx, tx, cy, t); err != nil {
				return err
			}
		}
		if err := keepLinks(ctx, tx, cycleID, col.Links); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE cycles SET watermark = $1, source_watermark = $2, input_digest = $3, paid_minor = $4, stripe_net_minor = $5, state = 'computing', updated_at = $6
			WHERE id = $7`, col.Watermark, col.SourceWatermark, col.InputDigest, col.PaidMinor, col.StripeNetMinor, at, cycleID)
		return err
	})
}

// revised is what somebody is told who computed a revision that another one took the place of.
func revised(cy measure.Cycle, present int) error {
	return fault.New(fault.Conflict, "revised", "cycle %s is at revision %d by now; what revision %d came to is not stored", cy.ID, present, cy.Revision).
		Fix("Run the cycle again")
}

// PreviousCase is the case that a new readout is chained to: that of the revision before, or
// of an earlier month. A settlement ends its year's chain; the months after it are chained
// past it, because it may come after them.
func (c *Cycles) PreviousCase(ctx context.Context, cy measure.Cycle, snapshotID string) (string, error) {
	var id string
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT case_id FROM all_readouts WHERE cycle_id = ? AND snapshot_id = ? AND revision < ? ORDER BY revision DESC LIMIT 1`,
		cy.ID, snapshotID, cy.Revision).Scan(&id).Error
	if err != nil || id != "" {
		return id, wrap(err)
	}
	err = c.db.gorm.WithContext(ctx).Raw(`SELECT case_id FROM readouts WHERE account_id = ? AND snapshot_id = ? AND period < ? AND length(period) = 7 ORDER BY period DESC LIMIT 1`,
		cy.Account.ID, snapshotID, cy.Period.String()).Scan(&id).Error
	return id, wrap(err)
}

// LooksSpent reads the checks of the superseded readouts.
func (c *Cycles) LooksSpent(ctx context.Context, cy measure.Cycle) (map[string]bool, error) {
	out := map[string]bool{}
	if cy.Revision <= 1 {
		return out, nil
	}
	var ids []string
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT DISTINCT snapshot_id FROM all_readouts WHERE cycle_id = ? AND revision < ?
		AND checks @> jsonb_build_array(jsonb_build_object('code', ?::text, 'status', ?::text))`,
		cy.ID, cy.Revision, string(lift.CodeLCBNotPositive), string(lift.Failed)).Scan(&ids).Error
	for _, id := range ids {
		out[id] = true
	}
	return out, wrap(err)
}

// SaveReadouts appends the readouts; a case that is there must be the same one.
func (c *Cycles) SaveReadouts(ctx context.Context, cy measure.Cycle, readouts []lift.Readout, build map[string]string, at time.Time) error {
	buildDoc, err := json.Marshal(build)
	if err != nil {
		return err
	}
	err = c.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var present int
		if err := tx.Raw(`SELECT revision FROM cycles WHERE id = ? FOR UPDATE`, cy.ID).Scan(&present).Error; err != nil {
			return err
		}
		if present != cy.Revision {
			return revised(cy, present)
		}
		for _, r := range readouts {
			if err := saveReadout(tx, cy, r, string(buildDoc), at); err != nil {
				return err
			}
		}
		if err := tx.Exec(`DELETE FROM cycle_moments WHERE cycle_id = ? AND revision = ?`, cy.ID, cy.Revision).Error; err != nil {
			return err
		}
		return tx.Exec(`UPDATE cycles SET updated_at = ? WHERE id = ? AND state = 'computing'`, at, cy.ID).Error
	})
	return wrap(err)
}

func saveReadout(tx *gorm.DB, cy measure.Cycle, r lift.Readout, build string, at time.Time) error {
	checks, err := json.Marshal(r.Verdict.Checks)
	if err != nil {
		return err
	}
	verdict := "withheld"
	if r.Verdict.Passed {
		verdict = "passed"
	}
	res := r.Estimate.Result
	err = tx.Exec(`
		INSERT INTO readouts (case_id, previous_case_id, cycle_id, environment, account_id, snapshot_id, period, currency, units, holdout_units,
			observed_minor, lift, counterfactual, se, variance_cr, variance_b, variance_0, interval_low, interval_high, bound, z, ess,
			verdict, headline, explanation, checks, plan_hash, estimator, manifest, build, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (case_id) DO NOTHING`,
		r.CaseID, r.PreviousCaseID, cy.ID, cy.Account.Environment.String(), cy.Account.ID, r.SnapshotID, cy.Period.String(), string(cy.Contract.Terms.Currency),
		r.Estimate.Units, res.Holdout, r.Estimate.SumMinor, res.T, res.Counterfactual, res.SE, res.VCR, res.VB, res.V0,
		r.Low, r.High, r.Verdict.LCB, r.Verdict.Z, res.ESS, verdict, string(r.Verdict.Headline), r.Verdict.Sentence, string(checks),
		cy.Plan.Hash(), cy.Plan.Plan().EstimatorID, string(r.ManifestJSON()), build, at).Error
	if fault.Is(wrap(err), fault.Conflict) {
		return fault.New(fault.Conflict, "readout_differs", "cycle %s has another readout of %s than %s", cy.ID, r.SnapshotID, r.CaseID)
	}
	return err
}
