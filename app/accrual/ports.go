package accrual

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
)

// Figures are what a preview of a month says of it, as of a moment.
type Figures struct {
	Environment account.Environment
	AsOf        time.Time
	// Over: the month has ended; before that the figures are to date. Frozen: its cycle has
	// frozen its inputs meanwhile.
	Over, Frozen        bool
	Contract            billing.Contract
	Interval            period.Interval
	Accrual             billing.Accrual
	WaitsFor            []string
	InputDigest, Digest string
}

// Ledger keeps accruals; it never changes one.
type Ledger interface {
	// Environment of an account; NotFound when there is none.
	Environment(ctx context.Context, accountID string) (account.Environment, error)
	// Frozen reports whether the month's cycle has frozen its inputs.
	Frozen(ctx context.Context, accountID, period string) (bool, error)
	// Open lists the months of an environment that have begun and whose inputs are not
	// frozen, ascending behind one; at most the newest year of an account.
	Open(ctx context.Context, env account.Environment, after Month, at time.Time, limit int) ([]Month, error)
	// OfRun is the accrual that a run stored of a month.
	OfRun(ctx context.Context, m Month, run string) (Accrual, bool, error)
	// Save stores an accrual with its audit entry. What the run has stored already stays
	// and is returned with false.
	Save(ctx context.Context, a Accrual, note audit.Entry) (Accrual, bool, error)
	// Accruals pages by (as of, account and period), newest first.
	Accruals(ctx context.Context, f Filter) (Page, error)
}

// Month names a month of an account.
type Month struct{ AccountID, Period string }

// Filter selects accruals. Empty fields select all; an empty scope selects nothing.
type Filter struct {
	Scope                          access.Scope
	AccountID, Period, Environment string
	// Closed is "open" for months whose cycle is not final, "closed" for the others.
	Closed string
	// History selects every accrual of a month; otherwise the newest.
	History bool
	Cursor  string
	Limit   int
}

// Page is one page of accruals.
type Page struct {
	Items      []Accrual
	NextCursor string
}
