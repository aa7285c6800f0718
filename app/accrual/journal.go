package accrual

import (
	"cmp"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// Entry is one side of a booking. Exactly one of the two amounts is above zero.
type Entry struct {
	// Date is the last day of the month where the contract is; the reversal's is the day after.
	Date        time.Time
	Account     string // a name that a chart of accounts is mapped from
	Description string
	DebitMinor  int64
	CreditMinor int64
	Currency    string
	// Reference is the cycle.
	Reference string
	// Reverses: it takes the accrual back at the beginning of the next month, when the
	// invoice takes its place.
	Reverses bool
}

// The accounts of an accrual's journal. The credits are those of a cycle's journal.
const (
	AccountAccrued     = "accrued_receivable"
	AccountPerformance = "revenue_performance_fees"
	AccountFixed       = "revenue_fixed_fees"
	AccountHeld        = "contract_liability_balances"
)

// Figure says which of the figures is booked. Nobody books the high one.
type Figure string

// The figures that may be booked: low is the constrained estimate.
const (
	FigureLow      Figure = "low"
	FigureExpected Figure = "expected"
)

// ParseFigure reads a figure; empty is low.
func ParseFigure(s string) (Figure, error) {
	switch f := Figure(s); f {
	case "":
		return FigureLow, nil
	case FigureLow, FigureExpected:
		return f, nil
	default:
		return "", fault.InvalidField("figure", "figure_unknown", "%q is not a figure that is booked", s).Fix("Use low (the constrained estimate) or expected")
	}
}

// Journal books accruals of live accounts, each with its reversal on the first day of the
// next month. Every accrual balances by itself; amounts of zero have no booking.
func Journal(accruals []Accrual, figure Figure) ([]Entry, error) {
	var out []Entry
	sorted := slices.Clone(accruals)
	slices.SortFunc(sorted, func(a, b Accrual) int {
		return cmp.Or(cmp.Compare(a.Period, b.Period), cmp.Compare(a.AccountID, b.AccountID))
	})
	for i, a := range sorted {
		if i > 0 && sorted[i-1].AccountID == a.AccountID && sorted[i-1].Period == a.Period {
			return nil, fault.New(fault.Invalid, "accrual_repeated", "%s of account %s would be booked twice", a.Period, a.AccountID).Fix("Book the newest accrual of each month")
		}
		if a.Environment == account.Test {
			continue // a test account bills nothing
		}
		entries, err := a.entries(figure)
		if err != nil {
			return nil, err
		}
		out = append(out, entries...)
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Conflict, "nothing_to_book", "no accrual of a live account has an amount").Fix("Compute the accruals of the month first, or choose another one")
	}
	return out, balanced(out)
}

func (a Accrual) entries(figure Figure) ([]Entry, error) {
	zone, err := period.LoadZone(a.TimeZone)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "zone_unknown", "the time zone of %s is not known", a.CycleID())
	}
	amount, word := a.Low, "constrained estimate"
	if figure == FigureExpected {
		amount, word = a.Expected, "expected amount"
	}
	total := amount.TotalMinor()
	if total == 0 {
		return nil, nil
	}
	last := a.Interval.End.In(zone).AddDate(0, 0, -1)
	var out []Entry
	for _, reverses := range []bool{false, true} {
		e := Entry{Date: last, Currency: string(a.Currency), Reference: a.CycleID(), Reverses: reverses, Description: "Accrual of " + a.AccountName + ", " + a.Period + ": " + word}
		if reverses {
			e.Date, e.Description = last.AddDate(0, 0, 1), "Reversal: "+e.Description
		}
		put := func(name string, minor int64, debit bool) {
			if minor == 0 {
				return
			}
			side := e
			side.Account = name
			if debit != reverses {
				side.DebitMinor = minor
			} else {
				side.CreditMinor = minor
			}
			out = append(out, side)
		}
		put(AccountAccrued, total, true)
		put(AccountPerformance, amount.PerformanceMinor, false)
		put(AccountFixed, amount.FixedMinor, false)
		put(AccountHeld, amount.BalanceMinor, false)
	}
	return out, nil
}

// balanced refuses a journal whose debits are not its credits, by reference, day and currency.
func balanced(entries []Entry) error {
	sums := map[string]int64{}
	for _, e := range entries {
		sums[e.Reference+" "+e.Date.Format(time.DateOnly)+" "+e.Currency] += e.DebitMinor - e.CreditMinor
	}
	for key, off := range sums {
		if off != 0 {
			return fault.New(fault.Internal, "journal_unbalanced", "the bookings of %s are off by %d minor units", key, off)
		}
	}
	return nil
}
