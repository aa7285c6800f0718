package reconcile

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
)

// Reader reads the ledger for people.
type Reader interface {
	Cycles(ctx context.Context, f CyclesFilter) (Page[CycleSummary], error)
	Periods(ctx context.Context, scope access.Scope) ([]string, error)
	TieOut(ctx context.Context, cycleID string) (TieOut, error)
	Readout(ctx context.Context, caseID string) (Readout, error)
	Readouts(ctx context.Context, accountID string, f CyclesFilter) (Page[Readout], error)
	RewardEvents(ctx context.Context, f RewardEventsFilter) (Page[RewardEvent], error)
	// RewardEvent is one fact by when it took effect and its key; NotFound when the account's
	// source has none.
	RewardEvent(ctx context.Context, accountID string, at time.Time, factKey string) (RewardEventDetail, error)
	// Tellers finds stored events of a connection by their IDs; what is not there is left out.
	Tellers(ctx context.Context, connectionID string, eventIDs []string) (map[string]Teller, error)
	// Zone is the time zone of the account's contract, UTC without one.
	Zone(ctx context.Context, accountID string) (*time.Location, error)
	// Accounts lists every account of the scope by ID with its wiring, and nothing that is
	// counted or looked for.
	Accounts(ctx context.Context, scope access.Scope) ([]Overview, error)
	// AccountList pages the accounts with all of an overview.
	AccountList(ctx context.Context, f AccountsFilter) (Page[Overview], error)
	// AccountHealth tells how accounts do.
	AccountHealth(ctx context.Context, accountIDs []string, now time.Time) ([]AccountHealth, error)
	// AccountFigures are what accounts come to, by ID.
	AccountFigures(ctx context.Context, accountIDs []string) (map[string]AccountFigures, error)
	// AccountCounts counts the decisions and the stored Stripe events of an account.
	AccountCounts(ctx context.Context, accountID string) (decisions, events int64, err error)
	// Standings sums a period by environment and currency.
	Standings(ctx context.Context, scope access.Scope, period string) ([]Standing, error)
	// Payments counts what happened since a time, by environment and currency.
	Payments(ctx context.Context, scope access.Scope, since time.Time) ([]Payments, error)
	Invoices(ctx context.Context, f InvoicesFilter) (Page[InvoiceRow], error)
	// Invoice is that of a cycle; NotFound where there is none.
	Invoice(ctx context.Context, cycleID string) (InvoiceDetail, error)
	// InvoiceLines are the lines of the invoices of cycles, by cycle.
	InvoiceLines(ctx context.Context, cycleIDs []string) (map[string][]InvoiceLine, error)
	// Trend lists a snapshot's readouts of a contract year up to a cycle, oldest first.
	Trend(ctx context.Context, cycleID, snapshotID string) ([]TrendPoint, error)
	// Weights counts the frozen users of a cycle's snapshot by arm and weight.
	Weights(ctx context.Context, cycleID, snapshotID string, revision int) ([]WeightCount, error)
	// Revisions lists the revisions of a cycle with their lines and buckets, oldest first.
	Revisions(ctx context.Context, cycleID string) ([]Revision, error)
	Snapshots(ctx context.Context, f SnapshotsFilter) (Page[Snapshot], error)
	// Approvals lists what waits for a person and what was decided, newest first.
	Approvals(ctx context.Context, f ApprovalsFilter) (Page[Approval], error)
	Adjustments(ctx context.Context, f AdjustmentsFilter) (Page[Adjustment], error)
	// Gaps counts the rewards and decisions of a month that do not meet.
	Gaps(ctx context.Context, accountID, month string) ([]Gap, error)
	SnapshotDetail(ctx context.Context, accountID, id string) (SnapshotDetail, error)
}

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// Service answers finance's questions; every method checks its input and reads.
type Service struct {
	Reader Reader
	// Places says where reward events were joined; without it no list and no page can.
	Places Placer
}

// Cycles lists the cycles that the filter selects, newest period first.
func (s *Service) Cycles(ctx context.Context, f CyclesFilter) (Page[CycleSummary], error) {
	if err := checkPeriod(f.Period); err != nil {
		return Page[CycleSummary]{}, err
	}
	if err := checkChoices(f); err != nil {
		return Page[CycleSummary]{}, err
	}
	if err := checkSort(f.Sort, CycleSorts()); err != nil {
		return Page[CycleSummary]{}, err
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[CycleSummary]{}, err
	}
	return s.Reader.Cycles(ctx, f)
}

// Periods lists the periods that have cycles in the scope, newest first.
func (s *Service) Periods(ctx context.Context, scope access.Scope) ([]string, error) {
	return s.Reader.Periods(ctx, scope)
}

// TieOut explains one cycle's total; NotFound when there is no such cycle.
func (s *Service) TieOut(ctx context.Context, cycleID string) (TieOut, error) {
	return s.Reader.TieOut(ctx, cycleID)
}

// Readout returns one readout by its case ID; NotFound when there is none.
func (s *Service) Readout(ctx context.Context, caseID string) (Readout, error) {
	return s.Reader.Readout(ctx, caseID)
}

// Readouts lists the readouts of an account, newest period first.
func (s *Service) Readouts(ctx context.Context, accountID string, f CyclesFilter) (Page[Readout], error) {
	if err := checkPeriod(f.Period); err != nil {
		return Page[Readout]{}, err
	}
	if err := checkSort(f.Sort, ReadoutSorts()); err != nil {
		return Page[Readout]{}, err
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Readout]{}, err
	}
	return s.Reader.Readouts(ctx, accountID, f)
}

// Accounts lists every account of the scope with its wiring only: for a choice.
func (s *Service) Accounts(ctx context.Context, scope access.Scope) ([]Overview, error) {
	return s.Reader.Accounts(ctx, scope)
}

// AccountList lists accounts with what they are wired to and what flows through them.
func (s *Service) AccountList(ctx context.Context, f AccountsFilter) (Page[Overview], error) {
	if f.Environment != "" {
		if _, err := account.ParseEnvironment(f.Environment); err != nil {
			return Page[Overview]{}, err
		}
	}
	if err := checkSort(f.Sort, AccountSorts()); err != nil {
		return Page[Overview]{}, err
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Overview]{}, err
	}
	page, err := s.Reader.AccountList(ctx, f)
	return s.withFigures(ctx, page, err)
}

// Account is one account of the scope; NotFound when there is none.
func (s *Service) Account(ctx context.Context, scope access.Scope, id string) (AccountDetail, error) {
	page, err := s.Reader.AccountList(ctx, AccountsFilter{Scope: scope, ID: id, Limit: 1})
	page, err = s.withFigures(ctx, page, err)
	if err != nil {
		return AccountDetail{}, err
	}
	if len(page.Items) == 0 {
		return AccountDetail{}, fault.New(fault.NotFound, "account_not_found", "there is no account %q", id)
	}
	out := AccountDetail{Overview: page.Items[0]}
	out.Decisions, out.StripeEvents, err = s.Reader.AccountCounts(ctx, id)
	return out, err
}

// checkChoices refuses a filter that can select nothing, because a typo must not look
// like a month without cycles.
func checkChoices(f CyclesFilter) error {
	if f.Environment != "" {
		if _, err := account.ParseEnvironment(f.Environment); err != nil {
			return err
		}
	}
	if f.Mode != "" && !slices.Contains(Modes(), f.Mode) {
		return fault.InvalidField("mode", "filter_unknown", "%q is not a mode", f.Mode).Fix("Use live, test or shadow, or leave it out")
	}
	if f.Breaks != "" && f.Breaks != "open" && f.Breaks != "blocking" {
		return fault.InvalidField("breaks", "filter_unknown", "%q is not a choice", f.Breaks).Fix("Use open or blocking, or leave it out")
	}
	if f.Currency != "" {
		if _, err := money.ParseCurrency(f.Currency); err != nil {
			return err
		}
	}
	if f.State != "" && !billing.CycleState(f.State).Known() {
		return fault.InvalidField("state", "filter_unknown", "%q is not a state of a cycle", f.State).Fix("Use one of the states of the API reference, for example invoiced")
	}
	return nil
}

// CycleSorts are the orders of the list of cycles.
func CycleSorts() []string {
	return []string{"period_asc", "updated", "updated_asc", "account", "account_asc", "state", "state_asc"}
}

// ReadoutSorts are the orders of the readouts of an account.
func ReadoutSorts() []string {
	return []string{"period_asc", "lift", "lift_asc", "bound", "bound_asc", "users", "users_asc", "ess", "ess_asc"}
}

// checkSort refuses an order that a list does not have; the empty one is the list's own.
func checkSort(sort string, all []string) error {
	if sort == "" || slices.Contains(all, sort) {
		return nil
	}
	return fault.InvalidField("sort", "sort_unknown", "%q is no order of this list", sort).Fix("Use %s, or leave it out", strings.Join(all, ", "))
}

func checkPeriod(p string) error {
	if p == "" {
		return nil
	}
	_, err := period.Parse(p)
	return err
}

func limit(n int) (int, error) {
	switch {
	case n == 0:
		return DefaultLimit, nil
	case n < 1 || n > MaxLimit:
		return 0, fault.InvalidField("limit", "limit_range", "a page holds 1 to %d rows", MaxLimit)
	}
	return n, nil
}
