package billing

import (
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// CorrectionKind is what is done about a finalized invoice that is wrong. Which one it is
// follows from the invoice's state, never from a wish.
type CorrectionKind string

// The kinds.
const (
	// CorrectVoid voids an open invoice on which nothing was paid; it may be issued again.
	CorrectVoid CorrectionKind = "void"
	// CorrectBefore is a credit note that reduces what an open invoice still asks for.
	CorrectBefore CorrectionKind = "credit_before_payment"
	// CorrectAfter is a credit note on a paid invoice, to the payer's balance at Stripe.
	CorrectAfter CorrectionKind = "credit_after_payment"
	// CorrectNext is a line of the next cycle's invoice, for what was too little and for
	// what no credit note can take back. It is never a bill of its own.
	CorrectNext CorrectionKind = "next_cycle"
)

// IsCredit reports whether the kind is a credit note.
func (k CorrectionKind) IsCredit() bool { return k == CorrectBefore || k == CorrectAfter }

// Standing is what an invoice looks like to whoever wants to correct it, in minor units.
type Standing struct {
	Status string
	// TotalMinor is what was billed for our lines, PaidMinor and RemainingMinor what Stripe
	// says of the invoice.
	TotalMinor, PaidMinor, RemainingMinor int64
	// CreditedMinor was credited on the invoice by corrections that were not withdrawn.
	CreditedMinor int64
}

// Wish is what somebody wants to correct.
type Wish struct {
	// Void takes the whole invoice back. Otherwise a positive amount is what was billed too
	// much on the line, a negative one what was billed too little.
	Void bool
	Line string
	// TooMuchMinor is at most the line's amount less what was credited on it.
	TooMuchMinor int64
	// LineMinor and LineCreditedMinor are the line as it was billed and what was credited.
	LineMinor, LineCreditedMinor int64
	// NextCycle asks for a line of the next invoice instead of a credit note.
	NextCycle bool
}

// DecideCorrection says what is done, by the state of the invoice.
func DecideCorrection(s Standing, w Wish) (CorrectionKind, error) {
	if w.Void {
		return decideVoid(s)
	}
	if w.Line == "" || w.TooMuchMinor == 0 || w.TooMuchMinor > maxMinor || w.TooMuchMinor < -maxMinor {
		return "", fault.InvalidField("amount_minor", "correction_empty", "a correction names a line and an amount that is not 0")
	}
	if w.TooMuchMinor < 0 {
		return CorrectNext, nil
	}
	if left := min(w.LineMinor-w.LineCreditedMinor, s.TotalMinor-s.CreditedMinor); w.TooMuchMinor > left {
		return "", fault.New(fault.Conflict, "credit_exceeds_line", "line %s can be credited with %d minor units at most, not %d", w.Line, max(0, left), w.TooMuchMinor).On("amount_minor")
	}
	switch {
	case w.NextCycle:
		return CorrectNext, nil
	case s.Status == "paid":
		return CorrectAfter, nil
	case s.Status == "open" && w.TooMuchMinor <= s.RemainingMinor:
		return CorrectBefore, nil
	case s.Status == "open":
		return "", fault.New(fault.Conflict, "credit_exceeds_remaining", "the open invoice asks for %d minor units; %d cannot be credited before it is paid", s.RemainingMinor, w.TooMuchMinor).
			Fix("Credit what is open now and the rest after payment, or with the next cycle")
	default:
		return "", fault.New(fault.Conflict, "invoice_not_creditable", "Stripe makes no credit note on an invoice that is %s", s.Status).
			Fix("Correct it with the next cycle")
	}
}

func decideVoid(s Standing) (CorrectionKind, error) {
	switch {
	case s.Status == "open" && s.PaidMinor == 0 && s.CreditedMinor == 0:
		return CorrectVoid, nil
	case s.Status == "void" && s.CreditedMinor == 0: // by hand at Stripe: the cycle still has to learn of it
		return CorrectVoid, nil
	case s.Status == "void":
		return "", fault.New(fault.Conflict, "invoice_voided", "the invoice is void already, and %d minor units of it were credited before", s.CreditedMinor).
			Fix("Make up for what is still owed with the next cycle")
	default:
		return "", fault.New(fault.Conflict, "invoice_not_voidable", "the invoice is %s, %d minor units of it are paid and %d credited: it is not voided any more", s.Status, s.PaidMinor, s.CreditedMinor).
			Fix("Credit its lines instead")
	}
}

// Effect says in words what a correction will do, before it is approved.
func (k CorrectionKind) Effect() string {
	switch k {
	case CorrectVoid:
		return "The invoice is voided at Stripe; nobody was charged. The cycle then waits for a person, who may issue it again"
	case CorrectBefore:
		return "A credit note reduces what the open invoice still asks for"
	case CorrectAfter:
		return "A credit note puts the amount on the payer's balance at Stripe, which reduces the payer's next invoice there"
	default:
		return "The next cycle's invoice gets a line for it, tied to this month and line"
	}
}

// CorrectionID is the identifier of a cycle's n-th correction, for ever the same.
func CorrectionID(cycleID string, n int) string {
	return nameUUID("correction", cycleID, strconv.Itoa(n))
}

// CreditOrder is one credit note as it must stand at Stripe.
type CreditOrder struct {
	ID        string // CorrectionID
	InvoiceID string
	// Line is our line, StripeItem the invoice item that it became.
	Line, StripeItem string
	AmountMinor      int64
	Memo             string
	// After: the invoice is paid, and the credit goes to the payer's balance.
	After bool
}

// Credit is the permission to make one credit note. Only AuthorizeCredit makes it.
type Credit struct {
	proof account.LiveProof
	plan  InvoicePlan
	order CreditOrder
}

// Plan is a copy of the invoice's plan, Order what is to be credited.
func (c Credit) Plan() InvoicePlan { return c.plan.clone() }

// Order is what may be credited.
func (c Credit) Order() CreditOrder { return c.order }

// Valid is false for the zero value, which nobody authorised.
func (c Credit) Valid() bool { return c.proof.ConnectionID() != "" }

// AuthorizeCredit gives the permission for a credit note on a line of a plan that was
// written, by the rules of Authorize. It is never more than the line.
func AuthorizeCredit(proof account.LiveProof, env account.Environment, plan InvoicePlan, writing LiveWriting, o CreditOrder) (Credit, error) {
	wb, err := Authorize(proof, env, plan, writing)
	if err != nil {
		return Credit{}, err
	}
	for _, l := range plan.Lines {
		if l.Line != o.Line {
			continue
		}
		if o.AmountMinor <= 0 || o.AmountMinor > l.AmountMinor || o.InvoiceID == "" || o.StripeItem == "" || !uuidRE.MatchString(o.ID) {
			return Credit{}, fault.New(fault.Invalid, "credit_malformed", "a credit of %d minor units on line %s of %d is none", o.AmountMinor, l.Line, l.AmountMinor)
		}
		return Credit{proof: proof, plan: wb.plan, order: o}, nil
	}
	return Credit{}, fault.New(fault.NotFound, "line_not_found", "the invoice has no line %s", strings.ToValidUTF8(o.Line, "?"))
}
