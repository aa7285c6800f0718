package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/decision"
)

// Decisions is the unit of work of app/decisions.
func (db *DB) Decisions() Work[decisions.Stores] {
	log := &decisionLog{db: db}
	return Work[decisions.Stores]{db: db, make: func(tx *gorm.DB) decisions.Stores {
		return decisions.Stores{Log: decisionLogTx{log, tx}, Reader: decisionReader{accounts{tx}, tx}, Audit: auditLog{tx}}
	}}
}

type decisionReader struct {
	accounts
	tx *gorm.DB
}

// SnapshotIDs are the snapshots shipped to the account.
func (r decisionReader) SnapshotIDs(ctx context.Context, accountID string) (map[string]bool, error) {
	var ids []string
	if err := r.tx.WithContext(ctx).Model(&snapshotRow{}).Where("account_id = ?", accountID).Pluck("id", &ids).Error; err != nil {
		return nil, wrap(err)
	}
	out := make(map[string]bool, len(ids))
	for _, id := range ids {
		out[id] = true
	}
	return out, nil
}

type decisionLog struct {
	db         *DB
	partitions partitions
}

type decisionLogTx struct {
	*decisionLog
	tx *gorm.DB
}

type decisionRow struct {
	DecisionID      string             `json:"decision_id"`
	UnitID          string             `json:"unit_id"`
	UserID          string             `json:"user_id"`
	SnapshotID      string             `json:"snapshot_id"`
	TS              time.Time          `json:"ts"`
	Arm             string             `json:"arm"`
	ArmProb         float64            `json:"arm_prob"`
	Action          string             `json:"action"`
	BaselineAction  string             `json:"baseline_action"`
	EligibleActions []string           `json:"eligible_actions"`
	Propensity      []float64          `json:"propensity"`
	Features        map[string]float64 `json:"features"`
	SaltCommitment  string             `json:"salt_commitment"`
	PlanHash        string             `json:"plan_hash"`
	Surface         string             `json:"surface"`
	SDKVersion      string             `json:"sdk_version"`
	SeqNo           *int64             `json:"seq_no"`
}

// Append stores a batch in two statements: the new keys, then their rows.
// Features are quantised here, once, so that every reader sees the same bits.
func (l decisionLogTx) Append(ctx context.Context, a account.Account, rows []decision.Decision, at time.Time) (int, error) {
	docs := make([]decisionRow, 0, len(rows))
	seen := make(map[string]bool, len(rows))
	for _, d := range rows {
		if seen[d.ID] {
			continue // the first row of an ID counts, within a batch as between batches
		}
		seen[d.ID] = true
		features := make(map[string]float64, len(d.Features))
		for k, v := range d.Features {
			features[k] = decision.Quantise(v)
		}
		row := decisionRow{
			DecisionID: d.ID, UnitID: d.UnitID, UserID: d.UserID, SnapshotID: d.SnapshotID, TS: d.At.UTC().Truncate(time.Microsecond),
			Arm: string(d.Arm), ArmProb: d.ArmProbability, Action: d.Action, BaselineAction: d.BaselineAction,
			EligibleActions: d.EligibleActions, Propensity: d.Propensity, Features: features,
			SaltCommitment: d.SaltCommitment, PlanHash: d.PlanHash, Surface: d.Surface, SDKVersion: d.SDKVersion, SeqNo: d.SequenceNumber,
		}
		if err := l.partitions.ensure(ctx, l.db, "decisions", row.TS); err != nil {
			return 0, err
		}
		docs = append(docs, row)
	}
	doc, err := json.Marshal(docs)
	if err != nil {
		return 0, err
	}
	if at, err = afterFreeze(ctx, l.tx, at, logOf(a.ID)); err != nil {
		return 0, err
	}
	res := l.tx.WithContext(ctx).Exec(`
		WITH given AS MATERIALIZED (
			SELECT * FROM jsonb_to_recordset(?::jsonb) AS d(decision_id text, unit_id text, user_id text,
				snapshot_id text, ts timestamptz, arm text, arm_prob float8, action text, baseline_action text, eligible_actions text[],
				propensity float8[], features jsonb, salt_commitment text, plan_hash text, surface text, sdk_version text, seq_no bigint)),
		fresh AS (
			INSERT INTO decision_keys (account_id, decision_id) SELECT ?, decision_id FROM given ORDER BY decision_id
			ON CONFLICT DO NOTHING RETURNING decision_id)
		INSERT INTO decisions (account_id, environment, decision_id, unit_id, user_id, snapshot_id, ts, arm, arm_prob, action,
			baseline_action, eligible_actions, propensity, features, salt_commitment, plan_hash, surface, sdk_version, seq_no, recorded_at)
		SELECT ?, ?, g.decision_id, unit_id, user_id, snapshot_id, ts, arm, arm_prob, action, baseline_action, eligible_actions,
			propensity, features, salt_commitment, plan_hash, surface, sdk_version, seq_no, ?
		FROM given g JOIN fresh USING (decision_id)`,
		string(doc), a.ID, a.ID, a.Environment.String(), at)
	return int(res.RowsAffected), wrap(res.Error)
}

// Refuse remembers refused decisions; the first reason of an ID counts.
func (l decisionLogTx) Refuse(ctx context.Context, a account.Account, rows []decisions.Refusal, at time.Time) error {
	type doc struct {
		DecisionID string     `json:"decision_id"`
		UnitID     string     `json:"unit_id"`
		TS         *time.Time `json:"ts"`
		Field      string     `json:"field"`
		Code       string     `json:"code"`
	}
	docs := make([]doc, len(rows))
	for i, r := range rows {
		docs[i] = doc{DecisionID: r.DecisionID, UnitID: r.UnitID, Field: r.Field, Code: r.Code}
		if !r.At.IsZero() {
			ts := r.At.UTC()
			docs[i].TS = &ts
		}
	}
	raw, err := json.Marshal(docs)
	if err != nil {
		return err
	}
	if at, err = afterFreeze(ctx, l.tx, at, logOf(a.ID)); err != nil {
		return err
	}
	return wrap(l.tx.WithContext(ctx).Exec(`
		INSERT INTO decision_refusals (account_id, environment, decision_id, unit_id, ts, field, code, recorded_at)
		SELECT DISTINCT ON (decision_id) ?, ?, decision_id, unit_id, ts, field, code, ?
		FROM jsonb_to_recordset(?::jsonb) AS r(decision_id text, unit_id text, ts timestamptz, field text, code text)
		ORDER BY decision_id ON CONFLICT DO NOTHING`, a.ID, a.Environment.String(), at, string(raw)).Error)
}
