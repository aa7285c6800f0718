package lift

import (
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/money"
)

// Billable is the permission to bill the lift of one snapshot. It exists only
// for an estimate that passed every check of Judge; the zero value bills nothing.
type Billable struct {
	snapshotID  string
	caseID      string
	pointMinor  int64
	boundMinor  int64
	currency    money.Currency
	look        Look
	environment account.Environment
}

// SnapshotID is the snapshot that is billed.
func (b Billable) SnapshotID() string { return b.snapshotID }

// CaseID is the case ID of the readout; empty before NewReadout.
func (b Billable) CaseID() string { return b.caseID }

// PointMinor is floor(T), year to date, in minor units.
func (b Billable) PointMinor() int64 { return b.pointMinor }

// BoundMinor is floor(LCB) at the scheduled error budget, in minor units; 0 where
// the bound is a fraction of a minor unit, and negative only where the plan settles
// the year in both directions.
func (b Billable) BoundMinor() int64 { return b.boundMinor }

// Currency is the currency of the amounts.
func (b Billable) Currency() money.Currency { return b.currency }

// Look is the look at which the snapshot passed.
func (b Billable) Look() Look { return b.look }

// Environment is that of the evidence; test is never written to Stripe.
func (b Billable) Environment() account.Environment { return b.environment }

// IsZero reports whether the value is not a permission.
func (b Billable) IsZero() bool { return b.snapshotID == "" }

// Billable is the permission that comes with a passed verdict.
func (v Verdict) Billable() (Billable, bool) {
	if v.billable == nil {
		return Billable{}, false
	}
	return *v.billable, true
}
