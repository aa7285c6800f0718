package reconcile

import (
	"context"
	"time"
)

// AccountHealth is how an account does, from what its months and our invoices say.
type AccountHealth struct {
	AccountID string
	// Period is the newest month with measured revenue, empty without one. PaidMinor is its
	// net paid revenue of the contract year to date, of which UnmappedMinor belongs to no user.
	Period, Currency         string
	PaidMinor, UnmappedMinor int64
	// Withheld counts the months that billed nothing, without those of a shadow phase.
	Withheld   int64
	OpenBreaks int64
	// Trend are the newest months with readouts, the oldest first: HealthMonths at most.
	Trend []HealthMonth
	// Unpaid are our open invoices by currency.
	Unpaid []Ageing
}

// HealthMonths bounds a trend.
const HealthMonths = 12

// HealthMonth sums the readouts of one month over its snapshots.
type HealthMonth struct {
	Period string `json:"period"`
	// Lift is in minor units, the contract year to date.
	Lift float64 `json:"lift"`
	// ESS is the least effective sample of the month's snapshots.
	ESS float64 `json:"ess"`
}

// Ageing is what remains of open invoices by the days since they were due. What is not due
// yet stands in the first bucket.
type Ageing struct {
	Currency string `json:"currency"`
	// Minor is up to 30 days, up to 60, up to 90, and more.
	Minor [4]int64 `json:"minor"`
}

// maxHealth bounds the accounts of one question: a page of a list.
const maxHealth = 500

// AccountHealth answers for accounts that the caller was shown already, by ID; an account without
// anything has no entry.
func (s *Service) AccountHealth(ctx context.Context, accountIDs []string, now time.Time) (map[string]AccountHealth, error) {
	out := map[string]AccountHealth{}
	if len(accountIDs) == 0 {
		return out, nil
	}
	all, err := s.Reader.AccountHealth(ctx, accountIDs[:min(len(accountIDs), maxHealth)], now)
	for _, h := range all {
		out[h.AccountID] = h
	}
	return out, err
}
