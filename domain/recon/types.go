// Package recon knows what a reconciliation looks for: the invariants between our
// ledger and Stripe, the types of breaks with their effect and next action, how a
// difference is classified, what may be tolerated, and the life of a break.
//
// It judges values. It reads no ledger, calls nobody and knows no clock.
package recon

import "slices"

// Type is what is wrong.
type Type string

// The types of breaks. Each has one meaning, whichever side it was noticed on.
const (
	// MissingInLedger: Stripe has money that we did not book.
	MissingInLedger Type = "missing_in_ledger"
	// MissingInStripe: we hold something that Stripe does not show.
	MissingInStripe Type = "missing_in_stripe"
	// AmountDiffers: both sides know it, over different amounts.
	AmountDiffers Type = "amount_differs"
	// CurrencyDiffers: both sides know it, in different currencies.
	CurrencyDiffers Type = "currency_differs"
	// TaxDiffers: the amounts differ by the tax.
	TaxDiffers Type = "tax_differs"
	// Timing: both sides agree about the money and not about the period.
	Timing Type = "timing"
	// DuplicateInvoice: a second invoice of ours counts for one intent.
	DuplicateInvoice Type = "duplicate_invoice"
	// DuplicateReward: one payment was booked more than once.
	DuplicateReward Type = "duplicate_reward"
	// UnmappedCustomer: revenue of a customer of whom nobody said whose it is.
	UnmappedCustomer Type = "unmapped_customer"
	// StateMismatch: an object has another state at Stripe.
	StateMismatch Type = "state_mismatch"
	// ReversalNotApplied: Stripe gave money back that we still count.
	ReversalNotApplied Type = "reversal_not_applied"
	// FXMissing: revenue in a currency for which the contract has no rate.
	FXMissing Type = "fx_missing"
	// OutOfBand: an invoice was paid without Stripe seeing the money.
	OutOfBand Type = "out_of_band"
	// ModeLeak: an object of the other mode.
	ModeLeak Type = "mode_leak"
	// ForeignLine: a line that is not ours on an invoice of ours.
	ForeignLine Type = "foreign_line"
	// LineCount: lines of the plan are missing on the invoice, or are there twice.
	LineCount Type = "line_count"
	// MetadataAltered: what makes the invoice ours was changed at Stripe.
	MetadataAltered Type = "metadata_altered"
	// OrphanDraft: a draft with our key that nobody will finalize.
	OrphanDraft Type = "orphan_draft"
	// OrphanPendingItem: an item with our key that waits for somebody's next invoice.
	OrphanPendingItem Type = "orphan_pending_item"
	// SelfRevenue: an outcome invoice of ours was booked as revenue.
	SelfRevenue Type = "self_revenue"
	// StaleWebhook: Stripe has events that did not arrive.
	StaleWebhook Type = "stale_webhook"
	// RewardWithoutDecision: revenue of users for whom no decision was logged.
	RewardWithoutDecision Type = "reward_without_decision"
	// DecisionWithoutPropensity: decisions whose probabilities cannot be used.
	DecisionWithoutPropensity Type = "decision_without_propensity"
	// LateEvent: a fact of a frozen period that was recorded after the cut-off.
	LateEvent Type = "late_event"
	// RefundAfterInvoice: money of an invoiced period went back later.
	RefundAfterInvoice Type = "refund_after_invoice"
	// OpenDispute: a dispute about a payment of the period is not decided.
	OpenDispute Type = "open_dispute"
	// DigestDiffers: stored evidence does not have the digest that it is filed under.
	DigestDiffers Type = "digest_differs"
	// ReplayDiffers: the month derived again from its raw events came out differently.
	ReplayDiffers Type = "replay_differs"
	// ExpectedMissing: something that is due is not there.
	ExpectedMissing Type = "expected_missing"
)

// Severity is how much a break matters.
type Severity string

// The severities. Errors and critical breaks keep a month from being closed.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Error    Severity = "error"
	Critical Severity = "critical"
)

// Effect is what of the bill a break touches.
type Effect string

// The effects.
const (
	// NoEffect: no amount changes.
	NoEffect Effect = "none"
	// OnRevenue: the measured revenue, and through it the fee.
	OnRevenue Effect = "measured_revenue"
	// OnInvoice: what the payer is asked to pay.
	OnInvoice Effect = "invoice_amount"
	// OnLater: a later period, as a true-up or a credit.
	OnLater Effect = "later_period"
	// OnEvidence: no amount, but whether anybody can rely on it.
	OnEvidence Effect = "evidence"
)

// Repair is what may be done without a person, because doing it twice changes nothing.
type Repair string

// The repairs.
const (
	NoRepair Repair = ""
	// Pull reads the object at Stripe; facts have natural keys, so that a second read adds nothing.
	Pull Repair = "pull"
	// Sweep removes drafts and pending items with our key that no finished intent counts.
	Sweep Repair = "sweep"
	// Fetch asks Stripe for the events that are missing.
	Fetch Repair = "fetch"
)

// Rule is what holds for every break of a type.
type Rule struct {
	Type      Type
	Invariant string // I1 to I10 of docs/reconciliation.md; empty for what is no invariant between two sides
	Severity  Severity
	Effect    Effect
	Repair    Repair
	// Internal breaks are between parts of our own ledger: nothing of them is tolerated.
	Internal   bool
	Title      string
	NextAction string
}

var rules = []Rule{
	{MissingInLedger, "I1", Error, OnRevenue, Pull, false, "missing in the ledger", "The object is read at Stripe by itself; if it stays, look whether its customer and its shape are known"},
	{MissingInStripe, "I2", Critical, OnRevenue, NoRepair, false, "missing in Stripe", "Look for the object in the Stripe Dashboard: it may have been deleted, or belong to another account"},
	{AmountDiffers, "I1", Error, OnRevenue, NoRepair, false, "the amount differs", "Compare both sides field by field"},
	{CurrencyDiffers, "I1", Critical, OnRevenue, NoRepair, false, "the currency differs", "Compare both sides field by field; amounts of two currencies are never netted"},
	{TaxDiffers, "I4", Warning, OnRevenue, NoRepair, false, "the tax differs", "Compare the tax of the invoice at Stripe with what was booked without it"},
	{Timing, "I1", Warning, OnRevenue, NoRepair, false, "another period", "Accept it as a cut-off difference; the other period shows it with the opposite sign"},
	{DuplicateInvoice, "I5", Critical, OnInvoice, NoRepair, false, "a second invoice", "Void or credit the invoice that is not pinned"},
	{DuplicateReward, "I2", Critical, OnRevenue, NoRepair, true, "booked twice", "Find out which of the facts is the payment; the other one must not count"},
	{UnmappedCustomer, "", Warning, OnRevenue, NoRepair, false, "customer without a user", "Say whose the customer is (metadata at Stripe, or a mapping here)"},
	{StateMismatch, "I10", Warning, NoEffect, Pull, false, "the state differs", "The object is read at Stripe by itself"},
	{ReversalNotApplied, "I3", Error, OnRevenue, Pull, false, "a refund or dispute is not applied", "The charge is read at Stripe by itself"},
	{FXMissing, "", Warning, OnRevenue, NoRepair, true, "revenue in another currency", "Revenue in a currency that is not the contract's is not measured; agree on it or accept it"},
	{OutOfBand, "", Info, NoEffect, NoRepair, false, "paid outside Stripe", "Nothing, unless the contract counts such payments"},
	{ModeLeak, "I7", Critical, OnEvidence, NoRepair, true, "an object of the other mode", "Check the connection's key and its endpoint before anything else is billed"},
	{ForeignLine, "I6", Critical, OnInvoice, NoRepair, false, "a line that is not ours", "Find out who added the line; credit it, or void the invoice and let it be issued again"},
	{LineCount, "I6", Critical, OnInvoice, NoRepair, false, "the number of lines differs", "Compare the invoice with the plan line by line"},
	{MetadataAltered, "I6", Error, OnEvidence, NoRepair, false, "the metadata was changed at Stripe", "Put the metadata back in the Stripe Dashboard, or accept it"},
	{OrphanDraft, "I5", Warning, NoEffect, Sweep, false, "an orphan draft", "The draft is swept by itself"},
	{OrphanPendingItem, "I5", Error, OnInvoice, Sweep, false, "an orphan pending item", "The item is swept by itself; until then the payer's next invoice would hold it"},
	{SelfRevenue, "I8", Critical, OnRevenue, NoRepair, true, "our own invoice counts as revenue", "Exclude the invoice; look why its key was not seen when it was booked"},
	{StaleWebhook, "", Error, OnEvidence, Fetch, false, "events did not arrive", "The events are fetched by themselves; check the webhook endpoint at Stripe"},
	{RewardWithoutDecision, "", Info, NoEffect, NoRepair, true, "revenue without a decision", "Upload the decisions if they exist; otherwise it is revenue of users whom no policy met"},
	{DecisionWithoutPropensity, "", Error, OnRevenue, NoRepair, true, "decisions without usable probabilities", "Upload the decisions again with the probabilities that were in force"},
	{LateEvent, "I9", Warning, OnLater, NoRepair, true, "recorded after the cut-off", "Nothing in this period, which is frozen; the contract year's settlement takes it up"},
	{RefundAfterInvoice, "I9", Warning, OnLater, NoRepair, true, "money went back after the invoice", "Nothing in this period; the next settlement or a credit note takes it up"},
	{OpenDispute, "", Info, OnLater, NoRepair, true, "an undecided dispute", "Wait for the decision of the bank"},
	{DigestDiffers, "I9", Critical, OnEvidence, NoRepair, true, "stored evidence was changed", "Compare with a backup; whatever was changed, nothing may rest on it until it is explained"},
	{ReplayDiffers, "I9", Critical, OnEvidence, NoRepair, true, "the replay differs", "Look at the first difference of the replay"},
	{ExpectedMissing, "", Error, OnEvidence, NoRepair, true, "due and not there", "Run the cycle, or see what keeps it"},
}

var byType = func() map[Type]Rule {
	out := map[Type]Rule{}
	for _, r := range rules {
		out[r.Type] = r
	}
	return out
}()

// Rules lists what holds for each type, in the order of the types.
func Rules() []Rule { return slices.Clone(rules) }

// RuleOf is the rule of a type; ok is false for a type that does not exist.
func RuleOf(t Type) (Rule, bool) {
	r, ok := byType[t]
	return r, ok
}

// Blocks reports whether an open break of the severity keeps a month from being closed.
func (s Severity) Blocks() bool { return s == Error || s == Critical }
