package measure

import (
	"context"
	"runtime"
	"time"

	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Planner reads what a cycle would be opened with.
type Planner interface {
	// Planned is the cycle of a period as it is, or as it would be opened, without what was
	// frozen, and when the period settles.
	Planned(ctx context.Context, accountID string, m period.Month) (c Cycle, settled time.Time, err error)
}

// Preview is a collection that was estimated and judged and of which nothing is stored.
type Preview struct {
	Cycle     Cycle
	SettledAt time.Time
	Collection
	Readouts []lift.Readout
}

// Preview collects, estimates and judges a period as a cycle does, up to now, which need
// not be the period's end. It draws no line behind which later facts fall: what is
// recorded meanwhile may be missing.
func (s *Service) Preview(ctx context.Context, accountID string, m period.Month) (Preview, error) {
	c, settled, err := s.Planner.Planned(ctx, accountID, m)
	if err != nil {
		return Preview{}, err
	}
	if err := s.Drainer.DrainAll(ctx, c.Account.SourceConnection); err != nil {
		return Preview{}, err
	}
	o, err := s.observe(ctx, c)
	if err != nil {
		return Preview{}, err
	}
	o.watermark = s.Clock.Now().Truncate(time.Microsecond)
	out := Preview{Cycle: c, SettledAt: settled}
	if out.Collection, err = s.build(ctx, c, o); err != nil {
		return out, err
	}
	for _, t := range out.Tables {
		est, err := lift.Measure(t.UnitTable, c.Plan.Plan(), runtime.GOMAXPROCS(0))
		if err != nil {
			return out, err
		}
		r, err := s.readout(ctx, c, Head{SnapshotID: t.SnapshotID, Layout: t.Layout, Inputs: t.Inputs, Evidence: t.Evidence}, est)
		if err != nil {
			return out, err
		}
		out.Readouts = append(out.Readouts, r)
	}
	return out, nil
}
