package reward

import (
	"sort"
	"time"

	"github.com/shopspring/decimal"
)

// BilledPlan is the plan that one regular invoice of a subscription billed: the only
// trace that a plan leaves once it has been changed.
type BilledPlan struct {
	Subscription string
	Customer     string
	Invoice      string
	Currency     string
	// From is the start of the period that was billed.
	From time.Time
	// Signature names prices and quantities as a subscription's own does.
	Signature string
	// MonthlyMinor is the contract MRR in minor units; Known is false when a price does not say it.
	MonthlyMinor decimal.Decimal
	Known        bool
	// Trial is an invoice over less than a period of its prices or of lines that cost
	// nothing although their prices do: a trial, which says nothing of what is paid.
	Trial bool
}

// regularReasons are the billing reasons of invoices that bill a whole period.
var regularReasons = map[string]bool{"subscription_create": true, "subscription_cycle": true, "subscription": true}

// BilledPlanOf reads the plan off an invoice, or off all of its lines where it shows
// only the first; prorations and one-off lines are left out. ok is false for an invoice that bills no
// regular period of a subscription, and for a draft or a voided one.
func BilledPlanOf(raw []byte, all ...[]byte) (plan BilledPlan, ok bool) {
	inv, err := decodeNode(raw)
	if err != nil || !regularReasons[inv.str("billing_reason")] || inv.str("status") == "draft" || inv.str("status") == "void" {
		return BilledPlan{}, false
	}
	i := invoiceOf(inv)
	plan = BilledPlan{Subscription: i.Subscription, Customer: i.Customer, Invoice: i.ID, Currency: i.Currency, Trial: true}
	lines := inv.list("lines")
	if len(all) > 0 {
		lines = nil
	}
	for _, one := range all {
		if n, err := decodeNode(one); err == nil {
			lines = append(lines, n)
		}
	}
	state := SubscriptionState{Currency: i.Currency}
	var nodes []node
	for _, l := range lines {
		if !isPlanLine(l) {
			continue
		}
		it := itemOf(l)
		state.Items, nodes = append(state.Items, it), append(nodes, node{"price": l["price"]})
		if from := l.obj("period").when("start"); from.After(plan.From) {
			plan.From = from
		}
		plan.Trial = plan.Trial && (billsNothing(l, it) || isShort(l, it))
	}
	if plan.Subscription == "" || plan.Invoice == "" || len(state.Items) == 0 || plan.From.IsZero() {
		return BilledPlan{}, false
	}
	mrr := mrrOf(state, node{}, nodes)
	plan.Signature, plan.MonthlyMinor, plan.Known = state.signature(), mrr.Contract, mrr.Known
	return plan, true
}

// LinesMissing reports whether an invoice shows only the first of its lines.
func LinesMissing(invoice []byte) bool {
	n, err := decodeNode(invoice)
	return err == nil && n.obj("lines").truth("has_more")
}

func isPlanLine(l node) bool {
	details := l.obj("parent", "subscription_item_details")
	return (l.str("type") == "subscription" || len(details) > 0) && !l.truth("proration") && !details.truth("proration")
}

// billsNothing is a line that costs nothing although its price does and nothing was
// taken off.
func billsNothing(l node, it Item) bool {
	amount, stated := l.num("amount")
	worth, known := it.perInterval()
	return stated && amount == 0 && known && worth.IsPositive() && len(l.list("discount_amounts")) == 0
}

// shortest is the length of the shortest whole interval, in days.
var shortest = map[string]int64{"day": 1, "week": 7, "month": 28, "year": 365}

// isShort is a line over less than one interval of its price.
func isShort(l node, it Item) bool {
	from, to := l.obj("period").when("start"), l.obj("period").when("end")
	days, known := shortest[it.Interval]
	// An hour is what a change to daylight saving may take.
	return known && it.IntervalCount > 0 && it.IntervalCount < 1000 && to.Sub(from) < time.Duration(days*it.IntervalCount)*24*time.Hour-time.Hour
}

// InferPlanChanges compares the regular invoices of one subscription in the order of
// their periods: an upgrade or a downgrade between two of them took effect, as far as
// anybody can tell today, at the start of the later one. Everything it says is inferred.
func InferPlanChanges(history []BilledPlan) []Fact {
	sorted := append([]BilledPlan(nil), history...)
	sort.SliceStable(sorted, func(i, k int) bool {
		if !sorted[i].From.Equal(sorted[k].From) {
			return sorted[i].From.Before(sorted[k].From)
		}
		return sorted[i].Invoice < sorted[k].Invoice
	})
	facts := []Fact{}
	for k := 1; k < len(sorted); k++ {
		was, is := sorted[k-1], sorted[k]
		comparable := was.Known && is.Known && !was.Trial && !is.Trial && was.Currency == is.Currency && was.From.Before(is.From)
		delta := is.MonthlyMinor.Cmp(was.MonthlyMinor)
		if !comparable || delta == 0 {
			continue
		}
		kind := Upgrade
		if delta < 0 {
			kind = Downgrade
		}
		facts = append(facts, Fact{
			Key: changeKey(kind, is.Subscription, was.Signature, is.Signature, is.From), Kind: kind, IsReward: true, ObjectID: is.Subscription,
			Customer: is.Customer, Subscription: is.Subscription, Currency: is.Currency, EffectiveAt: is.From.UTC(),
			MRRBefore: was.MonthlyMinor.String(), MRRAfter: is.MonthlyMinor.String(), Flags: Flags{Inferred: true},
		})
	}
	return facts
}
