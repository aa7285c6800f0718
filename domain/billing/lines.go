package billing

import (
	"github.com/liftbill/liftbill/domain/lift"
)

// LineKind says what a line of a cycle's ledger is. The kinds stand in the order of
// operations; their sum is what is invoiced.
type LineKind string

// The kinds of lines. Only LineLift says that something was measured.
const (
	// LineLift is the fee of one snapshot's billed lift.
	LineLift LineKind = "lift"
	// LineTiers prices earlier base of the window anew, because a whole tier was reached; may be negative.
	LineTiers LineKind = "tier_adjustment"
	// LineOutcome is the price of counted outcomes.
	LineOutcome LineKind = "per_outcome"
	// LineAdjustment is a true-up of an earlier month; may be negative.
	LineAdjustment LineKind = "adjustment"
	// LineSettlementCredit gives back fees on lift that the year's settlement did not confirm.
	LineSettlementCredit LineKind = "settlement_credit"
	// LineCapExcess are fees that an earlier month's cap put off.
	LineCapExcess LineKind = "cap_excess"
	// LineCap is what a cap cuts off; negative.
	LineCap LineKind = "cap"
	// LineFloor tops the month's performance fees up to the agreed floor.
	LineFloor LineKind = "floor"
	// LinePlatformFee is the fixed monthly fee.
	LinePlatformFee LineKind = "platform_fee"
	// LineMinimum tops a window up to the agreed minimum commitment.
	LineMinimum LineKind = "minimum_top_up"
	// LineHoldback is kept for later; negative.
	LineHoldback LineKind = "holdback"
	// LineHoldbackRelease is an earlier holdback, due now.
	LineHoldbackRelease LineKind = "holdback_release"
	// LineCarryIn is the balance of the cycle before: a charge, or a credit when negative.
	LineCarryIn LineKind = "carry_in"
	// LineCarryOut hands the balance on: a charge below Stripe's minimum (negative here),
	// or a credit that the month cannot use up (positive here, and on no invoice).
	LineCarryOut LineKind = "carry_out"
	// LineShadow takes a shadow month's total off again.
	LineShadow LineKind = "shadow"
)

// LineKinds are all kinds, in the order of operations.
func LineKinds() []LineKind {
	return []LineKind{
		LineLift, LineTiers, LineOutcome, LineAdjustment, LineSettlementCredit, LineCapExcess, LineCap, LineFloor, LinePlatformFee,
		LineMinimum, LineHoldback, LineHoldbackRelease, LineCarryIn, LineShadow, LineCarryOut,
	}
}

// performance are the kinds that caps limit and that count as performance fees.
var performance = []LineKind{LineLift, LineTiers, LineOutcome, LineAdjustment, LineSettlementCredit, LineCapExcess, LineCap}

func (k LineKind) isPerformance() bool {
	for _, p := range performance {
		if k == p {
			return true
		}
	}
	return false
}

// Line is one line of a cycle's ledger, in minor units of the contract's currency.
// The amounts of a cycle's lines sum to its total. Only a lift line holds a
// lift.Billable, which Price alone puts there.
type Line struct {
	// Key is stable within the cycle: the snapshot's ID for a lift, "fee:…" for the rest.
	Key  string
	Kind LineKind
	// AmountMinor is what the line comes to; negative lines reduce others.
	AmountMinor int64
	// BilledMinor is what of it stands on the invoice after the reductions: 0 to
	// AmountMinor, and 0 for a negative line. The billed parts sum to the total as well.
	BilledMinor int64
	// Text says in plain words what it is, with its numbers.
	Text string
	// SnapshotID of a lift line; Outcome and Quantity of counted outcomes; Origin is the
	// month that a true-up, a release or a balance stems from.
	SnapshotID string
	Outcome    string
	Quantity   int64
	Origin     string

	permit lift.Billable
}

// Permit is the guardrail's permission behind a lift line; zero for every other line.
func (l Line) Permit() lift.Billable { return l.permit }

// Row is one settled snapshot with its fee. Amounts are minor units of the
// contract's currency; the fee is zero where nothing is billed.
type Row struct {
	lift.SettleRow
	Passed bool
	// Fee is the amount of the snapshot's lift line, Billed what of it stands on the invoice.
	Fee, Billed int64
}

// Step is one stored row of the arithmetic, in words and numbers, so that a
// person can recompute it with a pocket calculator.
type Step struct {
	Number     int
	Name       string
	SnapshotID string
	Formula    string
	Inputs     string
	Result     string
}
