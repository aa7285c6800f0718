package reward

import (
	"time"

	"github.com/shopspring/decimal"
)

// trialSlack is how far the end of a subscription may lie from the end of its trial
// and still be the trial running out.
const trialSlack = 60 * time.Second

// change is a subscription before and after one event.
type change struct {
	prev SubscriptionState
	now  SubscriptionState
}

// changeOf reads both sides; the earlier one is the object with its previous
// attributes in place.
func (b *builder) changeOf(obj, prev node) change {
	before := subscriptionOf(previousOf(obj, prev))
	b.prev = &before
	return change{prev: before, now: b.subscription(obj)}
}

// subscription reads the payload's subscription, once.
func (b *builder) subscription(obj node) SubscriptionState {
	if b.now == nil {
		s := subscriptionOf(obj)
		b.now = &s
	}
	return *b.now
}

// start is a change from nothing.
func (b *builder) start(obj node) change {
	now := b.subscription(obj)
	return change{prev: SubscriptionState{MRR: noMRR(now.Currency)}, now: now}
}

// previousOf overlays the previous attributes. Older versions report a plan change
// only at the top, so that a single item has to be rewritten from there; its price
// goes, because it is the new one.
func previousOf(obj, prev node) node {
	before := overlayPrices(obj, prev)
	items := obj.list("items")
	if former := prev.list("items"); former != nil {
		list := node{"data": arrayOf(wholeItems(former, items)...)}
		if more, stated := before.obj("items")["has_more"]; stated {
			list["has_more"] = more
		}
		before["items"] = objectOf(list)
		return before
	}
	if prev.isSet("items") || len(items) != 1 || (!prev.isSet("plan") && !prev.has("quantity")) {
		return before
	}
	item := items[0].overlay(nil)
	if prev.isSet("plan") {
		item["plan"] = before["plan"]
		delete(item, "price")
	}
	if prev.has("quantity") {
		item["quantity"] = prev["quantity"]
	}
	before["items"] = arrayOf(objectOf(item))
	return before
}

// overlayPrices is overlay, and of the two ways to write an amount only those stay that
// the patch tells: the other one is the present amount.
func overlayPrices(n, patch node) node {
	out := n.overlay(patch)
	for _, holder := range []string{"price", "plan"} {
		told := patch.obj(holder)
		for _, amount := range []string{"unit_amount", "amount"} {
			exact := amount + "_decimal"
			switch price := out.obj(holder); {
			case told.has(amount) && !told.has(exact):
				delete(price, exact)
			case told.has(exact) && !told.has(amount):
				delete(price, amount)
			}
		}
	}
	return out
}

// wholeItems completes former items from the present ones. Before 2017-04-06 previous
// attributes held of an array only what had changed in it.
func wholeItems(former, present []node) []value {
	out := make([]value, len(former))
	for k, was := range former {
		if is := counterpart(was, k, former, present); is != nil {
			was = completed(was, is)
		}
		out[k] = objectOf(was)
	}
	return out
}

// completed is a former item with what it does not tell taken from the present one.
func completed(was, is node) node {
	if isWholeItem(was) {
		if was.has("quantity") || !is.has("quantity") {
			return was
		}
		return was.overlay(node{"quantity": is["quantity"]})
	}
	if isRenamed(was, is) {
		return was
	}
	now := overlayPrices(is, was)
	if was.isSet("plan") && !was.isSet("price") {
		delete(now, "price") // the present one
	}
	return now
}

// isWholeItem reports whether an item says what it costs and how often.
func isWholeItem(item node) bool {
	if price := item.obj("price"); len(price) > 0 {
		return price.isSet("id") && (price.has("recurring") || price.has("type"))
	}
	plan := item.obj("plan")
	return plan.isSet("id") && plan.isSet("interval")
}

// isRenamed reports whether a former item had another price and does not tell its amount,
// which may be any.
func isRenamed(was, is node) bool {
	price, now := was.obj("price"), is.obj("price")
	if len(price) == 0 {
		price, now = was.obj("plan"), is.obj("plan")
	}
	for _, amount := range []string{"unit_amount", "unit_amount_decimal", "amount", "amount_decimal"} {
		if price.has(amount) {
			return false
		}
	}
	return price.isSet("id") && price.own() != now.own()
}

// counterpart is the present item of a former one: the same ID, or the same place when
// the former one does not name itself.
func counterpart(was node, place int, former, present []node) node {
	if id := was.own(); id != "" {
		for _, is := range present {
			if is.own() == id {
				return is
			}
		}
		return nil
	}
	if len(former) != len(present) {
		return nil
	}
	return present[place]
}

func subscriptionCreated(b *builder, obj, _ node) {
	c := b.start(obj)
	switch c.now.Status {
	case Trialing:
		trialStarted(b, c)
	case Active, PastDue:
		freeStarted(b, c)
		converted(b, c)
	default:
		b.checkStatus(c)
	}
}

// freeStarted marks a subscription that starts at nothing. Its conversion is booked
// beside it and stays unconfirmed until a later plan brings money.
func freeStarted(b *builder, c change) {
	if !c.now.isFree() {
		return
	}
	f := c.fact(FreeStart, KeyOf(FreeStart, c.now.ID))
	f.EffectiveAt = c.now.StartDate
	b.fact(f)
}

// isFree reports whether nothing will ever be charged: metered use may be.
func (s SubscriptionState) isFree() bool {
	for _, i := range s.Items {
		if i.Metered {
			return false
		}
	}
	return s.ListMRR.Known && s.ListMRR.Contract.IsZero()
}

func (b *builder) checkStatus(c change) bool {
	if statuses[c.now.Status] && (c.prev.Status == "" || statuses[c.prev.Status]) {
		return true
	}
	b.anomaly(anomalyStatus, "subscription", c.now.ID)
	return false
}

func subscriptionUpdated(b *builder, obj, prev node) {
	c := b.changeOf(obj, prev)
	if !b.checkStatus(c) {
		return
	}
	if c.prev.Status != c.now.Status {
		steps, possible := statusSteps[c.prev.Status][c.now.Status]
		if !possible {
			b.anomaly(anomalyTransition+":"+string(c.prev.Status)+">"+string(c.now.Status), "subscription", c.now.ID)
			return
		}
		for _, do := range steps {
			do(b, c)
		}
	}
	switch {
	case c.prev.Status.IsLive() && c.now.Status.IsLive():
		planChanged(b, c)
		discountChanged(b, c)
	case c.prev.Status == Trialing && c.now.Status == Trialing:
		trialChanged(b, c)
	}
	if c.now.Status.IsLive() || c.now.Status == Trialing {
		cancelChanged(b, c)
		collectionChanged(b, c)
	}
}

// planChanged compares what is subscribed, not whether previous_attributes names the
// items: since basil every renewal names them, because their period moves.
func planChanged(b *builder, c change) {
	from, to := c.prev.signature(), c.now.signature()
	comparable := c.prev.MRR.Known && c.now.MRR.Known && c.prev.Currency == c.now.Currency
	delta := c.now.MRR.Contract.Cmp(c.prev.MRR.Contract)
	if from == to && (!comparable || delta == 0) {
		return
	}
	kind := PlanChangeUnknown
	if comparable {
		kind = map[int]Kind{1: Upgrade, 0: PlanChangeNeutral, -1: Downgrade}[delta]
	} else {
		b.read("subscription", c.now.ID, "mrr_unknown")
	}
	f := c.fact(kind, changeKey(kind, c.now.ID, from, to, b.at))
	b.both(f, planSignal(c))
}

// planSignal shows the recurring amount of one billing interval when both sides share
// the interval, the monthly amount otherwise, and the seats when they moved.
func planSignal(c change) Signal {
	s := Signal{Currency: c.now.Currency}
	was, wasEvery, ok1 := c.prev.intervalTotal()
	is, isEvery, ok2 := c.now.intervalTotal()
	if !ok1 || !ok2 || wasEvery != isEvery {
		was, is = c.prev.MRR.Contract, c.now.MRR.Contract
	}
	s.FromAmount, s.ToAmount = wholeMinor(was), wholeMinor(is)
	if a, z := c.prev.seats(), c.now.seats(); a != z {
		s.FromQuantity, s.ToQuantity = ptr(a), ptr(z)
	}
	return s
}

func wholeMinor(d decimal.Decimal) *int64 {
	if v, ok := integer(d.RoundBank(0)); ok {
		return &v
	}
	return nil
}

func discountChanged(b *builder, c change) {
	if c.prev.MRR.NetKnown && c.now.MRR.NetKnown && c.prev.MRR.Contract.Equal(c.now.MRR.Contract) && !c.prev.MRR.Net.Equal(c.now.MRR.Net) {
		from, to := c.prev.MRR.Net.String(), c.now.MRR.Net.String()
		b.fact(c.fact(DiscountChanged, changeKey(DiscountChanged, c.now.ID, from, to, b.at)))
	}
}

func trialChanged(b *builder, c change) {
	if from, to := c.prev.signature(), c.now.signature(); from != to {
		b.fact(c.fact(PlanChangeNoMRR, changeKey(PlanChangeNoMRR, c.now.ID, from, to, b.at)))
	}
	if !c.prev.TrialEnd.Equal(c.now.TrialEnd) {
		b.fact(c.fact(TrialRescheduled, KeyOf(TrialRescheduled, c.now.ID, unix(c.prev.TrialEnd)+">"+unix(c.now.TrialEnd))))
	}
}

func cancelChanged(b *builder, c change) {
	was, is := c.prev.CancelScheduled(), c.now.CancelScheduled()
	switch {
	case is && !was:
		b.fact(scheduledCancel(c, b.at))
	case was && !is:
		at := firstTime(c.prev.CanceledAt, c.prev.CancelAt, b.at)
		b.fact(c.fact(CancelUnscheduled, KeyOf(CancelUnscheduled, c.now.ID, unix(at))))
	}
}

func scheduledCancel(c change, seen time.Time) Fact {
	kind := CancelScheduled
	if c.now.Status == Trialing {
		kind = TrialCancelScheduled
	}
	f := c.fact(kind, KeyOf(kind, c.now.ID, unix(firstTime(c.now.CanceledAt, c.now.CancelAt, seen))))
	f.EffectiveAt, f.Flags.Cause = c.now.CanceledAt, churnCause(c.now.CancellationReason)
	return f
}

func collectionChanged(b *builder, c change) {
	was, is := c.prev.CollectionPaused, c.now.CollectionPaused
	switch {
	case is != "" && was == "":
		f := c.fact(CollectionPaused, KeyOf(CollectionPaused, c.now.ID, unix(b.at)))
		f.Flags.Behavior = is
		b.fact(f)
	case was != "" && is == "":
		b.fact(c.fact(CollectionResumed, KeyOf(CollectionResumed, c.now.ID, unix(b.at))))
	}
}

func subscriptionDeleted(b *builder, obj, _ node) { ended(b, b.subscription(obj)) }

// ended books the end of a subscription from its final object. Whether it had paid
// before is for the projection, which knows the history.
func ended(b *builder, now SubscriptionState) {
	c := change{prev: now, now: now}
	c.now.MRR = noMRR(now.Currency)
	end := firstTime(now.EndedAt, now.CanceledAt, b.at)
	if now.Status == IncompleteExpired {
		activationFailed(b, c)
		return
	}
	if now.TrialEnd.IsZero() || end.After(now.TrialEnd.Add(trialSlack)) {
		c.prev.MRR = now.ListMRR
		churned(b, c)
		return
	}
	c.prev.MRR = c.now.MRR
	if !end.Before(now.TrialEnd.Add(-trialSlack)) {
		trialExpired(b, c)
		return
	}
	f := c.fact(TrialCancelled, KeyOf(TrialCancelled, now.ID, unix(end)))
	f.EffectiveAt, f.Flags.Cause = end, churnCause(now.CancellationReason)
	b.both(f, Signal{})
}

// subscriptionPaused is the twin of an update to status paused, which Stripe reaches
// when a trial ends without a payment method.
func subscriptionPaused(b *builder, obj, _ node) {
	c := b.start(obj)
	if !c.now.TrialEnd.IsZero() {
		c.prev.Status = Trialing
		trialExpired(b, c)
	}
	paused(b, c)
}

// subscriptionResumed is the twin of an update from paused.
func subscriptionResumed(b *builder, obj, _ node) {
	c := b.start(obj)
	c.prev.Status = Paused
	for _, do := range statusSteps[Paused][c.now.Status] {
		do(b, c)
	}
}

func subscriptionTrialWillEnd(b *builder, obj, _ node) {
	c := b.start(obj)
	b.both(c.fact(TrialWillEnd, KeyOf(TrialWillEnd, c.now.ID, unix(c.now.TrialEnd))), Signal{})
}
