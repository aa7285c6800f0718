package billing

import "time"

// Payment is what has become of a finalized outcome invoice, as Stripe told it. Amounts
// are minor units and hold tax; nil is not known.
type Payment struct {
	// Status is open, paid, uncollectible or void.
	Status string
	// OutOfBandMinor of what was paid did not go through Stripe.
	DueMinor, PaidMinor, RemainingMinor *int64
	OutOfBandMinor                      int64
	// Attempts counts the charges that were tried.
	Attempts      int
	NextAttemptAt *time.Time
	DueAt         *time.Time
	PaidAt        *time.Time
	VoidedAt      *time.Time
	GivenUpAt     *time.Time
	// HostedURL and PDFURL are Stripe's links as it gave them when it was released; they may
	// expire there.
	HostedURL, PDFURL string
	// SeenAt is the time of the event or read that this is from; zero when nothing was
	// heard of the invoice since it was released.
	SeenAt time.Time
}

// statusRank is how far the life of an invoice has come: it does not go back. One that is
// given up as uncollectible may still be paid or voided.
func statusRank(status string) int {
	switch status {
	case "draft":
		return 1
	case "open":
		return 2
	case "uncollectible":
		return 3
	case "paid", "void":
		return 4
	default:
		return 0
	}
}

// LaterStatus is the one of two statuses of an invoice that was the later; at the same
// rank it is the first.
func LaterStatus(a, b string) string {
	if statusRank(b) > statusRank(a) {
		return b
	}
	return a
}
