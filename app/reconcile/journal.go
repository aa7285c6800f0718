package reconcile

import (
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// JournalEntry is one side of a booking. Exactly one of the two amounts is above zero; the
// debits of a journal sum to its credits.
type JournalEntry struct {
	// Date is the last day of the period in the contract's time zone.
	Date        time.Time
	Account     string // a name that a chart of accounts is mapped from
	Line        string // of the cycle's ledger; empty for the receivable
	Description string
	DebitMinor  int64
	CreditMinor int64
	Currency    string
	// Reference is the invoice's number at Stripe, or the cycle where none stands yet.
	Reference string
	// Revision is that of the cycle: a month that was computed again is booked anew, and what was
	// booked of an earlier revision is reversed.
	Revision int
}

// The accounts of a journal.
const (
	AccountReceivable  = "accounts_receivable"
	AccountUnbilled    = "unbilled_receivable" // priced, and no finalized invoice stands
	AccountPerformance = "revenue_performance_fees"
	AccountFixed       = "revenue_fixed_fees"
	AccountHeld        = "contract_liability_balances" // holdbacks released and balances carried in
)

// Journal books a priced cycle: the receivable against what each line leaves on the
// invoice, before tax. Test and shadow months, and months with nothing to bill, have none.
func Journal(t TieOut) ([]JournalEntry, error) {
	none := func(why string) ([]JournalEntry, error) {
		return nil, fault.New(fault.Conflict, "nothing_to_book", "cycle %s has no journal: %s", t.ID, why).Fix("Look at the cycle's lines")
	}
	switch {
	case t.Environment == account.Test:
		return none("a test account bills nothing")
	case t.Phase == string(billing.PhaseShadow):
		return none("a shadow month is not invoiced")
	case t.EngineMinor == 0:
		return none("nothing is billed")
	}
	zone, err := period.LoadZone(t.TimeZone)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "zone_unknown", "the time zone of cycle %s is not known", t.ID)
	}
	receivable := JournalEntry{
		Date: t.PeriodEnd.In(zone).AddDate(0, 0, -1), Account: AccountUnbilled, Currency: t.Currency, Reference: t.ID, Revision: t.Revision, Description: "Outcome fees of " + t.AccountName + ", " + t.Period,
	}
	if t.StripeMinor != nil {
		receivable.Account, receivable.Reference = AccountReceivable, t.InvoiceNumber
	}
	out := []JournalEntry{receivable}
	credit := func(name, line, text string, minor int64) {
		if minor == 0 {
			return
		}
		e := receivable
		e.Account, e.Line, e.Description, e.CreditMinor = name, line, text, minor
		out[0].DebitMinor += minor
		out = append(out, e)
	}
	for _, l := range t.Lines {
		credit(AccountPerformance, l.SnapshotID, l.SnapshotName, l.BilledMinor)
	}
	for _, c := range t.Charges {
		credit(accountOf(c.Kind), c.Line, c.Description, c.BilledMinor)
	}
	if out[0].DebitMinor != t.EngineMinor {
		return nil, fault.New(fault.Internal, "journal_unbalanced", "the lines of cycle %s bill %d minor units, its total is %d", t.ID, out[0].DebitMinor, t.EngineMinor)
	}
	return out, nil
}

func accountOf(kind string) string {
	switch billing.LineKind(kind) {
	case billing.LineFloor, billing.LinePlatformFee, billing.LineMinimum:
		return AccountFixed
	case billing.LineHoldbackRelease, billing.LineCarryIn:
		return AccountHeld
	default:
		return AccountPerformance
	}
}
