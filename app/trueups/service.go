package trueups

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Service is the use case.
type Service struct {
	Ledger Ledger
	Clock  clock.Clock
}

// Summary is what a step reports: counts and amounts only.
type Summary struct {
	CycleID     string
	Environment account.Environment
	// Years were looked at; Lines have an amount, DueMinor in all.
	Years    int
	Lines    int
	DueMinor int64
}

// Book looks at every contract year that was settled before the cycle, within the term of
// its contract, and writes down what is due. What the cycle looked at before it finds.
func (s *Service) Book(ctx context.Context, cycleID string, progress Progress) (Summary, error) {
	b, err := s.Ledger.Booking(ctx, cycleID)
	if err != nil {
		return Summary{}, err
	}
	sum := Summary{CycleID: cycleID, Environment: b.Environment}
	for i, id := range b.Settlements {
		progress(i, len(b.Settlements), "looking again at "+id)
		l, open, err := s.look(ctx, b, id)
		if err != nil {
			return sum, err
		}
		if !open {
			continue
		}
		if err := s.Ledger.Save(ctx, l, s.Clock.Now()); err != nil {
			return sum, err
		}
		sum.Years++
		sum.DueMinor += l.DueMinor
		for _, line := range l.Lines {
			if line.AmountMinor != 0 {
				sum.Lines++
			}
		}
	}
	return sum, nil
}

// Preview is what Book would make due now, and stores nothing.
func (s *Service) Preview(ctx context.Context, accountID string, m period.Month, asOf time.Time) ([]billing.Adjustment, error) {
	b, err := s.Ledger.Planned(ctx, accountID, m, asOf)
	if err != nil {
		return nil, err
	}
	var out []billing.Adjustment
	for _, id := range b.Settlements {
		l, open, err := s.look(ctx, b, id)
		if err != nil {
			return nil, err
		}
		if !open {
			continue
		}
		for _, line := range l.Lines {
			if line.AmountMinor != 0 {
				out = append(out, billing.Adjustment{
					ID: line.AdjustmentID, Origin: line.Origin.Add(0), SnapshotID: line.SnapshotID, Reason: line.Cause, At: line.HappenedAt, AmountMinor: line.AmountMinor,
				})
			}
		}
	}
	return out, nil
}

// Close looks at the last settled year of an account whose contract has no further cycle, and
// proposes what is due as credits of the year's invoices, for somebody else to approve. What
// speaks for the vendor has no invoice any more and is left.
func (s *Service) Close(ctx context.Context, by access.Principal, accountID, reason string) ([]Credit, error) {
	if reason = strings.TrimSpace(reason); reason == "" || len(reason) > maxReason {
		return nil, fault.InvalidField("reason", "reason_missing", "say why, in 1 to %d characters", maxReason).Fix("It is kept for ever")
	}
	if err := access.RequirePermission(by, access.RunCycle); err != nil {
		return nil, err
	}
	l, open, err := s.last(ctx, by, access.RunCycle, accountID, true)
	switch {
	case err != nil:
		return nil, err
	case !open:
		return nil, fault.New(fault.Conflict, "true_up_over", "the contract of account %s trues its last year up no more", accountID)
	case l.State == NotMeasured:
		return nil, fault.New(fault.Conflict, "true_up_not_measured", "with what came since the sealed plan gives no estimate: %s", l.Reason).Fix("Agree with the payer, and credit by hand")
	case l.DueMinor >= 0:
		return nil, nil
	}
	l.State, l.ID, l.Reason = Proposed, fmt.Sprintf("%s/%d", l.ID, l.Number), reason
	for i := range l.Lines {
		l.Lines[i].AdjustmentID = ""
	}
	return s.Ledger.SaveClosing(ctx, l, audit.New(by, s.Clock.Now(), audit.CorrectionProposed, "correction", "").In(accountID, l.Year.Account.Environment).Because(reason))
}

// last looks at the last settled year of an account whose contract has no further cycle.
func (s *Service) last(ctx context.Context, by access.Principal, p access.Permission, accountID string, freeze bool) (l Look, open bool, err error) {
	b, err := s.Ledger.Closing(ctx, accountID, s.Clock.Now(), freeze)
	if err != nil {
		return l, false, err
	}
	if err := access.Require(by, p, accountID, b.Environment); err != nil {
		return l, false, err
	}
	return s.look(ctx, b, b.Settlements[0])
}

// Outstanding is what Close would find now.
type Outstanding struct {
	AccountID, AccountName, SettlementCycle, Currency string
	Environment                                       account.Environment
	// Open is false when the contract trues its last year up no more; Until is the last moment.
	Open  bool
	Until time.Time
	State State
	// Reason is why nothing was measured.
	Reason string
	// DueMinor is negative where the payer is owed a credit. What speaks for the vendor has no
	// invoice any more.
	DueMinor int64
	Lines    []Line
}

// NextAction is what a person can do; empty when nothing waits for one.
func (o Outstanding) NextAction() string {
	switch {
	case o.State == NotMeasured:
		return "Agree with the payer, and credit by hand: with what came since the sealed plan gives no estimate"
	case o.DueMinor < 0:
		return "Propose the credits: POST /v1/accounts/" + o.AccountID + "/true-ups, or liftbill cycle trueup --account " + o.AccountID
	default:
		return ""
	}
}

// Outstanding looks at what came after the last settlement of a contract that has ended, and
// stores nothing. It costs what the look of a cycle costs.
func (s *Service) Outstanding(ctx context.Context, by access.Principal, accountID string) (Outstanding, error) {
	l, open, err := s.last(ctx, by, access.ReadLedger, accountID, false)
	if err != nil {
		return Outstanding{}, err
	}
	y := l.Year
	out := Outstanding{
		AccountID: accountID, AccountName: y.Account.Name, SettlementCycle: y.SettlementCycle, Currency: string(y.Contract.Terms.Currency), Environment: y.Account.Environment, Open: open,
		Until: lastLook(y), State: l.State, Reason: l.Reason, DueMinor: l.DueMinor, Lines: l.Lines,
	}
	return out, nil
}

// lastLook is until when the contract trues a settled year up.
func lastLook(y Year) time.Time {
	return y.Interval.End.AddDate(0, y.Contract.Terms.AfterSettlement().LimitMonths, 0)
}

// Ended lists the accounts whose last settled year no other one with a sealed plan follows:
// their true-ups wait for a person, until the contract trues the year up no more. A named
// account is told also then; without a name it is the first few by ID.
func (s *Service) Ended(ctx context.Context, f EndedFilter) (EndedPage, error) {
	all, err := s.Ledger.Ended(ctx, f, s.Clock.Now(), fewEnded+1)
	return EndedPage{Items: all[:min(len(all), fewEnded)], More: len(all) > fewEnded}, err
}

// fewEnded bounds how many accounts are named at once.
const fewEnded = 20

// maxReason bounds what a person writes down.
const maxReason = 500

// look looks at one settled year. open is false where the cycle has looked already, or comes
// later than the contract allows.
func (s *Service) look(ctx context.Context, b Booking, settlementCycle string) (l Look, open bool, err error) {
	y, err := s.Ledger.Year(ctx, settlementCycle)
	if err != nil {
		return l, false, err
	}
	if (y.BookedBy[b.CycleID] && !b.Closing) || b.End.After(lastLook(y)) {
		l.Year = y
		return l, false, nil
	}
	l = Look{ID: billing.TrueUpID(y.SettlementCycle, b.CycleID), Year: y, CycleID: b.CycleID, Number: y.Looks + 1, Watermark: b.Watermark, State: NothingNew}
	if y.Seen.After(l.Watermark) {
		l.Watermark = y.Seen // what a later cycle has taken up stays taken up
	}
	if l.Facts, err = s.facts(ctx, y, l.Watermark); err != nil || len(l.Facts) == 0 {
		return l, true, err
	}
	err = s.price(ctx, &l)
	return l, true, err
}

// facts are the changes since the look before, by key.
func (s *Service) facts(ctx context.Context, y Year, watermark time.Time) ([]Fact, error) {
	late, err := s.Ledger.Late(ctx, y, watermark)
	if err != nil || len(late) == 0 {
		return nil, err
	}
	places, err := s.places(ctx, y, late, watermark)
	if err != nil {
		return nil, err
	}
	zone, err := y.Contract.Zone()
	if err != nil {
		return nil, err
	}
	var out []Fact
	for i, l := range late {
		was, taken := y.Taken[l.Key]
		now := Fact{Key: l.Key, UnitID: places[i].UnitID, SnapshotID: places[i].SnapshotID, Cause: l.Cause, Origin: originOf(y, l.PaidAt, zone), At: l.At, AmountMinor: l.AmountMinor}
		nets, err := y.Contract.Nets(l.Cause, now.Origin.Add(0), l.At)
		if err != nil {
			return nil, err
		}
		in := now.SnapshotID != "" && nets
		switch {
		case in && !taken:
			out = append(out, now)
		case taken && places[i].Bucket == lift.BucketNextYear:
			was.AmountMinor = -was.AmountMinor
			out = append(out, was)
		}
	}
	slices.SortFunc(out, func(a, b Fact) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// originOf is the month of a payment; one of the run-off has the settlement.
func originOf(y Year, paid time.Time, zone *time.Location) period.Month {
	if m := period.Of(paid, zone); m.Before(y.Period) {
		return m
	}
	return y.Period
}

// cellsOf groups facts by month, line and cause, in this order.
func cellsOf(facts []Fact) []Line {
	var out []Line
	for _, f := range facts {
		i := slices.IndexFunc(out, func(l Line) bool { return l.Origin == f.Origin && l.SnapshotID == f.SnapshotID && l.Cause == f.Cause })
		if i < 0 {
			i = len(out)
			out = append(out, Line{TrueUpCell: billing.TrueUpCell{Origin: f.Origin, SnapshotID: f.SnapshotID, Cause: f.Cause}})
		}
		out[i].Facts++
		out[i].RevenueMinor += f.AmountMinor
		if f.At.After(out[i].HappenedAt) {
			out[i].HappenedAt = f.At
		}
	}
	slices.SortFunc(out, func(a, b Line) int {
		return cmp.Or(strings.Compare(a.Origin.String(), b.Origin.String()), strings.Compare(a.SnapshotID, b.SnapshotID), strings.Compare(string(a.Cause), string(b.Cause)))
	})
	return out
}
