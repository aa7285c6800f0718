package reconcile

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

// InvoiceDetail is one invoice of ours with everything that became of it. Amounts are minor
// units of its currency.
type InvoiceDetail struct {
	InvoiceRow
	// ID is that of the write-back, which is derived from the invoice's natural key.
	ID          string
	Environment account.Environment
	// Plan is what was written to Stripe, or is being written.
	Plan billing.InvoicePlan
	// Lines are the plan's, with what they became at Stripe.
	Lines []InvoiceLine
	// Attempts are the requests of the write-back, Charges the payer's attempts to pay, both
	// oldest first.
	Attempts []Attempt
	Charges  []InvoiceCharge
	Disputes []InvoiceDispute
	// What the amounts rest on: the revision of the month, its inputs and the contract.
	Revision                              int
	InputDigest, ContractID, ContractHash string
}

// InvoiceLine is one line of an invoice. Snapshot and CaseID are empty for a fee.
type InvoiceLine struct {
	Line, Kind, Description, Snapshot, CaseID string
	AmountMinor                               int64
	// ReadoutDigest is the SHA-256 of the manifest of the readout, from which it is recomputed.
	ReadoutDigest string
	// StripeID and StripeMinor are of the invoice item; empty and nil before it was written.
	StripeID    string
	StripeMinor *int64
}

// InvoiceCharge is one attempt of the payer to pay, as Stripe told it last.
type InvoiceCharge struct {
	ID, Status, Currency, FailureCode, PaymentMethod string
	CreatedAt                                        *time.Time
	AmountMinor, RefundedMinor                       *int64
}

// InvoiceDispute is a dispute of one of the charges.
type InvoiceDispute struct {
	ID, ChargeID, Status, Reason, Currency string
	CreatedAt, EvidenceDueAt               *time.Time
	AmountMinor                            *int64
}

// MetadataEntry is one entry of what an invoice carries at Stripe.
type MetadataEntry struct{ Key, Value string }

// Metadata are the entries as they are written to Stripe, by key.
func (d InvoiceDetail) Metadata() []MetadataEntry {
	out := make([]MetadataEntry, 0, len(d.Plan.Metadata))
	for _, k := range slices.Sorted(maps.Keys(d.Plan.Metadata)) {
		out = append(out, MetadataEntry{k, d.Plan.Metadata[k]})
	}
	return out
}

// Invoice is the invoice of a cycle: there is one at most. NotFound where nothing was to be
// written, as for a test account.
func (s *Service) Invoice(ctx context.Context, cycleID string) (InvoiceDetail, error) {
	return s.Reader.Invoice(ctx, cycleID)
}

// InvoiceLines are the lines of several invoices, by cycle, each as they were written.
func (s *Service) InvoiceLines(ctx context.Context, cycleIDs []string) (map[string][]InvoiceLine, error) {
	if len(cycleIDs) == 0 {
		return nil, nil
	}
	return s.Reader.InvoiceLines(ctx, cycleIDs)
}

// InvoiceDisputes are the states of disputes that invoices can be filtered by.
func InvoiceDisputes() []string { return []string{"lost", "won", "open"} }

var caseID = regexp.MustCompile(`^[a-z2-7]{26}$`)

// checkMetadata takes a case ID or an entry.
func checkMetadata(text string) error {
	key, _, entry := strings.Cut(text, "=")
	if text == "" || entry && key != "" || !entry && caseID.MatchString(text) {
		return nil
	}
	return fault.InvalidField("metadata", "filter_malformed", "%q is neither the case ID of a readout nor an entry of an invoice's metadata", text).
		Fix("Enter the 26 characters of a case ID, or an entry as key=value, for example lb_po_number=PO-4711")
}

// InvoiceSorts are the orders of the list of invoices.
func InvoiceSorts() []string {
	return []string{"period_asc", "amount", "amount_asc", "finalized", "finalized_asc", "number", "number_asc"}
}

// InvoiceStatuses are what an invoice can be filtered by.
func InvoiceStatuses() []string {
	return []string{"draft", "open", "paid", "void", "uncollectible", "none"}
}

// Invoices lists invoices, newest period first.
func (s *Service) Invoices(ctx context.Context, f InvoicesFilter) (Page[InvoiceRow], error) {
	if err := checkPeriod(f.Period); err != nil {
		return Page[InvoiceRow]{}, err
	}
	if f.Status != "" && !slices.Contains(InvoiceStatuses(), f.Status) {
		return Page[InvoiceRow]{}, fault.InvalidField("status", "filter_unknown", "%q is not a status of an invoice", f.Status).Fix("Use draft, open, paid, void, uncollectible or none")
	}
	if f.Dispute != "" && !slices.Contains(InvoiceDisputes(), f.Dispute) {
		return Page[InvoiceRow]{}, fault.InvalidField("dispute", "filter_unknown", "%q is not a state of a dispute", f.Dispute).Fix("Use lost, won or open")
	}
	if err := checkMetadata(f.Metadata); err != nil {
		return Page[InvoiceRow]{}, err
	}
	if f.Currency != "" {
		c, err := money.ParseCurrency(f.Currency)
		if err != nil {
			return Page[InvoiceRow]{}, err
		}
		f.Currency = string(c)
	}
	if err := checkSort(f.Sort, InvoiceSorts()); err != nil {
		return Page[InvoiceRow]{}, err
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[InvoiceRow]{}, err
	}
	return s.Reader.Invoices(ctx, f)
}
