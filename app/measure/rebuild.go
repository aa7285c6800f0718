package measure

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// Frozen is what a collection took from outside the ledger.
type Frozen struct {
	Watermark       time.Time
	SourceWatermark time.Time
	StripeNetMinor  int64
}

// Rebuilt is what a frozen cycle comes to when it is computed once more.
type Rebuilt struct {
	InputDigest string
	// Units are the digests of the unit tables, by snapshot.
	Units map[string]string
	// Cases are the case IDs, by snapshot.
	Cases map[string]string
	// Links is how the facts were joined to users, by fact key.
	Links map[string]Link
}

// Rebuild joins and estimates a frozen cycle once more from what the ledger holds, up to
// the same watermark, and stores nothing. Given the same facts it gives the same bits.
func (s *Service) Rebuild(ctx context.Context, cycleID string, f Frozen) (Rebuilt, error) {
	c, err := s.Ledger.Cycle(ctx, cycleID)
	if err != nil {
		return Rebuilt{}, err
	}
	if c.Watermark.IsZero() || !c.Watermark.Equal(f.Watermark) {
		return Rebuilt{}, fault.New(fault.Conflict, "not_collected", "cycle %s is not frozen at %s", cycleID, f.Watermark.Format(time.RFC3339Nano))
	}
	col, err := s.build(ctx, c, f.Watermark, f.SourceWatermark, f.StripeNetMinor)
	if err != nil {
		return Rebuilt{}, err
	}
	out := Rebuilt{InputDigest: col.InputDigest, Units: map[string]string{}, Cases: map[string]string{}, Links: map[string]Link{}}
	for _, l := range col.Links {
		out.Links[l.FactKey] = l.Link
	}
	for _, t := range col.Tables {
		r, err := s.readout(ctx, c, t)
		if err != nil {
			return out, err
		}
		out.Units[t.SnapshotID], out.Cases[t.SnapshotID] = t.Inputs.UnitDigest, r.CaseID
	}
	return out, nil
}
