package reconcile

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// TrendPoint is the readout of one period of a contract year. The figures are those of the
// year to date, in minor units; estimates are not rounded.
type TrendPoint struct {
	Period, CaseID, Verdict                string
	Lift, IntervalLow, IntervalHigh, Bound float64
	// MarkMinor is the high-water mark after the period: what the year has billed of the
	// snapshot by then. It never falls.
	MarkMinor int64
	FeeMinor  int64
}

// WeightCount counts the users of one arm that have one weight.
type WeightCount struct {
	Holdout bool
	// Weight is one over the probability of the arm that the user is in, to two decimals.
	Weight float64
	Units  int64
	// SumMinor is what they paid, uncapped; Inverse sums their exact weights, WeightedMinor
	// what they paid times its exact weight.
	SumMinor               int64
	Inverse, WeightedMinor float64
}

// MaxWeighed bounds the users whose weights are counted for a page: counting reads each.
const MaxWeighed = 2_000_000

// Trend is the readouts of the snapshot in the contract year of a readout, oldest first.
func (s *Service) Trend(ctx context.Context, r Readout) ([]TrendPoint, error) {
	return s.Reader.Trend(ctx, r.CycleID, r.SnapshotID)
}

// Weights is how the weights of a readout are distributed; nil above MaxWeighed users.
func (s *Service) Weights(ctx context.Context, r Readout) ([]WeightCount, error) {
	if r.Units > MaxWeighed {
		return nil, nil
	}
	return s.Reader.Weights(ctx, r.CycleID, r.SnapshotID, r.Revision)
}

// Snapshot is one policy snapshot that was shipped to an account.
type Snapshot struct {
	AccountID, AccountName string
	Environment            account.Environment
	ID, Name               string
	ShippedAt              time.Time
	// Period, CaseID and Verdict are of its newest readout; empty before the first.
	Period, CaseID, Verdict, Headline string
	Currency                          string
	Readouts                          int64
	// BilledMinor is the base that its contract years have billed, FeeMinor the fees on it.
	BilledMinor, FeeMinor *int64
	// RetiredAt is from when on it was out of use; nil while it is in use.
	RetiredAt *time.Time
}

// SnapshotDetail is everything that is known of a snapshot.
type SnapshotDetail struct {
	Snapshot
	RetiredReason, RetiredBy string
	// Decisions of it, First and Last of them, and Late: those from its retirement on.
	// More: there are more than were counted.
	Decisions, Late int64
	More            bool
	First, Last     *time.Time
	Months          []SnapshotMonth // newest first
	Refused         []RefusedEdit   // newest first
	// Propensities count the newest decisions, Sampled of them, by the probability of what was chosen.
	Propensities []PropensityCount
	Sampled      int64
}

// SnapshotMonth is a readout of the snapshot, year to date, with what its cycle made of it.
// Estimates are not rounded.
type SnapshotMonth struct {
	Period, CycleID, CaseID, Verdict, Headline, Currency, Explanation string
	Units, HoldoutUnits                                               int64
	Lift, Bound, ESS                                                  float64
	BaseMinor, FeeMinor, MarkMinor                                    int64
}

// RefusedEdit is an attempt to change the snapshot, as the audit log keeps it. Before and
// After are canonical JSON.
type RefusedEdit struct {
	At                    time.Time
	Action, Actor, Reason string
	Before, After         string
}

// PropensityCount counts the decisions of one arm whose chosen action had a probability in
// the tenth that begins at From.
type PropensityCount struct {
	Holdout   bool
	From      float64
	Decisions int64
}

// Bounds of what a page counts.
const (
	MaxDecisionsCounted = 20_000
	MaxPropensities     = 5_000
)

// SnapshotDetail is everything that is known of a snapshot; NotFound when there is none.
func (s *Service) SnapshotDetail(ctx context.Context, accountID, id string) (SnapshotDetail, error) {
	return s.Reader.SnapshotDetail(ctx, accountID, id)
}

// SnapshotsFilter selects snapshots; empty fields select all, an empty scope nothing.
type SnapshotsFilter struct {
	Scope              access.Scope
	AccountID, Verdict string
	ID                 string // one snapshot of the account
	Search             string // a snapshot's ID or name
	Sort               string // one of SnapshotSorts; "" is the newest first
	Cursor             string
	Limit              int
}

// SnapshotSorts are the orders of the list of snapshots.
func SnapshotSorts() []string {
	return []string{"shipped_asc", "name", "name_asc", "account", "account_asc"}
}

// Snapshots lists policy snapshots, newest first.
func (s *Service) Snapshots(ctx context.Context, f SnapshotsFilter) (Page[Snapshot], error) {
	if f.Verdict != "" && f.Verdict != "passed" && f.Verdict != "withheld" {
		return Page[Snapshot]{}, fault.InvalidField("verdict", "filter_unknown", "%q is not a verdict", f.Verdict).Fix("Use passed or withheld")
	}
	if err := checkSort(f.Sort, SnapshotSorts()); err != nil {
		return Page[Snapshot]{}, err
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Snapshot]{}, err
	}
	return s.Reader.Snapshots(ctx, f)
}
