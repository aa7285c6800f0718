package reconcile

import "context"

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
	return s.Reader.Weights(ctx, r.CycleID, r.SnapshotID)
}
