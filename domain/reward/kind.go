// Package reward turns Stripe payloads of any API version into reward facts.
//
// It owns the tolerant reading of events and objects, the decision tables that
// say what happened, the natural keys that make webhook, pull and backfill agree,
// and the arithmetic of recurring and confirmed revenue. It knows no state: every
// answer is derived from one payload alone. It does not own storage, attribution
// or projections.
package reward

// Kind names what happened. Reward-event kinds are public names; the others are
// state facts that projections and people use and that carry no reward.
type Kind string

// The reward-event kinds.
const (
	TrialStart          Kind = "trial_start"
	TrialWillEnd        Kind = "trial_will_end"
	TrialExpired        Kind = "trial_expired"
	TrialCancelled      Kind = "trial_cancelled"
	Conversion          Kind = "conversion"
	Reactivation        Kind = "reactivation"
	Upgrade             Kind = "upgrade"
	Downgrade           Kind = "downgrade"
	Churn               Kind = "churn"
	PaymentFailed       Kind = "payment_failed"
	PaymentRecovered    Kind = "payment_recovered"
	RevenueConfirmation Kind = "revenue_confirmation"
	Refund              Kind = "refund"
	Dispute             Kind = "dispute"
	DisputeWon          Kind = "dispute_won"
	DisputeLost         Kind = "dispute_lost"
	CustomerMapping     Kind = "customer_mapping"
)

// The state facts, which carry no reward.
const (
	FreeStart            Kind = "free_start"
	ActivationFailed     Kind = "activation_failed"
	PaymentAtRisk        Kind = "payment_at_risk"
	Pause                Kind = "pause"
	Resume               Kind = "resume"
	ChurnFinalised       Kind = "churn_finalised"
	PlanChangeNeutral    Kind = "plan_change_neutral"
	PlanChangeUnknown    Kind = "plan_change_unknown"
	PlanChangeNoMRR      Kind = "plan_change_no_mrr"
	CancelScheduled      Kind = "cancel_scheduled"
	TrialCancelScheduled Kind = "trial_cancel_scheduled"
	CancelUnscheduled    Kind = "cancel_unscheduled"
	CollectionPaused     Kind = "collection_paused"
	CollectionResumed    Kind = "collection_resumed"
	TrialRescheduled     Kind = "trial_rescheduled"
	DiscountChanged      Kind = "discount_changed"
	RevenueOutOfBand     Kind = "revenue_out_of_band"
	InvoiceVoided        Kind = "invoice_voided"
	InvoiceUncollectible Kind = "invoice_uncollectible"
	ActionRequired       Kind = "payment_action_required"
	RefundFailed         Kind = "refund_failed"
	CustomerDeleted      Kind = "customer_deleted"
)

var rewardKinds = map[Kind]bool{
	TrialStart: true, TrialWillEnd: true, TrialExpired: true, TrialCancelled: true,
	Conversion: true, Reactivation: true, Upgrade: true, Downgrade: true, Churn: true,
	PaymentFailed: true, PaymentRecovered: true, RevenueConfirmation: true, Refund: true,
	Dispute: true, DisputeWon: true, DisputeLost: true, CustomerMapping: true,
}

// IsReward reports whether the kind is a reward event; the rest are state facts.
func (k Kind) IsReward() bool { return rewardKinds[k] }

// Kinds lists the reward-event kinds: what moves money first, then the life of a
// subscription, then who the customer is.
func Kinds() []Kind {
	return []Kind{
		RevenueConfirmation, Refund, Dispute, DisputeWon, DisputeLost,
		TrialStart, TrialWillEnd, TrialExpired, TrialCancelled, Conversion, Reactivation,
		Upgrade, Downgrade, Churn, PaymentFailed, PaymentRecovered, CustomerMapping,
	}
}

// StateKinds lists the kinds of facts that carry no reward.
func StateKinds() []Kind {
	return []Kind{
		FreeStart, ActivationFailed, PaymentAtRisk, Pause, Resume, ChurnFinalised, PlanChangeNeutral, PlanChangeUnknown, PlanChangeNoMRR,
		CancelScheduled, TrialCancelScheduled, CancelUnscheduled, CollectionPaused, CollectionResumed, TrialRescheduled, DiscountChanged,
		RevenueOutOfBand, InvoiceVoided, InvoiceUncollectible, ActionRequired, RefundFailed, CustomerDeleted,
	}
}

// String is the public name.
func (k Kind) String() string { return string(k) }
