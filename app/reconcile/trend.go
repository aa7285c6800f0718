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
