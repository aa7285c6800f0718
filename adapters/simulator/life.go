package simulator

import (
	"math/rand/v2"
	"time"
)

// life is one Stripe customer: what it does and what money that moves.
type life struct {
	id string
	// userID is written to the customer's metadata; empty for unmapped customers.
	userID string
	card   string
	plan   int
	trial  bool
	start  time.Time
	acts   []act
	ledger []entry

	// What Stripe called them, once they exist.
	customer, subscription, item string
}

// actKind is something the business or its customer does through the API.
type actKind int

const (
	actStart actKind = iota
	actMap
	actNewCard
	actPlan
	actCancelAtEnd
	actCancelNow
	actRefund
	actDispute
	actDisputeLost
)

type act struct {
	at     time.Time
	kind   actKind
	plan   int
	amount int64
}

// entry is confirmed money: positive for a payment, negative for what went back.
type entry struct {
	at     time.Time
	amount int64
}

// The cards of the stand-in.
const (
	cardGood = "pm_card_visa"
	cardBad  = "pm_card_chargeDeclined"
)

// The business model. Trials last a week; Stripe drafts an invoice for an hour and
// tries a declined card again after three days.
const (
	trialDays    = 7
	draftHour    = time.Hour
	dunningWait  = 3 * 24 * time.Hour
	shareDirect  = 0.3
	shareRetried = 0.02
	shareLateMap = 0.02
)

// planShares are the cumulative shares of the first plans; the last takes the rest.
var planShares = []float64{0.62, 0.92}

// What happens after each payment, as cumulative shares.
const (
	shareFullRefund = 0.010
	sharePartRefund = 0.025
	sharePlanChange = 0.065
	shareChurn      = 0.135
)

// payerLife is the life of somebody who pays, seen to the end of the business.
// It is drawn without regard to arm and outcome.
func (b *Business) payerLife(id string, after time.Time) *life {
	rng := draws(b.spec.Seed, id, "payer")
	l := &life{id: id, userID: id, card: cardGood}
	l.start = b.slot(after.Add(30*time.Minute + days(rng, 3)))
	l.trial = rng.Float64() >= shareDirect
	retried := rng.Float64() < shareRetried && l.trial
	x := rng.Float64()
	for l.plan < min(len(planShares), len(b.spec.Prices)-1) && x >= planShares[l.plan] {
		l.plan++
	}
	l.acts = []act{{at: l.start, kind: actStart}}
	if rng.Float64() < shareLateMap {
		l.act(act{at: b.slot(l.start.Add(24*time.Hour + days(rng, 3))), kind: actMap})
	}
	anchor := l.start
	if l.trial {
		anchor = anchor.Add(trialDays * 24 * time.Hour)
	}
	if retried {
		l.card = cardBad
		l.act(act{at: b.slot(anchor.Add(24 * time.Hour)), kind: actNewCard})
	}
	b.payments(l, rng, anchor, retried)
	return l
}

func (l *life) act(a act) { l.acts = append(l.acts, a) }

// payments writes the ledger period by period until the customer leaves or the
// business ends.
func (b *Business) payments(l *life, rng *rand.Rand, anchor time.Time, retried bool) {
	plan := l.plan
	for k := 0; ; k++ {
		start := addMonths(anchor, k)
		if start.After(b.horizon) {
			return
		}
		paid := start
		if l.trial || k > 0 {
			paid = paid.Add(draftHour)
		}
		if retried && k == 0 {
			paid = paid.Add(dunningWait)
		}
		l.ledger = append(l.ledger, entry{at: paid, amount: b.spec.Prices[plan]})
		var stays bool
		if plan, stays = b.afterPayment(l, rng, paid, plan); !stays {
			return
		}
	}
}

// afterPayment draws what a payer does before the next payment. It makes the same
// number of draws whatever comes of them.
func (b *Business) afterPayment(l *life, rng *rand.Rand, paid time.Time, plan int) (next int, stays bool) {
	x, soon, choice := rng.Float64(), b.slot(paid.Add(24*time.Hour+days(rng, 8))), rng.Float64()
	switch {
	case x < shareFullRefund:
		l.act(act{at: soon, kind: actRefund, amount: b.spec.Prices[plan]})
		l.ledger = append(l.ledger, entry{at: soon, amount: -b.spec.Prices[plan]})
		l.act(act{at: b.slot(soon), kind: actCancelNow})
		return plan, false
	case x < sharePartRefund:
		l.act(act{at: soon, kind: actRefund, amount: b.spec.Prices[plan] / 2})
		l.ledger = append(l.ledger, entry{at: soon, amount: -(b.spec.Prices[plan] / 2)})
	case x < sharePlanChange && len(b.spec.Prices) > 1:
		n := len(b.spec.Prices)
		next = (plan + 1 + int(choice*float64(n-1))) % n
		l.act(act{at: soon, kind: actPlan, plan: next})
		return next, true
	case x < shareChurn && choice < 0.7:
		l.act(act{at: soon, kind: actCancelAtEnd})
		return plan, false
	case x < shareChurn:
		l.act(act{at: soon, kind: actCancelNow})
		return plan, false
	}
	return plan, true
}

// abandoned is the life of a unit that tries and never pays; most try nothing and
// get none.
func (b *Business) abandoned(id string, after time.Time) *life {
	const tries = 0.03
	rng := draws(b.spec.Seed, id, "abandoned")
	if rng.Float64() >= tries {
		return nil
	}
	l := &life{id: id, userID: id, card: cardGood, trial: true}
	l.start = b.slot(after.Add(30*time.Minute + days(rng, 3)))
	l.acts = []act{{at: l.start, kind: actStart}}
	soon := b.slot(l.start.Add(days(rng, 5)))
	switch x := rng.Float64(); {
	case x < 0.45:
		l.act(act{at: soon, kind: actCancelNow})
	case x < 0.65:
		l.act(act{at: soon, kind: actCancelAtEnd})
	case x < 0.9:
		l.card = cardBad // the trial ends, the payment fails, the dunning too
	default:
		l.card, l.trial = cardBad, false // never gets past the first payment
	}
	return l
}

// outsider is a customer that no decision was made for: unmapped ones have no
// user id at all. They take the cheapest plan and stay.
func (b *Business) outsider(id string, mapped bool, start time.Time) *life {
	l := &life{id: id, card: cardGood, start: start, acts: []act{{at: start, kind: actStart}}}
	if mapped {
		l.userID = id
	}
	for k := 0; ; k++ {
		at := addMonths(start, k)
		if at.After(b.horizon) {
			return l
		}
		if k > 0 {
			at = at.Add(draftHour)
		}
		l.ledger = append(l.ledger, entry{at: at, amount: b.spec.Prices[0]})
	}
}

// latecomer starts a trial after the last month; its payment lies beyond the horizon
// of the truth, but not beyond the ledger's.
func (b *Business) latecomer(id string, start time.Time) *life {
	l := &life{id: id, userID: id, card: cardGood, trial: true, start: start, acts: []act{{at: start, kind: actStart}}}
	anchor := start.Add(trialDays * 24 * time.Hour)
	for k := 0; !addMonths(anchor, k).After(b.horizon); k++ {
		l.ledger = append(l.ledger, entry{at: addMonths(anchor, k).Add(draftHour), amount: b.spec.Prices[0]})
	}
	return l
}

// disputed turns a payer's life into one whose first payment is disputed and lost.
// Nothing else happens to it, so the money is easy to follow.
func (b *Business) disputed(l *life) {
	l.card, l.plan, l.trial = cardGood, 0, false
	at := b.slot(l.start.Add(3 * 24 * time.Hour))
	l.acts = []act{
		{at: l.start, kind: actStart},
		{at: at, kind: actDispute},
		{at: b.slot(at), kind: actCancelNow},
		{at: b.slot(at.Add(8 * 24 * time.Hour)), kind: actDisputeLost},
	}
	l.ledger = []entry{{at: l.start, amount: b.spec.Prices[0]}, {at: at, amount: -b.spec.Prices[0]}}
}
