package billing

// Window is what an amount is counted over: a month, or a quarter or year of the
// contract, which begin with its first period.
type Window string

// The windows.
const (
	PerMonth   Window = "month"
	PerQuarter Window = "quarter"
	PerYear    Window = "year"
)

// TierMode is which part of the base a tier's share is taken of.
type TierMode string

// The modes of tiers.
const (
	// Marginal: each part of the base at the share of its own tier.
	Marginal TierMode = "marginal"
	// Whole: the whole base of the window at the share of the tier that it reaches.
	Whole TierMode = "whole"
)

// Tiers are shares that depend on how much base the window has billed. Marginal
// amounts in a tiered revenue share and all-units amounts are the two ways in use.
type Tiers struct {
	// Mode is marginal unless said otherwise.
	Mode TierMode `json:"mode"`
	// Reset is the window after which the tiers begin again; a year unless said otherwise.
	Reset Window `json:"reset"`
	// Above are the tiers in ascending order; below the first one Terms.Share holds.
	Above []Tier `json:"above"`
}

// Tier is the share from an amount of base on: the part above FromMinor when
// marginal, a base of at least FromMinor when whole.
type Tier struct {
	FromMinor int64  `json:"from_minor"`
	Share     string `json:"share"`
}

// CapExcess is what happens with fees above a cap.
type CapExcess string

// The ways to treat the excess.
const (
	// ExcessWaived: what is above the cap is never billed.
	ExcessWaived CapExcess = "waived"
	// ExcessCarried: it is added to the fees of the following months of the contract year.
	ExcessCarried CapExcess = "carried"
)

// Caps limit the performance fees of a month, of a contract year and of the whole
// contract, in minor units; 0 means no such cap.
type Caps struct {
	MonthMinor int64 `json:"month_minor,omitempty"`
	YearMinor  int64 `json:"year_minor,omitempty"`
	TotalMinor int64 `json:"total_minor,omitempty"`
	// Excess is waived unless said otherwise.
	Excess CapExcess `json:"excess"`
}

// Counted is a group of fees that counts toward a minimum commitment.
type Counted string

// The groups.
const (
	CountsPerformance Counted = "performance"  // lift, outcomes, true-ups, after caps
	CountsFloor       Counted = "floor"        // the top-up to the floor
	CountsPlatformFee Counted = "platform_fee" // the platform fee
)

// Minimum is a commitment: what a window is billed at least. The difference is a
// line of its own at the window's end.
type Minimum struct {
	AmountMinor int64 `json:"amount_minor"`
	// Every is a year unless said otherwise.
	Every Window `json:"every"`
	// Counts are the fees that count toward it; all of them unless said otherwise.
	Counts []Counted `json:"counts"`
}

// OutcomePrice is the price of one counted outcome. Outcomes are counted, not
// measured against the holdout, and their lines say so.
type OutcomePrice struct {
	// Kind is the reward event that is counted, one of OutcomeKinds.
	Kind string `json:"kind"`
	// PriceMinor is a decimal number of minor units, "99" for 0.99 USD.
	PriceMinor string `json:"price_minor"`
	// Included outcomes of each month are free.
	Included int64 `json:"included,omitempty"`
}

// OutcomeKinds are the reward events that can be priced by the piece.
func OutcomeKinds() []string {
	return []string{"conversion", "payment_recovered", "reactivation", "trial_start", "upgrade"}
}

// PhaseKind is how a phase before the full terms bills.
type PhaseKind string

// The kinds of phases. PhaseFull is every month after the last phase.
const (
	PhaseFull PhaseKind = "full"
	// PhaseShadow prices and shows, and never invoices.
	PhaseShadow PhaseKind = "shadow"
	// PhaseFree invoices the fixed fees only; lift and outcomes cost nothing.
	PhaseFree PhaseKind = "free"
	// PhaseRamp takes a factor of the performance fees.
	PhaseRamp PhaseKind = "ramp"
)

// Phase is a number of months with other fees. The lift of a shadow or free month is
// consumed: it is never billed later, whether the guardrail let it pass or not.
type Phase struct {
	Kind   PhaseKind `json:"kind"`
	Months int       `json:"months"`
	// Factor of a ramp, in (0, 1).
	Factor string `json:"factor,omitempty"`
	// WaiveFixed leaves out platform fee, floor and monthly minimum.
	WaiveFixed bool `json:"waive_fixed_fees,omitempty"`
}

// Holdback keeps a share of the performance fees and releases it later.
type Holdback struct {
	Share string `json:"share"`
	// ReleaseAfterMonths is when a month's holdback is invoiced; 0 is the close of the
	// contract year.
	ReleaseAfterMonths int `json:"release_after_months"`
}

// NettingMode is how refunds and chargebacks that come after a month's close count.
type NettingMode string

// The modes. What is known at the close is always net, because revenue is measured net.
const (
	// NetActual: each one is a true-up of its month.
	NetActual NettingMode = "actual"
	// NetAgreedRate: an agreed rate is taken off every base instead.
	NetAgreedRate NettingMode = "agreed_rate"
)

// Netting of refunds and chargebacks.
type Netting struct {
	Mode NettingMode `json:"mode"`
	// Rate of NetAgreedRate, in (0, 1).
	Rate string `json:"rate,omitempty"`
	// LookbackDays of NetActual: what happens later than this after the end of its month
	// is not netted; 0 means no limit.
	LookbackDays int `json:"lookback_days,omitempty"`
}
