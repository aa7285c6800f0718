package reward

import (
	"math/big"
	"sort"
	"strings"

	"github.com/shopspring/decimal"
)

// MRR is monthly recurring revenue in minor units per month, exact to 12 places.
type MRR struct {
	Currency string
	Known    bool            // false: a price without unit amount, or a partial list of items
	Contract decimal.Decimal // list prices
	NetKnown bool            // false: a discount that the payload only names
	Net      decimal.Decimal // after repeating and forever discounts
}

// Annual is ARR by list prices: twelve months of contract MRR.
func (m MRR) Annual() decimal.Decimal { return m.Contract.Mul(decimal.NewFromInt(12)) }

// text is the contract MRR as a fact stores it; empty is unknown.
func (m MRR) text() string {
	if !m.Known {
		return ""
	}
	return m.Contract.String()
}

func noMRR(currency string) MRR { return MRR{Currency: currency, Known: true, NetKnown: true} }

// MRROf is the recurring revenue of a subscription object; statuses that do not pay give zero.
func MRROf(raw []byte) (MRR, error) {
	s, err := SubscriptionOf(raw)
	return s.MRR, err
}

// perMonth is how many times an interval fits into a month; 52 weeks make a year.
var perMonth = map[string]*big.Rat{
	"month": big.NewRat(1, 1),
	"year":  big.NewRat(1, 12),
	"week":  big.NewRat(52, 12),
	"day":   big.NewRat(365, 12),
}

// monthly is the factor from one billing interval to a month; nil when it is unknown.
func (i Item) monthly() *big.Rat {
	f, ok := perMonth[i.Interval]
	if !ok || i.IntervalCount <= 0 {
		return nil
	}
	return new(big.Rat).Quo(f, new(big.Rat).SetInt64(i.IntervalCount))
}

// isRecurring reports whether the item counts: one-time prices have no interval and
// metered usage is revenue only once its invoice is paid.
func (i Item) isRecurring() bool { return i.Interval != "" && !i.Metered }

// perInterval is unit amount × quantity, with packages counted as the price says.
func (i Item) perInterval() (decimal.Decimal, bool) {
	if i.UnitAmount == nil {
		return decimal.Zero, false
	}
	q := i.quantity
	if i.divideBy > 0 {
		whole, rest := q.QuoRem(decimal.NewFromInt(i.divideBy), 0)
		if i.roundUp && rest.IsPositive() {
			whole = whole.Add(decimal.NewFromInt(1))
		}
		q = whole
	}
	return i.UnitAmount.Mul(q), true
}

func mrrOf(s SubscriptionState, sub node, items []node) MRR {
	m := MRR{Currency: s.Currency, Known: !s.ItemsPartial && len(s.Items) > 0, NetKnown: true}
	contract := new(big.Rat)
	var net parts
	for k, i := range s.Items {
		if i.Interval == "" && !isWholeItem(items[k]) {
			m.Known = false // an item that the payload only names, or tells in part
		}
		if !i.isRecurring() {
			continue
		}
		amount, known := i.perInterval()
		f := i.monthly()
		// A price in another currency bills through currency options, which the
		// payload does not carry.
		if !known || f == nil || (i.Currency != "" && i.Currency != s.Currency) {
			m.Known = false
			continue
		}
		each := &part{monthly: new(big.Rat).Mul(amount.Rat(), f), every: f, product: i.ProductID}
		contract.Add(contract, each.monthly)
		m.NetKnown = parts{each}.discount(items[k], s.Currency) && m.NetKnown
		net = append(net, each)
	}
	m.NetKnown = net.discount(sub, s.Currency) && m.NetKnown && m.Known
	m.Contract, m.Net = decimalOf(contract), decimalOf(net.total())
	return m
}

// signature identifies what is subscribed: the sorted price × quantity pairs.
func (s SubscriptionState) signature() string {
	parts := make([]string, 0, len(s.Items))
	for _, i := range s.Items {
		parts = append(parts, i.PriceID+"×"+i.quantity.String())
	}
	sort.Strings(parts)
	return strings.Join(parts, ",")
}

// seats is the number of licensed units.
func (s SubscriptionState) seats() int64 {
	total := decimal.Zero
	for _, i := range s.Items {
		if i.isRecurring() {
			total = total.Add(i.quantity)
		}
	}
	seats, _ := integer(total.Truncate(0))
	return seats
}

// intervalTotal is what one billing interval costs, when all items share one.
func (s SubscriptionState) intervalTotal() (total decimal.Decimal, interval string, ok bool) {
	for _, i := range s.Items {
		if !i.isRecurring() {
			continue
		}
		amount, known := i.perInterval()
		this := i.Interval + "×" + decimal.NewFromInt(i.IntervalCount).String()
		if !known || (interval != "" && interval != this) {
			return decimal.Zero, "", false
		}
		interval, total = this, total.Add(amount)
	}
	return total, interval, interval != ""
}
