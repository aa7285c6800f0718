package preview

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/billing"
)

// Revision is one computation of a cycle and what differs in it from the one before.
type Revision struct {
	Number      int                `json:"number"`
	Superseded  bool               `json:"superseded"`
	BegunAt     time.Time          `json:"begun_at,omitzero"`
	Actor       string             `json:"actor,omitempty"`
	Reason      string             `json:"reason,omitempty"`
	State       billing.CycleState `json:"state"`
	StateReason string             `json:"state_reason,omitempty"`
	// Stored is what it came to, in the form of a preview.
	Stored Preview `json:"stored"`
	// Compared is the comparison with the revision before; nil for the first, and while this
	// one is not computed.
	Compared *Comparison `json:"compared,omitempty"`
}

// History lists the revisions of a cycle, oldest first, each compared with the one before.
func (s *Service) History(ctx context.Context, cycleID string) ([]Revision, error) {
	out, err := s.Revisions(ctx, cycleID)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Stored.Digest = out[i].Stored.digest()
		if i > 0 && len(out[i].Stored.Lines) > 0 && out[i].Stored.InvoiceHash != "" {
			c := Compare(out[i-1].Stored, out[i].Stored)
			out[i].Compared = &c
		}
	}
	return out, nil
}
