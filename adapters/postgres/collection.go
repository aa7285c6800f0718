package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// Exposures lists decisions in time order with their features in the plan's order;
// a feature that a decision does not carry is 0.
func (c *Cycles) Exposures(ctx context.Context, cy measure.Cycle, watermark time.Time) ([]lift.Exposure, error) {
	names, err := json.Marshal(cy.Plan.Plan().Features)
	if err != nil {
		return nil, err
	}
	rows, err := c.db.gorm.WithContext(ctx).Raw(`
		SELECT unit_id, snapshot_id, arm, ts, cardinality(propensity) > 0 AS complete,
			ARRAY(SELECT coalesce((features ->> f)::float8, 0) FROM jsonb_array_elements_text(?::jsonb) WITH ORDINALITY AS n(f, i) ORDER BY i)::text
		FROM decisions WHERE account_id = ? AND ts >= ? AND ts < ? AND recorded_at <= ? ORDER BY ts, decision_id`,
		string(names), cy.Account.ID, cy.YearToDate.Start, cy.YearToDate.End, watermark).Rows()
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var out []lift.Exposure
	for rows.Next() {
		var e lift.Exposure
		var arm string
		var features floats
		if err := rows.Scan(&e.UnitID, &e.SnapshotID, &arm, &e.At, &e.PropensityOK, &features); err != nil {
			return nil, wrap(err)
		}
		e.Arm, e.At, e.Features = lift.Arm(arm), e.At.UTC(), features
		out = append(out, e)
	}
	return out, wrap(rows.Err())
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
		cy.Account.ID, cy.YearToDate.Start, cy.YearToDate.End, watermark).Scan(&r).Error
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

type unitDoc struct {
	SnapshotID    string    `json:"snapshot_id"`
	UnitID        string    `json:"unit_id"`
	Holdout       bool      `json:"holdout"`
	BaselineProb  float64   `json:"baseline_prob"`
	YMinor        int64     `json:"y_minor"`
	Features      []float64 `json:"features"`
	FirstExposure time.Time `json:"first_exposure"`
}

// SaveCollection freezes everything in one transaction. Whoever comes second finds
// the watermark set and changes nothing.
func (c *Cycles) SaveCollection(ctx context.Context, cycleID string, col measure.Collection, at time.Time) error {
	err := c.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var locked cycleRow
		if err := tx.Raw("SELECT * FROM cycles WHERE id = ? FOR UPDATE", cycleID).Scan(&locked).Error; err != nil {
			return err
		}
		if locked.Watermark != nil {
			return nil
		}
		for _, b := range col.Buckets {
			err := tx.Exec(`INSERT INTO cycle_buckets (cycle_id, bucket, snapshot_id, currency, amount_minor, events) VALUES (?, ?, ?, ?, ?, ?)`,
				cycleID, b.Name, b.SnapshotID, b.Currency, b.SumMinor, b.Events).Error
			if err != nil {
				return err
			}
		}
		for _, t := range col.Tables {
			if err := saveTable(tx, cycleID, t); err != nil {
				return err
			}
		}
		if err := keepLinks(tx, locked, col.Links); err != nil {
			return err
		}
		return tx.Exec(`UPDATE cycles SET watermark = ?, source_watermark = ?, input_digest = ?, paid_minor = ?, stripe_net_minor = ?, state = 'computing', updated_at = ?
			WHERE id = ?`, col.Watermark, col.SourceWatermark, col.InputDigest, col.PaidMinor, col.StripeNetMinor, at, cycleID).Error
	})
	return wrap(err)
}

// unitBatch bounds one statement's document.
const unitBatch = 5000

func saveTable(tx *gorm.DB, cycleID string, t measure.Table) error {
	inputs, err := json.Marshal(t.Inputs)
	if err != nil {
		return err
	}
	evidence, err := json.Marshal(t.Evidence)
	if err != nil {
		return err
	}
	if err := tx.Exec(`INSERT INTO cycle_inputs (cycle_id, snapshot_id, inputs, evidence) VALUES (?, ?, ?, ?)`, cycleID, t.SnapshotID, string(inputs), string(evidence)).Error; err != nil {
		return err
	}
	docs := make([]unitDoc, 0, unitBatch)
	for i, r := range t.Rows {
		docs = append(docs, unitDoc{
			SnapshotID: t.SnapshotID, UnitID: r.UnitID, Holdout: r.Arm == lift.ArmHoldout, BaselineProb: r.BaselineProb,
			YMinor: r.YMinor, Features: r.Features, FirstExposure: r.FirstExposure,
		})
		if len(docs) < unitBatch && i < len(t.Rows)-1 {
			continue
		}
		doc, err := json.Marshal(docs)
		if err != nil {
			return err
		}
		err = tx.Exec(`INSERT INTO cycle_units (cycle_id, snapshot_id, unit_id, holdout, baseline_prob, y_minor, features, first_exposure)
			SELECT ?, snapshot_id, unit_id, holdout, baseline_prob, y_minor, features, first_exposure
			FROM jsonb_to_recordset(?::jsonb) AS u(snapshot_id text, unit_id text, holdout boolean, baseline_prob float8, y_minor bigint, features float8[], first_exposure timestamptz)`,
			cycleID, string(doc)).Error
		if err != nil {
			return err
		}
		docs = docs[:0]
	}
	return nil
}

// Tables loads the frozen unit tables in the order of their snapshots, pooled last.
func (c *Cycles) Tables(ctx context.Context, cy measure.Cycle) ([]measure.Table, error) {
	var heads []struct{ SnapshotID, Inputs, Evidence string }
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT snapshot_id, inputs, evidence FROM cycle_inputs WHERE cycle_id = ? ORDER BY snapshot_id = ?, snapshot_id`,
		cy.ID, lift.SnapshotPooled).Scan(&heads).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make([]measure.Table, len(heads))
	for i, h := range heads {
		if err := json.Unmarshal([]byte(h.Inputs), &out[i].Inputs); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(h.Evidence), &out[i].Evidence); err != nil {
			return nil, err
		}
		if out[i].UnitTable, err = c.unitTable(ctx, cy, h.SnapshotID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *Cycles) unitTable(ctx context.Context, cy measure.Cycle, snapshotID string) (lift.UnitTable, error) {
	rows, err := c.db.gorm.WithContext(ctx).Raw(`SELECT unit_id, holdout, baseline_prob, y_minor, features::text, first_exposure
		FROM cycle_units WHERE cycle_id = ? AND snapshot_id = ? ORDER BY unit_id`, cy.ID, snapshotID).Rows()
	if err != nil {
		return lift.UnitTable{}, wrap(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var units []lift.UnitRow
	for rows.Next() {
		var u lift.UnitRow
		var held bool
		var features floats
		if err := rows.Scan(&u.UnitID, &held, &u.BaselineProb, &u.YMinor, &features, &u.FirstExposure); err != nil {
			return lift.UnitTable{}, wrap(err)
		}
		u.Arm, u.Features, u.FirstExposure = lift.ArmPolicy, features, u.FirstExposure.UTC()
		if held {
			u.Arm = lift.ArmHoldout
		}
		units = append(units, u)
	}
	if err := rows.Err(); err != nil {
		return lift.UnitTable{}, wrap(err)
	}
	return lift.NewUnitTable(snapshotID, cy.Plan.Plan().Features, units)
}

// PreviousCase is the case that a new readout is chained to.
func (c *Cycles) PreviousCase(ctx context.Context, accountID, snapshotID, beforePeriod string) (string, error) {
	var id string
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT case_id FROM readouts WHERE account_id = ? AND snapshot_id = ? AND period < ? ORDER BY period DESC LIMIT 1`,
		accountID, snapshotID, beforePeriod).Scan(&id).Error
	return id, wrap(err)
}

// SaveReadouts appends the readouts; a case that is there must be the same one.
func (c *Cycles) SaveReadouts(ctx context.Context, cy measure.Cycle, readouts []lift.Readout, build map[string]string, at time.Time) error {
	buildDoc, err := json.Marshal(build)
	if err != nil {
		return err
	}
	err = c.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for _, r := range readouts {
			if err := saveReadout(tx, cy, r, string(buildDoc), at); err != nil {
				return err
			}
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

var _ measure.Ledger = (*Cycles)(nil)
