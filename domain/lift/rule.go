package lift

import "github.com/liftbill/liftbill/domain/fault"

// Basis is what a contract bills on.
type Basis string

// The bases.
const (
	// BasisMeasured bills the high-water mark of the year-to-date point estimate
	// in periods in which the guardrail passes.
	BasisMeasured Basis = "measured"
	// BasisProven bills the high-water mark of the year-to-date lower bound.
	BasisProven Basis = "proven"
)

// DefaultPortfolioCap is whether a basis caps the total by the pooled bound unless the contract says otherwise.
func (b Basis) DefaultPortfolioCap() bool { return b == BasisProven }

// Settlement is what happens at the settlement of the contract year.
type Settlement string

// The settlements. Empty is SettleProvenLift.
const (
	// SettleProvenLift: one more look at the basis's own figure, for which the
	// settlement's part of the error budget is kept.
	SettleProvenLift Settlement = "proven_lift"
	// SettleProvenThenPoint: basis proven, raised to the point estimate of every
	// snapshot that passes the settlement's look.
	SettleProvenThenPoint Settlement = "proven_then_point"
	// SettlePointTwoWay: the year ends at the point estimate, up or down, whether or
	// not its bound is above zero. Up is billed, down is credited, never below zero.
	// It is sealed in the plan, because the guardrail then asks no bound at the settlement.
	SettlePointTwoWay Settlement = "point_two_way"
)

// Rule is what is billed of a measured lift: the basis during the year and the
// settlement at its end.
type Rule struct {
	Basis      Basis
	Settlement Settlement
}

// Rules lists every rule that a contract may have.
func Rules() []Rule {
	return []Rule{{BasisMeasured, SettleProvenLift}, {BasisMeasured, SettlePointTwoWay},
		{BasisProven, SettleProvenLift}, {BasisProven, SettleProvenThenPoint}, {BasisProven, SettlePointTwoWay}}
}

// Normalise fills in the default settlement and refuses a rule that does not exist.
func (r Rule) Normalise() (Rule, error) {
	if r.Settlement == "" {
		r.Settlement = SettleProvenLift
	}
	if r.Basis != BasisMeasured && r.Basis != BasisProven {
		return r, fault.InvalidField("basis", "basis_unknown", "%q is not a basis of billing", string(r.Basis)).Fix("Use measured or proven")
	}
	switch r.Settlement {
	case SettleProvenLift, SettlePointTwoWay:
	case SettleProvenThenPoint:
		if r.Basis != BasisProven {
			return r, fault.InvalidField("settlement", "settlement_unknown", "the basis %s bills the point estimate already", r.Basis).
				Fix("Use proven_lift or point_two_way with the basis measured")
		}
	default:
		return r, fault.InvalidField("settlement", "settlement_unknown", "%q is not a settlement", string(r.Settlement)).
			Fix("Use proven_lift, proven_then_point or point_two_way")
	}
	return r, nil
}

// BillsPoint reports whether the rule bills the point estimate at a look, and not the bound.
func (r Rule) BillsPoint(look Look) bool {
	return r.Basis == BasisMeasured || (look == LookSettlement && r.Settlement != SettleProvenLift)
}

// figure is what a snapshot may be billed up to at a look, year to date.
func (r Rule) figure(look Look, point, bound int64) int64 {
	if r.BillsPoint(look) {
		return max(0, point)
	}
	return max(0, bound)
}

// limit is what the portfolio cap allows: the pooled bound, and the pooled point
// where a proven year is settled to points.
func (r Rule) limit(look Look, pooled Verdict) int64 {
	if r.Basis == BasisProven && r.BillsPoint(look) {
		return max(0, pooled.PointMinor)
	}
	return max(0, pooled.BoundMinor)
}

// asksNoBound reports whether a plan settles its year whatever the bound says.
func (p Plan) asksNoBound(look Look) bool {
	return look == LookSettlement && p.Settlement == SettlePointTwoWay
}
