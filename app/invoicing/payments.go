package invoicing

import (
	"context"
	"time"
)

// paymentQuiet is how long the issuer may be silent about an unpaid invoice of ours before
// it is read. Webhooks and pulled events come sooner; the read is for issuers that have
// neither, and for events that were lost.
const paymentQuiet = 6 * time.Hour

// FollowPayments asks for the reads that tell what became of invoices that no event spoke
// of lately. What they show is mirrored like an event.
func (s *Service) FollowPayments(ctx context.Context) (int, error) {
	return s.Payments.AskPayments(ctx, paymentQuiet, s.Clock.Now())
}
