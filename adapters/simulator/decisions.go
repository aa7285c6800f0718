package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// offers are what the policy chooses among, and with which probability. It is
// mildly stochastic, as policies that go on learning are.
var offers = [...]struct {
	action string
	share  float64
}{{"offer_annual", 0.75}, {"offer_extended", 0.25}}

// Decisions is the decision log of a month as the integrator would upload it:
// NDJSON, one decision per line, in time order.
func (b *Business) Decisions(m period.Month) io.Reader {
	return Log(b.Rows(m))
}

// Log writes decisions as an integrator's log does.
func Log(decisions []decision.Decision) io.Reader {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for _, d := range decisions {
		if err := enc.Encode(rowOf(&d)); err != nil {
			return failing{err} // a row holds only strings and finite numbers; a reader may still say so
		}
	}
	return &out
}

type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// row is a line of the log.
type row struct {
	ID              string             `json:"decision_id"`
	UnitID          string             `json:"unit_id"`
	UserID          string             `json:"user_id"`
	At              time.Time          `json:"ts"`
	SnapshotID      string             `json:"snapshot_id"`
	EligibleActions []string           `json:"eligible_actions"`
	Propensity      []float64          `json:"propensity"`
	Action          string             `json:"action"`
	BaselineAction  string             `json:"baseline_action"`
	Arm             decision.Arm       `json:"arm"`
	ArmProbability  float64            `json:"arm_prob"`
	SaltCommitment  string             `json:"arm_salt_commitment,omitempty"`
	PlanHash        string             `json:"plan_hash,omitempty"`
	Features        map[string]float64 `json:"features"`
	SDKVersion      string             `json:"sdk_version"`
	SequenceNumber  *int64             `json:"seq_no,omitempty"`
	Surface         string             `json:"surface"`
}

func rowOf(d *decision.Decision) row {
	return row{
		ID: d.ID, UnitID: d.UnitID, UserID: d.UserID, At: d.At, SnapshotID: d.SnapshotID, EligibleActions: d.EligibleActions,
		Propensity: d.Propensity, Action: d.Action, BaselineAction: d.BaselineAction, Arm: d.Arm, ArmProbability: d.ArmProbability,
		SaltCommitment: d.SaltCommitment, PlanHash: d.PlanHash, Features: d.Features, SDKVersion: d.SDKVersion, SequenceNumber: d.SequenceNumber, Surface: d.Surface,
	}
}

// Rows are the decisions of a month in time order. The holdout logs the same
// decisions, with the baseline as its action.
func (b *Business) Rows(m period.Month) []decision.Decision {
	in := m.In(b.spec.zone())
	var shown []*exposure
	for _, u := range b.units {
		for i := range u.shown {
			if in.Contains(u.shown[i].at) {
				shown = append(shown, &u.shown[i])
			}
		}
	}
	slices.SortFunc(shown, inLogOrder)
	commitment := lift.SaltCommitment(b.spec.Salt)
	out := make([]decision.Decision, len(shown))
	for i, e := range shown {
		out[i] = b.decide(e, commitment)
	}
	return out
}

// decide writes one decision. The logging policy is the whole of holdout and
// policy: a unit gets the baseline with the holdout's probability, and otherwise
// what the policy draws.
func (b *Business) decide(e *exposure, commitment string) decision.Decision {
	u, h, seq := e.unit, b.holdout.Float(), e.seq
	id := fmt.Sprintf("%s_%s_%d", u.id, surfaces[e.surface].name, e.seq)
	d := decision.Decision{
		ID: id, UnitID: u.id, UserID: u.id, SnapshotID: b.spec.Snapshots[u.snapshot].ID, At: e.at,
		Arm: decision.Policy, ArmProbability: 1 - h, BaselineAction: Baseline, SaltCommitment: commitment, PlanHash: b.planHash,
		EligibleActions: []string{Baseline}, Propensity: []float64{h},
		Features: map[string]float64{"mobile_share": u.mobileShare, "tenure_days": u.tenureDays, "visits": u.visits},
		Surface:  surfaces[e.surface].name, SDKVersion: surfaces[e.surface].sdk, SequenceNumber: &seq,
	}
	x := draws(b.spec.Seed, id, "action").Float64()
	for _, o := range offers {
		d.EligibleActions = append(d.EligibleActions, o.action)
		d.Propensity = append(d.Propensity, (1-h)*o.share)
		if d.Action == "" && x < o.share {
			d.Action = o.action
		}
		x -= o.share
	}
	if d.Action == "" {
		d.Action = offers[len(offers)-1].action
	}
	if u.arm == lift.ArmHoldout {
		d.Arm, d.ArmProbability, d.Action = decision.Holdout, h, Baseline
	}
	return d
}
