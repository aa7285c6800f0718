// Package accrual keeps what open months are expected to come to: a low, an expected and a
// high figure as of a moment, before a cycle is closed and an invoice is written.
//
// Figures come from a preview of the month, which is the cycle's own path without its end.
// What is stored is numbers; no invoice can be made of it, and it is never changed. When
// the cycle is final, each stored accrual shows how far off it was.
package accrual

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// Accrual is the stored figures of a month as of a moment. Its natural key is account,
// period and as-of; a run stores one per month.
type Accrual struct {
	AccountID   string
	AccountName string
	Environment account.Environment
	Period      string
	Interval    period.Interval
	TimeZone    string
	ContractID  string
	// Run is "night/YYYY-MM-DD" of the Schedule, or "demand/" with the moment.
	Run  string
	AsOf time.Time
	// By is who asked for it.
	By string
	// Over: the month had ended as of then; otherwise the figures are to date.
	Over bool
	billing.Accrual
	// WaitsFor are earlier cycles that were not finished: their marks were unknown.
	WaitsFor []string
	// InputDigest and Digest are those of the preview.
	InputDigest, Digest string

	// State of the month's cycle now, empty without one. RealisedMinor is what it came to,
	// once it is final.
	State         billing.CycleState
	RealisedMinor *int64
}

// CycleID is the cycle that the accrual is of.
func (a Accrual) CycleID() string { return a.AccountID + "." + a.Period }

// OffMinor is what the month came to less what was expected; nil while it is open.
func (a Accrual) OffMinor() *int64 {
	if a.RealisedMinor == nil {
		return nil
	}
	off := *a.RealisedMinor - a.Expected.TotalMinor()
	return &off
}

// Within reports whether the realised amount lies from low to high; known is false while
// the month is open.
func (a Accrual) Within() (within, known bool) {
	if a.RealisedMinor == nil {
		return false, false
	}
	return a.Low.TotalMinor() <= *a.RealisedMinor && *a.RealisedMinor <= a.HighMinor, true
}

// Service is the use case.
type Service struct {
	Ledger Ledger
	// Compute previews a month.
	Compute func(ctx context.Context, by access.Principal, accountID, month string) (Figures, error)
	Clock   clock.Clock
}

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// Accruals lists stored accruals, newest first.
func (s *Service) Accruals(ctx context.Context, f Filter) (Page, error) {
	if f.Period != "" {
		if _, err := period.Parse(f.Period); err != nil {
			return Page{}, err
		}
	}
	if f.Environment != "" {
		if _, err := account.ParseEnvironment(f.Environment); err != nil {
			return Page{}, err
		}
	}
	switch f.Closed {
	case "", "open", "closed":
	default:
		return Page{}, fault.InvalidField("closed", "filter_unknown", "%q does not say which months", f.Closed).Fix("Use open or closed, or leave it out")
	}
	switch {
	case f.Limit == 0:
		f.Limit = DefaultLimit
	case f.Limit < 1 || f.Limit > MaxLimit:
		return Page{}, fault.InvalidField("limit", "limit_range", "a page holds 1 to %d rows", MaxLimit)
	}
	return s.Ledger.Accruals(ctx, f)
}

// Run computes and stores the figures of a month now, for a person.
func (s *Service) Run(ctx context.Context, by access.Principal, accountID, month string) (Accrual, error) {
	a, _, err := s.run(ctx, by, Month{accountID, month}, "")
	return a, err
}

// Night computes a month for a run of the Schedule. Run again, it returns what it stored.
func (s *Service) Night(ctx context.Context, m Month, run string) (Accrual, bool, error) {
	return s.run(ctx, access.Machine("accruals"), m, run)
}

// NightRun names the night that it is now, by its day in UTC.
func (s *Service) NightRun() string { return "night/" + s.Clock.Now().UTC().Format(time.DateOnly) }

// Open lists the months that a night computes.
func (s *Service) Open(ctx context.Context, env account.Environment, after Month, limit int) ([]Month, error) {
	return s.Ledger.Open(ctx, env, after, s.Clock.Now(), limit)
}

func (s *Service) run(ctx context.Context, by access.Principal, m Month, run string) (Accrual, bool, error) {
	parsed, err := period.Parse(m.Period)
	if err != nil {
		return Accrual{}, false, err
	}
	if err := access.RequirePermission(by, access.RunCycle); err != nil {
		return Accrual{}, false, err
	}
	env, err := s.Ledger.Environment(ctx, m.AccountID)
	if err != nil {
		return Accrual{}, false, err
	}
	if err := access.Require(by, access.RunCycle, m.AccountID, env); err != nil {
		return Accrual{}, false, err
	}
	if run != "" {
		if a, ok, err := s.Ledger.OfRun(ctx, m, run); err != nil || ok {
			return a, false, err
		}
	}
	m.Period = parsed.String()
	if frozen, err := s.Ledger.Frozen(ctx, m.AccountID, m.Period); err != nil || frozen {
		return Accrual{}, false, orClosed(err, m)
	}
	f, err := s.Compute(ctx, by, m.AccountID, m.Period)
	if err != nil {
		return Accrual{}, false, err
	}
	if f.Frozen {
		return Accrual{}, false, orClosed(nil, m)
	}
	return s.Ledger.Save(ctx, s.accrual(by, m, run, f), noteOf(by, m, f))
}

func (s *Service) accrual(by access.Principal, m Month, run string, f Figures) Accrual {
	if run == "" {
		run = "demand/" + f.AsOf.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
	}
	return Accrual{
		AccountID: m.AccountID, Environment: f.Environment, Period: m.Period, Interval: f.Interval, TimeZone: f.Contract.Terms.TimeZone, ContractID: f.Contract.ID,
		Run: run, AsOf: f.AsOf.UTC().Truncate(time.Microsecond), By: by.ID, Over: f.Over, Accrual: f.Accrual, WaitsFor: f.WaitsFor, InputDigest: f.InputDigest, Digest: f.Digest,
	}
}

// noteOf is the audit entry of what a person asked for; what the Schedule computes stands
// on the accrual.
func noteOf(by access.Principal, m Month, f Figures) audit.Entry {
	if by.Kind == access.System {
		return audit.Entry{}
	}
	return audit.New(by, f.AsOf, audit.AccrualComputed, "cycle", m.AccountID+"."+m.Period).In(m.AccountID, f.Environment).
		Changed(nil, audit.Facts{"period": m.Period, "digest": f.Digest})
}

func orClosed(err error, m Month) error {
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, "accrual_closed", "%s of account %s is frozen: its cycle says what it comes to", m.Period, m.AccountID).
		Fix("Look at cycle %s.%s", m.AccountID, m.Period)
}
