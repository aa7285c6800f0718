package billing

import "strings"

// The preconditions of a write-back. Each is the code with which a cycle is blocked;
// while one is unmet nothing is posted to Stripe.
const (
	UnmetWritingClosed    = CodeWritingClosed
	UnmetMaximum          = "above_maximum_charge"
	UnmetIssuerMissing    = "issuer_missing"
	UnmetIssuerPaused     = "issuer_paused"
	UnmetWriteBackOff     = "write_back_off"
	UnmetIssuerKeyRefused = "issuer_key_refused"
	UnmetIssuerPermission = "issuer_permission_missing"
	UnmetPayerMissing     = "payer_missing"
	UnmetPayerWanted      = "payer_wanted"
	UnmetPayerAmbiguous   = "payer_ambiguous"
	UnmetPayerBilled      = "payer_billed_elsewhere"
	UnmetPayerEmail       = "payer_email_missing"
	UnmetPayerMethod      = "needs_payer_action"
	UnmetPayerChanged     = "payer_changed"
)

// What stops a write-back until a person has looked. The code begins the reason of a
// cycle in needs_human; what exactly was found follows it.
const (
	HumanPayerDeleted   = "payer_deleted"
	HumanTwoInvoices    = "two_invoices"
	HumanForeignItem    = "foreign_item"
	HumanInvoiceVoided  = "invoice_voided"
	HumanInvoiceGone    = "invoice_gone"
	HumanInvoiceDiffers = "invoice_differs"
	HumanTotalDiffers   = "total_differs"
	HumanOldInvoice     = "old_invoice_stands"
	HumanTaxBlocked     = "tax_blocked"
)

// Situation is a state that waits for somebody: what is the case and what they can do.
type Situation struct {
	Code string
	// Means is what is the case, Next what a person does about it.
	Means, Next string
}

// Unmet lists every precondition in the order in which it is looked at.
func Unmet() []Situation {
	return []Situation{
		{UnmetMaximum, "Stripe takes no amount of so many digits", "Agree with the payer how to split the month, and bill it by hand"},
		{UnmetIssuerMissing, "the account has no connection with the issuer role", "Give the account an issuer connection (POST /v1/accounts), then run the cycle again"},
		{UnmetIssuerPaused, "the issuer connection is paused", "Resume it (liftbill connection resume), then run the cycle again"},
		{UnmetWriteBackOff, "writing is switched off on the issuer connection", "Switch it on (liftbill connection writing-on), then run the cycle again"},
		{UnmetWritingClosed, "live writing was closed for the account after the cycle was proposed", "Open it again (liftbill account go-live open), then run the cycle again"},
		{UnmetIssuerKeyRefused, "Stripe refuses the issuer's key: it was revoked, has expired or was deleted here", "Replace the key (POST /v1/connections/{id}/key), then run the cycle again"},
		{UnmetIssuerPermission, "the issuer's restricted key lacks a permission", "Grant the key write permission on invoices, invoice items and customers in the Stripe Dashboard, then run the cycle again"},
		{UnmetPayerMissing, "the account has no payer, and nobody said how to find one", "Name the payer or have it created (liftbill account payer), then run the cycle again"},
		{UnmetPayerWanted, "the payer is to be found or created at the issuer, which the cycle does by itself", "Run the cycle on a worker that may write to Stripe"},
		{UnmetPayerAmbiguous, "the issuer has customers with that e-mail address of whom none is marked as this account's", "Name one of them, or another customer (liftbill account payer set), then run the cycle again"},
		{UnmetPayerBilled, "another account bills the same payer for the same period", "Give each account a payer of its own (liftbill account payer set), then run the cycle again"},
		{UnmetPayerEmail, "the payer has no e-mail address to which Stripe could send the invoice", "Enter one at the customer in Stripe, then run the cycle again"},
		{UnmetPayerMethod, "the contract charges automatically and the payer has no default payment method", "Send the payer a set-up link (liftbill account payer setup-link); the cycle goes on at its next run"},
		{UnmetPayerChanged, "a new payer was named; the invoice is addressed anew", "Run the cycle again"},
	}
}

// Stops lists everything for which a person must look before the write-back goes on.
func Stops() []Situation {
	const then = ", then resume the cycle (liftbill cycle resume)"
	return []Situation{
		{HumanPayerDeleted, "the payer was deleted at Stripe", "Name a new payer (liftbill account payer set)" + then},
		{HumanTwoInvoices, "two finalized invoices carry the key of this cycle", "Void the wrong one at Stripe" + then},
		{HumanForeignItem, "an item on our draft is not ours", "Move or delete that item at Stripe" + then},
		{HumanInvoiceVoided, "the invoice was voided at Stripe", "Find out why; to bill again resume with --reissue, to leave it at that skip the cycle (liftbill cycle skip): later months of the contract year bill its lift"},
		{HumanInvoiceGone, "the finalized invoice is not at Stripe any more", "Find out why; to bill again resume with --reissue"},
		{HumanInvoiceDiffers, "the invoice at Stripe is not the planned one and may have reached the payer", "Void it at Stripe, then resume with --reissue"},
		{HumanTotalDiffers, "the invoice's total at Stripe is not the engine's", "Compare both; void it at Stripe, then resume with --reissue"},
		{HumanTaxBlocked, "Stripe cannot compute the tax of the invoice", "Complete the payer's address or the tax settings at Stripe" + then},
		{HumanOldInvoice, "an invoice that was given up still counts at Stripe", "Void it at Stripe" + then},
	}
}

// Unwritten lists why a computed cycle was not written that a person can do something about.
func Unwritten() []Situation {
	return []Situation{
		{string(HeldNotLive), "the account is not live yet: the month was computed, is shown, and was not written", "Look at the checklist (liftbill account go-live status) and open live writing for the months to come"},
	}
}

// NextAction is what a person can do about a cycle in the state for the reason, which
// is a code that may be followed by a colon and details; empty when nobody has to do
// anything.
func NextAction(s CycleState, reason string) string {
	code, _, _ := strings.Cut(reason, ":")
	var known []Situation
	switch s {
	case Blocked:
		known = Unmet()
	case NeedsHuman:
		known = Stops()
	case Withheld:
		known = Unwritten()
	default:
		return s.NextAction()
	}
	for _, k := range known {
		if k.Code == code {
			return k.Next
		}
	}
	return s.NextAction()
}
