package reconcile

import (
	"time"

	"github.com/liftbill/liftbill/domain/account"
)

// Check is one guardrail check of a readout.
type Check struct {
	Code      string
	Status    string // passed, failed, not_evaluated
	Value     string
	Threshold string
	Explain   string
}

// Readout is one snapshot's measured lift of a period, with every check.
type Readout struct {
	CaseID         string
	PreviousCaseID string
	CycleID        string
	// Revision is the revision of the cycle that the readout belongs to, Superseded that another
	// one took its place. Revisions is how often the month was computed, and why.
	Revision   int
	Superseded bool
	Revisions  []Revision
	// TrueUp is set on a readout of a settled year that was measured again; nothing is billed
	// on it itself.
	TrueUp        *ReadoutTrueUp
	AccountID     string
	AccountName   string
	Environment   account.Environment
	SnapshotID    string
	SnapshotName  string
	Period        string
	Currency      string
	Units         int64
	HoldoutUnits  int64
	ObservedMinor int64
	// Lift, its standard errors and bounds, in minor units, as estimated (not rounded).
	Lift           float64
	Counterfactual float64
	SE             float64
	VarianceCR     float64
	VarianceB      float64
	Variance0      float64
	IntervalLow    float64 // two-sided 95 %, display
	IntervalHigh   float64
	Bound          float64 // one-sided, at the scheduled error budget
	Z              string
	ESS            float64
	Verdict        string
	HeadlineCode   string
	Explanation    string
	Checks         []Check
	PlanHash       string
	Estimator      string
	InputDigest    string
	Watermark      time.Time
	// Build names compiler, commit and module of the program that estimated; nil where it was
	// not kept.
	Build     map[string]string
	Manifest  string // canonical JSON whose hash is the case ID
	Billed    bool
	BaseMinor int64
	FeeMinor  int64
}

// ReadoutTrueUp is where a readout of a settled year with what came since belongs.
type ReadoutTrueUp struct {
	SettlementCycle string
	// SettledCase is the readout that the year was settled with.
	SettledCase string
	// BookedBy is the cycle that looked, Look which look at the year it was, from 1.
	BookedBy string
	Look     int
	At       time.Time
}
