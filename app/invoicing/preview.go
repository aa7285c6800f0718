package invoicing

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Pricing reads what the price of a period depends on beside its readouts.
type Pricing interface {
	// Previewed is Judged with readouts that are not stored, as of a moment.
	Previewed(ctx context.Context, accountID string, m period.Month, asOf time.Time, readouts []lift.Readout) (Judged, error)
}

// Preview settles, prices and plans readouts that are not stored, and stores nothing. due
// are true-ups that a cycle would write down before it is priced; one that has a price holds
// its own.
func (s *Service) Preview(ctx context.Context, accountID string, m period.Month, asOf time.Time, readouts []lift.Readout, due []billing.Adjustment) (Judged, Proposal, error) {
	j, err := s.Pricing.Previewed(ctx, accountID, m, asOf, readouts)
	if err != nil {
		return j, Proposal{}, err
	}
	if !j.Priced {
		j.Adjustments = append(j.Adjustments, due...)
	}
	p, err := propose(j)
	return j, p, err
}
