package reconcile

import (
	"context"
	"time"

	"github.com/shopspring/decimal"
)

// AccountFigures are what an account comes to, as far as it was frozen or counted already.
type AccountFigures struct {
	AccountID string
	// Period is the newest month with measured revenue, empty without one; RevenueMinor is its net
	// paid revenue of the contract year to date, as the close was made with.
	Period, Currency string
	RevenueMinor     int64
	// Invoices counts ours that were finalized.
	Invoices int64
	// CountedAt is when Decisions and Worth were counted; nil before the first time.
	CountedAt *time.Time
	Decisions int64
	// Worth is the recurring revenue of all customers by currency.
	Worth []Worth
}

// Worth is recurring revenue in one currency: exact minor units, of subscriptions that are
// active or past due.
type Worth struct {
	Currency    string
	MRR, NetMRR decimal.Decimal
	// Unknown counts subscriptions in none of the sums, Undiscounted those missing in the net one.
	Unknown, Undiscounted int
}

// withFigures completes a page of accounts.
func (s *Service) withFigures(ctx context.Context, page Page[Overview], err error) (Page[Overview], error) {
	if err != nil || len(page.Items) == 0 {
		return page, err
	}
	ids := make([]string, len(page.Items))
	for i, o := range page.Items {
		ids[i] = o.ID
	}
	all, err := s.Reader.AccountFigures(ctx, ids)
	for i := range page.Items {
		page.Items[i].Figures = all[page.Items[i].ID]
	}
	return page, err
}
