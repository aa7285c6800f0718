package measure

import (
	"context"
	"runtime"

	"github.com/liftbill/liftbill/domain/lift"
)

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
// the same watermark, and stores nothing. Given the same facts it gives the same bits. What
// the collection took from beside facts and decisions is taken as it was frozen: Stripe's
// side of the books, up to when the source was complete, and what the year had billed.
func (s *Service) Rebuild(ctx context.Context, cycleID string) (Rebuilt, error) {
	c, heads, err := s.heads(ctx, cycleID)
	if err != nil {
		return Rebuilt{}, err
	}
	col, err := s.build(ctx, c, frozenOf(heads))
	if err != nil {
		return Rebuilt{}, err
	}
	out := Rebuilt{InputDigest: col.InputDigest, Units: map[string]string{}, Cases: map[string]string{}, Links: map[string]Link{}}
	for _, l := range col.Links {
		out.Links[l.FactKey] = l.Link
	}
	for _, t := range col.Tables {
		est, err := lift.Measure(t.UnitTable, c.Plan.Plan(), runtime.GOMAXPROCS(0))
		if err != nil {
			return out, err
		}
		r, err := s.readout(ctx, c, Head{SnapshotID: t.SnapshotID, Layout: t.Layout, Inputs: t.Inputs, Evidence: t.Evidence}, est)
		if err != nil {
			return out, err
		}
		out.Units[t.SnapshotID], out.Cases[t.SnapshotID] = t.Inputs.UnitDigest, r.CaseID
	}
	return out, nil
}

// frozenOf is what was observed when the tables were frozen, to the last digit: the watermark
// that was hashed is finer than a column of the database. Stripe's books and the watermarks
// are the cycle's, so that every table says the same of them.
func frozenOf(heads []Head) observed {
	o, marks := observed{stripeNet: map[string]int64{}, spent: map[string]bool{}}, map[string]*int64{}
	for _, h := range heads {
		o.watermark, marks[h.SnapshotID] = h.Inputs.Watermark, h.Inputs.PreviousHighWaterMinor
		o.spent[h.SnapshotID] = h.Evidence.LookSpent
		if h.Evidence.SourceWatermark != nil {
			o.sourceMark = *h.Evidence.SourceWatermark
		}
		for _, b := range h.Evidence.Books {
			o.stripeNet[b.Currency] = b.StripeMinor
		}
	}
	o.mark = func(snapshotID string) *int64 { return marks[snapshotID] }
	return o
}
