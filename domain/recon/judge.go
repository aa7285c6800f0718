package recon

import "time"

// Judge says what is wrong with a pair. A pair has one cause, the first that applies:
// what explains the whole difference comes before what explains a part of it.
func (w Window) Judge(p Pair) []Finding {
	switch p.Kind {
	case Payment:
		return w.payment(p)
	case Refund, Dispute:
		return w.reversal(p)
	case Subscription:
		return w.subscription(p)
	}
	return nil
}

// Sums is what the pair adds to both sides of its line: ours and theirs, each in its
// own currency.
func (w Window) Sums(p Pair) (left, right Side) {
	left, right = Side{Source: "ledger", ID: p.ID}, Side{Source: "stripe", ID: p.ID}
	if o := p.Ours; o != nil && (p.Kind == Payment || p.Theirs == nil || !p.Theirs.Own) {
		left.AmountMinor, left.Currency, left.CountedMinor = ptr(o.AmountMinor), o.Currency, o.CountedMinor
	}
	t := p.Theirs
	if t == nil || t.Own {
		return left, right
	}
	right.AmountMinor, right.Currency, right.CountedMinor = ptr(t.total()), t.Currency, w.counted(p)
	return left, right
}

// total is all that the object moved, with its sign in the ledger.
func (o *Object) total() int64 {
	switch {
	case o.Kind == Payment:
		return o.NetMinor
	case o.TakenBack:
		return 0
	}
	return -o.NetMinor
}

// counted is what of Stripe's money lies in the period. A return of which Stripe does
// not say when it happened is taken to have happened when we booked it.
func (w Window) counted(p Pair) int64 {
	t := p.Theirs
	if t.Kind == Payment {
		if w.Period.Contains(t.At) {
			return t.NetMinor
		}
		return 0
	}
	if t.TakenBack && t.UndoneAt.IsZero() && (p.Ours == nil || p.Ours.UndoneAt.IsZero()) {
		return 0
	}
	var sum int64
	if w.Period.Contains(t.At) {
		sum -= t.NetMinor
	}
	if t.TakenBack {
		at := t.UndoneAt
		if at.IsZero() {
			at = p.Ours.UndoneAt
		}
		if w.Period.Contains(at) {
			sum += t.NetMinor
		}
	}
	return sum
}

// payment judges an invoice that was paid: invariants I1, I2, I4, I7 and I8.
func (w Window) payment(p Pair) []Finding {
	o, t := p.Ours, p.Theirs
	left, right := w.Sums(p)
	f := Finding{Subject: p.ID, Line: Revenue, Left: left, Right: right, Target: Target{w.ConnectionID, "invoice", p.ID}}
	f.Currency, f.AmountMinor = left.Currency, abs(left.CountedMinor-right.CountedMinor)
	if o != nil {
		f.CustomerID = o.CustomerID
	} else if t != nil {
		f.CustomerID, f.Currency = t.CustomerID, t.Currency
	}
	as := func(typ Type, detail string) []Finding {
		f.Type, f.Detail = typ, detail
		return []Finding{f}
	}
	switch {
	case t != nil && t.Livemode != w.Live && (o != nil || w.Period.Contains(t.At)):
		return as(ModeLeak, "the invoice belongs to the other mode")
	case t != nil && t.Own:
		if o == nil || o.CountedMinor == 0 {
			return nil
		}
		return as(SelfRevenue, "the invoice carries our key")
	case o != nil && o.Facts > 1 && o.CountedMinor != 0:
		return as(DuplicateReward, "the invoice has more than one confirmation")
	case t == nil:
		if o == nil || o.CountedMinor == 0 {
			return nil
		}
		return as(MissingInStripe, "Stripe lists no paid invoice of this ID")
	case o == nil:
		return w.unbooked(f, t)
	case left.CountedMinor == 0 && right.CountedMinor == 0:
		return nil
	}
	return w.compared(f, o, t)
}

// unbooked is a paid invoice that the ledger does not know.
func (w Window) unbooked(f Finding, t *Object) []Finding {
	switch {
	case !w.Period.Contains(t.At):
		return nil
	case t.NetMinor != 0:
		f.Type, f.Detail = MissingInLedger, "the payment was not booked"
	case t.OutOfBandMinor != 0:
		f.Type, f.AmountMinor, f.Detail = OutOfBand, t.OutOfBandMinor, "the invoice was marked as paid outside Stripe"
		f.Right.AmountMinor = ptr(t.OutOfBandMinor)
	default:
		return nil
	}
	return []Finding{f}
}

// compared is an invoice that both sides know and that counts on one of them at least.
func (w Window) compared(f Finding, o *Booked, t *Object) []Finding {
	switch {
	case o.Currency != t.Currency:
		f.Type, f.AmountMinor, f.Detail = CurrencyDiffers, max(abs(f.Left.CountedMinor), abs(f.Right.CountedMinor)), "booked in "+o.Currency+", paid in "+t.Currency
	case o.AmountMinor == t.NetMinor && f.Left.CountedMinor != f.Right.CountedMinor:
		f.Type, f.Detail, f.Apart = Timing, "booked at "+stamp(o.At)+", paid at "+stamp(t.At), o.At.Sub(t.At).Abs()
	case o.AmountMinor != t.NetMinor && (o.AmountMinor == t.CashMinor || abs(o.AmountMinor-t.NetMinor) == t.TaxMinor):
		f.Type, f.Detail = TaxDiffers, "the difference is the tax of the invoice"
	case o.AmountMinor != t.NetMinor:
		f.Type, f.Detail = AmountDiffers, "the amounts without tax differ"
	case !t.Balanced:
		f.Type, f.Subject, f.Detail = AmountDiffers, f.Subject+"/sum", "the invoice's own figures do not sum"
	default:
		return nil
	}
	return []Finding{f}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// reversal judges a refund or a dispute: invariant I3.
func (w Window) reversal(p Pair) []Finding {
	o, t := p.Ours, p.Theirs
	if t != nil && t.Own {
		return nil
	}
	line := Refunds
	if p.Kind == Dispute {
		line = Disputes
	}
	left, right := w.Sums(p)
	f := Finding{Subject: p.ID, Line: line, Left: left, Right: right, Currency: left.Currency, AmountMinor: abs(left.CountedMinor - right.CountedMinor)}
	if t != nil {
		f.Currency, f.CustomerID = t.Currency, t.CustomerID
		f.Target = Target{w.ConnectionID, "charge", t.ChargeID}
	}
	switch {
	case left.CountedMinor == right.CountedMinor && left.Currency == right.Currency:
		return nil
	case left.CountedMinor == 0 && right.CountedMinor == 0:
		return nil
	case t == nil:
		f.Type, f.Detail = MissingInStripe, "Stripe does not list it"
	case o == nil:
		f.Type, f.Detail = ReversalNotApplied, "the money went back and was not booked"
	case t.Livemode != w.Live:
		f.Type, f.Detail = ModeLeak, "it belongs to the other mode"
	case o.Currency != t.Currency:
		f.Type, f.Detail = CurrencyDiffers, "booked in "+o.Currency+", returned in "+t.Currency
	case o.AmountMinor == t.total():
		f.Type, f.Detail, f.Apart = Timing, "both sides agree on the amount and not on the period", o.At.Sub(t.At).Abs()
	case o.AmountMinor > t.total():
		f.Type, f.Detail = ReversalNotApplied, "more went back than was booked"
	default:
		f.Type, f.Detail = AmountDiffers, "less went back than was booked"
	}
	return []Finding{f}
}

// subscription compares states: invariant I10.
func (w Window) subscription(p Pair) []Finding {
	f := Finding{
		Type: StateMismatch, Subject: p.ID, Left: Side{Source: "projection", ID: p.ID}, Right: Side{Source: "stripe", ID: p.ID},
		Target: Target{w.ConnectionID, "subscription", p.ID},
	}
	ours, theirs := "unknown", "unknown"
	if p.Ours != nil {
		ours, f.CustomerID = p.Ours.Status, p.Ours.CustomerID
	}
	if p.Theirs != nil {
		theirs, f.CustomerID = p.Theirs.Status, p.Theirs.CustomerID
	}
	if ours == theirs {
		return nil
	}
	f.Left.Source, f.Right.Source = "projection: "+ours, "stripe: "+theirs
	f.Detail = "the subscription is " + theirs + " at Stripe and " + ours + " here"
	return []Finding{f}
}
