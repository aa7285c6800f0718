package reward

// step is what one status change does.
type step func(b *builder, c change)

// statusSteps is the decision table of status changes: previous status, then
// present status. A pair that is missing cannot happen at Stripe and is an anomaly.
var statusSteps = map[Status]map[Status][]step{
	Incomplete: {
		IncompleteExpired: {activationFailed},
		Trialing:          {trialStarted},
		Active:            {converted},
		PastDue:           {converted},
		Canceled:          {activationFailed},
	},
	Trialing: {
		Active:  {trialExpired, converted},
		PastDue: {trialExpired, firstPaymentFailed},
		Unpaid:  {trialExpired, firstPaymentFailed},
		Paused:  {trialExpired, paused},
	},
	Active: {
		Trialing: {trialReentered},
		PastDue:  {paymentFailed},
		Unpaid:   {churnedUnpaid},
		Paused:   {paused},
		Canceled: {churned},
	},
	PastDue: {
		Trialing: {trialReentered},
		Active:   {paymentRecovered},
		Unpaid:   {churnedUnpaid},
		Paused:   {paused},
		Canceled: {churned},
	},
	Unpaid: {
		Trialing: {trialReentered},
		Active:   {reactivated},
		PastDue:  {reactivated},
		Canceled: {churnFinalised},
	},
	Paused: {
		Trialing: {trialStarted},
		Active:   {resumed, converted},
		PastDue:  {resumed},
		Canceled: {churnFinalised},
	},
}

func (c change) fact(kind Kind, key string) Fact {
	return Fact{
		Key: key, Kind: kind, ObjectID: c.now.ID, Customer: c.now.Customer, Subscription: c.now.ID,
		Currency: c.now.Currency, MRRBefore: c.prev.MRR.text(), MRRAfter: c.now.MRR.text(),
	}
}

func trialStarted(b *builder, c change) { startTrial(b, c, false) }

// trialReentered is a subscription that paid before and went back into a trial.
func trialReentered(b *builder, c change) { startTrial(b, c, true) }

func startTrial(b *builder, c change, again bool) {
	start := firstTime(c.now.TrialStart, c.now.StartDate)
	f := c.fact(TrialStart, KeyOf(TrialStart, c.now.ID, unix(start)))
	f.EffectiveAt, f.Flags.Reentry = start, again
	b.both(f, Signal{})
}

func trialExpired(b *builder, c change) {
	end := firstTime(c.now.TrialEnd, c.prev.TrialEnd)
	f := c.fact(TrialExpired, KeyOf(TrialExpired, c.now.ID, unix(end)))
	f.EffectiveAt = end
	b.both(f, Signal{})
}

// converted books the one conversion of a subscription. It stays unconfirmed until
// money arrives, and its key makes a second way of getting there harmless.
func converted(b *builder, c change) {
	f := c.fact(Conversion, ConversionKey(c.now))
	f.EffectiveAt = firstTime(c.now.TrialEnd, c.now.StartDate)
	// A trial that was paused converts when it resumes, at the start of its first period.
	if c.prev.Status == Paused && c.now.PeriodStart.After(f.EffectiveAt) {
		f.EffectiveAt = c.now.PeriodStart
	}
	f.Flags.Unconfirmed, f.Flags.Free = true, c.now.isFree()
	b.both(f, Signal{})
}

func activationFailed(b *builder, c change) {
	f := c.fact(ActivationFailed, KeyOf(ActivationFailed, c.now.ID))
	f.EffectiveAt = c.now.EndedAt
	b.fact(f)
}

// paymentFailed is the twin of invoice.payment_failed and says exactly what it says:
// one failure, not two, whichever comes first.
func paymentFailed(b *builder, c change) { failPayment(b, c, false) }

func firstPaymentFailed(b *builder, c change) { failPayment(b, c, true) }

func failPayment(b *builder, c change, atTrialEnd bool) {
	if c.now.LatestInvoice == "" {
		// Without the invoice the twin cannot be recognised, so this stays a state fact.
		b.fact(c.fact(PaymentAtRisk, KeyOf(PaymentAtRisk, c.now.ID, periodOccasion(c.now, b.at))))
		return
	}
	f := failure(c.now.LatestInvoice, c.now.Customer, c.now.ID, c.now.Currency)
	f.EffectiveAt, f.Flags.AtTrialEnd = c.now.PeriodStart, atTrialEnd
	b.both(f, Signal{})
}

// failure is the failed payment of an invoice. It books no amount, because it moves no
// money, and takes effect when the payment fell due: the one moment that the invoice
// (its period's end) and the subscription (its period's start) both state.
func failure(invoice, customer, subscription, currency string) Fact {
	return Fact{
		Key: KeyOf(PaymentFailed, invoice), Kind: PaymentFailed, ObjectID: invoice, Invoice: invoice,
		Customer: customer, Subscription: subscription, Currency: currency,
	}
}

func paymentRecovered(b *builder, c change) {
	f := c.fact(PaymentRecovered, KeyOf(PaymentRecovered, c.now.ID, occasion(c.now, b.at)))
	f.Invoice = c.now.LatestInvoice
	b.both(f, Signal{})
}

func reactivated(b *builder, c change) {
	f := c.fact(Reactivation, KeyOf(Reactivation, c.now.ID, occasion(c.now, b.at)))
	f.Invoice = c.now.LatestInvoice
	b.both(f, Signal{})
}

func churnedUnpaid(b *builder, c change) {
	f := c.fact(Churn, KeyOf(Churn, c.now.ID, "unpaid", occasion(c.now, b.at)))
	f.Flags.NotFinal, f.Flags.Cause = true, causeInvoluntary
	b.both(f, Signal{})
}

func churned(b *builder, c change) {
	end := firstTime(c.now.EndedAt, c.now.CanceledAt)
	f := c.fact(Churn, KeyOf(Churn, c.now.ID, unix(firstTime(end, b.at))))
	f.EffectiveAt, f.Flags.Cause = end, churnCause(c.now.CancellationReason)
	b.both(f, Signal{})
}

func churnFinalised(b *builder, c change) {
	end := firstTime(c.now.EndedAt, c.now.CanceledAt)
	f := c.fact(ChurnFinalised, KeyOf(ChurnFinalised, c.now.ID))
	f.EffectiveAt, f.Flags.Cause = end, churnCause(c.now.CancellationReason)
	b.fact(f)
}

func paused(b *builder, c change) {
	f := c.fact(Pause, KeyOf(Pause, c.now.ID, periodOccasion(c.now, b.at)))
	f.Flags.NoPaymentMethod = c.prev.Status == Trialing
	b.fact(f)
}

func resumed(b *builder, c change) {
	b.fact(c.fact(Resume, KeyOf(Resume, c.now.ID, periodOccasion(c.now, b.at))))
}

// The causes of churn.
const (
	causeVoluntary   = "voluntary"
	causeInvoluntary = "involuntary"
	causeUnknown     = "unknown"
)

func churnCause(reason string) string {
	switch reason {
	case "cancellation_requested":
		return causeVoluntary
	case "payment_failed", "payment_disputed", "canceled_by_retention_policy":
		return causeInvoluntary
	default:
		return causeUnknown
	}
}
