package lift

import (
	"time"

	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

// ManifestSchema names the layout of the manifest and the wording of its checks: a
// manifest can be judged again only by what wrote it. The second version has the
// balance of the randomisation, both sides of the books, the marks of the month
// before and the digests of the moments.
const ManifestSchema = "liftbill.manifest/2"

// Inputs are the frozen inputs of a readout: what was read, up to where.
type Inputs struct {
	// Watermark is the frozen instant up to which every source was read.
	Watermark time.Time `json:"watermark"`
	// UnitDigest is the Merkle root of the unit table.
	UnitDigest string `json:"unit_digest"`
	// Units and SumMinor describe the table.
	Units    int   `json:"units"`
	SumMinor int64 `json:"sum_minor"`
	// Decisions and Revenue count what Join read.
	Decisions int         `json:"decisions"`
	Revenue   Tally       `json:"revenue"`
	Buckets   []BucketSum `json:"buckets"`
	// PreviousHighWaterMinor is what the contract year had billed of the snapshot
	// (pooled: of all) when the inputs were frozen; absent while an earlier month of
	// the year was not finished then.
	PreviousHighWaterMinor *int64 `json:"previous_high_water_minor,omitempty"`
	// SaltHex is the revealed salt in hex, empty while it is secret (SaltRevealed).
	SaltHex string `json:"salt_hex,omitempty"`
}

// SaltRevealed reports whether the readouts of a month reveal the salt of the arms:
// from the last month of the plan's year on. Until then it decides who will be in
// the holdout; afterwards everybody can recompute who was.
func SaltRevealed(first, m period.Month) bool { return m.Sub(first) >= PeriodsPerYear-1 }

// BucketSum is the tally of one bucket.
type BucketSum struct {
	Bucket Bucket `json:"bucket"`
	Tally
}

// InputsOf collects the inputs of one table of a join.
func InputsOf(j Joined, table UnitTable, watermark time.Time) Inputs {
	in := Inputs{Watermark: watermark.UTC(), UnitDigest: table.Digest(), Units: len(table.Rows), SumMinor: table.SumMinor(),
		Decisions: j.Exposures, Revenue: j.Input}
	for _, b := range Buckets() {
		if t := j.Bucket(b); b != BucketNextYear || t.Events > 0 { // only a settlement has it
			in.Buckets = append(in.Buckets, BucketSum{Bucket: b, Tally: t})
		}
	}
	return in
}

// Manifest is everything that a readout is computed from and what came out. Its
// canonical JSON is hashed into the case ID. Build data (compiler, commit,
// machine) stands beside it, unhashed, so that a replay gives the same ID.
type Manifest struct {
	Schema         string   `json:"schema"`
	AccountID      string   `json:"account_id"`
	ContractID     string   `json:"contract_id"`
	SnapshotID     string   `json:"snapshot_id"`
	Period         string   `json:"period"`
	PlanHash       string   `json:"plan_hash"`
	EstimatorID    string   `json:"estimator_id"`
	PreviousCaseID string   `json:"previous_case_id"`
	Inputs         Inputs   `json:"inputs"`
	Evidence       Evidence `json:"evidence"`
	Refusal        string   `json:"refusal,omitempty"`
	Result         *Figures `json:"result,omitempty"`
	// Moments are the checksums of the sums behind the figures, by fold.
	Moments   []string  `json:"moments_sha256,omitempty"`
	Uncapped  *Figures  `json:"uncapped,omitempty"`
	Placebo   *Figures  `json:"placebo,omitempty"`
	Judgement Judgement `json:"judgement"`
}

// Judgement is the verdict in the manifest.
type Judgement struct {
	Z            string  `json:"z"`
	LCB          Hex     `json:"lcb"`
	PointMinor   int64   `json:"point_minor"`
	BoundMinor   int64   `json:"bound_minor"`
	RoundingEdge bool    `json:"rounding_edge"`
	Headline     Code    `json:"headline"`
	Sentence     string  `json:"sentence"`
	Checks       []Check `json:"checks"`
}

// Figures is an ope.Result with every bit of every float.
type Figures struct {
	Units           int            `json:"units"`
	Holdout         int            `json:"holdout"`
	HoldoutPayers   int            `json:"holdout_payers"`
	ObservedMinor   int64          `json:"observed_minor"`
	Counterfactual  Hex            `json:"counterfactual"`
	T               Hex            `json:"t"`
	VCR             Hex            `json:"v_cr"`
	VB              Hex            `json:"v_b"`
	V0              Hex            `json:"v_0"`
	V               Hex            `json:"v"`
	SE              Hex            `json:"se"`
	W               Hex            `json:"w"`
	R               Hex            `json:"r"`
	ESS             Hex            `json:"ess"`
	WeightDominance Hex            `json:"weight_dominance"`
	CalibrationZ    Hex            `json:"calibration_z"`
	SRMZ            Hex            `json:"srm_z"`
	MinP            Hex            `json:"min_p"`
	Centre          []Hex          `json:"centre"`
	Models          []ModelFigures `json:"models"`
	TopPsi          Hex            `json:"top_psi"`
	WithoutTop      *ReducedFigure `json:"without_top,omitempty"`
}

// ModelFigures is one fold's outcome model.
type ModelFigures struct {
	Fold      int   `json:"fold"`
	Trained   int   `json:"trained"`
	Intercept Hex   `json:"intercept"`
	Coef      []Hex `json:"coef"`
}

// ReducedFigure is the estimate without the most favourable unit.
type ReducedFigure struct {
	T  Hex `json:"t"`
	SE Hex `json:"se"`
}

// FiguresOf records a result. It keeps the score of the most favourable unit but
// not its id: a manifest leaves the house, a unit id does not.
func FiguresOf(r ope.Result) *Figures {
	f := &Figures{Units: r.Units, Holdout: r.Holdout, HoldoutPayers: r.HoldoutPayers, ObservedMinor: r.Observed,
		Counterfactual: Hex(r.Counterfactual), T: Hex(r.T), VCR: Hex(r.VCR), VB: Hex(r.VB), V0: Hex(r.V0), V: Hex(r.V), SE: Hex(r.SE),
		W: Hex(r.W), R: Hex(r.R), ESS: Hex(r.ESS), WeightDominance: Hex(r.WeightDominance), CalibrationZ: Hex(r.CalibrationZ),
		SRMZ: Hex(r.SRMZ), MinP: Hex(r.MinP), Centre: hexes(r.Centre), TopPsi: Hex(r.TopPsi)}
	for _, m := range r.Models {
		f.Models = append(f.Models, ModelFigures{Fold: m.Fold, Trained: m.Trained, Intercept: Hex(m.Intercept), Coef: hexes(m.Coef)})
	}
	if r.WithoutTop != nil {
		f.WithoutTop = &ReducedFigure{T: Hex(r.WithoutTop.T), SE: Hex(r.WithoutTop.SE)}
	}
	return f
}

// result is the recorded result; the unit with the largest score is not named in it.
func (f *Figures) result() ope.Result {
	r := ope.Result{Units: f.Units, Holdout: f.Holdout, HoldoutPayers: f.HoldoutPayers, Observed: f.ObservedMinor,
		Counterfactual: float64(f.Counterfactual), T: float64(f.T), VCR: float64(f.VCR), VB: float64(f.VB), V0: float64(f.V0), V: float64(f.V),
		SE: float64(f.SE), W: float64(f.W), R: float64(f.R), ESS: float64(f.ESS), WeightDominance: float64(f.WeightDominance),
		CalibrationZ: float64(f.CalibrationZ), SRMZ: float64(f.SRMZ), MinP: float64(f.MinP), Centre: floats(f.Centre), TopPsi: float64(f.TopPsi)}
	for _, m := range f.Models {
		r.Models = append(r.Models, ope.Model{Fold: m.Fold, Trained: m.Trained, Intercept: float64(m.Intercept), Coef: floats(m.Coef)})
	}
	if f.WithoutTop != nil {
		r.WithoutTop = &ope.Reduced{T: float64(f.WithoutTop.T), SE: float64(f.WithoutTop.SE)}
	}
	return r
}

func hexes(in []float64) []Hex {
	out := make([]Hex, len(in))
	for i, v := range in {
		out[i] = Hex(v)
	}
	return out
}

func floats(in []Hex) []float64 {
	out := make([]float64, len(in))
	for i, v := range in {
		out[i] = float64(v)
	}
	return out
}
