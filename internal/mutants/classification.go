package mutants

// classification are the mutants of what a payload means.
var classification = []Mutant{
	{
		Bug: 4, Name: "every currency has two decimals", File: "domain/money/currency.go",
		Old: "\"jpy\": 0,", New: "\"jpy\": 2,",
		Test: "domain/money:TestCurrencyTable",
	},
	{
		Bug: 5, Name: "amounts in yen are multiplied by 100", File: "domain/reward/invoice.go",
		Old: "f.Amount, f.Currency, f.EffectiveAt = ptr(net), currency, i.paidAt", New: "if currency == \"jpy\" {\n		net *= 100\n	}\n	f.Amount, f.Currency, f.EffectiveAt = ptr(net), currency, i.paidAt",
		Test: "domain/reward:TestBug05AmountsAreMinorUnitsInEveryCurrency",
	},
	{
		Bug: 15, Name: "a fact is named after its event", File: "domain/reward/classify.go",
		Old: "	f.IsReward = f.Kind.IsReward()\n", New: "	f.IsReward = f.Kind.IsReward()\n	f.Key += \":\" + b.out.Envelope.ID\n",
		Test: "domain/reward:TestBug15TwoEventObjectsForOneChange",
	},
	{
		Bug: 17, Name: "a request is an object", File: "domain/reward/envelope.go",
		Old: "RequestID: h.request.id(),", New: "RequestID: h.request.node().str(\"id\"),",
		Test: "domain/reward:TestBug17RequestAsString",
	},
	{
		Bug: 18, Name: "an invoice names its subscription at the top", File: "domain/reward/invoice.go",
		Old: "Subscription: firstText(n.id(\"subscription\"), details.id(\"subscription\")),", New: "Subscription: firstText(n.id(\"subscription\"), details.id(\"none\")),",
		Test: "domain/reward:TestEveryVersionTellsTheSameFacts",
	},
	{
		Bug: 18, Name: "an invoice says that it is paid with a flag", File: "domain/reward/invoice.go",
		Old: "i.paid = n.str(\"status\") == \"paid\" || (!n.isSet(\"status\") && n.truth(\"paid\"))", New: "i.paid = n.truth(\"paid\")",
		Test: "domain/reward:TestEveryVersionTellsTheSameFacts",
	},
	{
		Bug: 18, Name: "taxes are listed as they were before basil", File: "domain/reward/invoice.go",
		Old: "[]string{\"total_taxes\", \"total_tax_amounts\"}", New: "[]string{\"total_tax_amounts\"}",
		Test: "domain/reward:TestEveryVersionTellsTheSameFacts",
	},
	{
		Bug: 19, Name: "an end is scheduled by the flag alone", File: "domain/reward/state.go",
		Old: "return s.CancelAtPeriodEnd || !s.CancelAt.IsZero()", New: "return s.CancelAtPeriodEnd",
		Test: "domain/reward:TestBug19CancelByDateOnlyIsSeen",
	},
	{
		Bug: 20, Name: "a paid invoice is a payment, whatever was paid", File: "domain/reward/invoice.go",
		Old: "	case i.cash <= 0 && i.outOfBand <= 0:\n", New: "	case i.cash <= 0 && i.outOfBand <= 0 && i.paid:\n		b.both(i.revenue(RevenueConfirmation, RevenueConfirmation, 0, i.Currency))\n		return\n	case i.cash <= 0 && i.outOfBand <= 0:\n",
		Test: "domain/reward:TestBug20TheFreeInvoiceOfATrialIsNoPayment",
	},
	{
		Bug: 21, Name: "only one of the two events of a payment is read", File: "domain/reward/classify.go",
		Old: "	\"invoice.payment_succeeded\":       invoicePaid,\n", New: "",
		Test: "domain/reward:TestBug21EitherPaymentEventSuffices",
	},
	{
		Bug: 21, Name: "each of the two events of a payment is a payment", File: "domain/reward/invoice.go",
		Old: "	currency, ok := b.currency(obj, \"invoice\")\n", New: "	i.ID += b.out.Envelope.Type\n	currency, ok := b.currency(obj, \"invoice\")\n",
		Test: "domain/reward:TestBug21EitherPaymentEventSuffices",
	},
	{
		Bug: 22, Name: "an invoice wants a subscription", File: "domain/reward/invoice.go",
		Old: "case b.cfg.SubscriptionOnly && i.Subscription == \"\":", New: "case i.Subscription == \"\":",
		Test: "domain/reward:TestBug22InvoiceWithoutSubscription",
	},
	{
		Bug: 31, Name: "revenue is what the lines' prices say", File: "domain/reward/invoice.go",
		Old: "	off, _ := n.num(\"amount_paid_off_stripe\")\n", New: "	for _, line := range n.list(\"lines\") {\n		paid, _ = line.obj(\"price\").num(\"unit_amount\")\n	}\n	off, _ := n.num(\"amount_paid_off_stripe\")\n",
		Test: "domain/reward:TestBug31RevenueComesFromTheInvoice",
	},
	{
		Bug: 32, Name: "a pending refund is one", File: "domain/reward/refund.go",
		Old: "case \"succeeded\", \"\":", New: "case \"succeeded\", \"pending\", \"\":",
		Test: "domain/reward:TestBug32RefundsThatSettleOrFailLater",
	},
	{
		Bug: 32, Name: "a refund that failed later stays one", File: "domain/reward/refund.go",
		Old: "			f.EffectiveAt = obj.obj(\"failure_balance_transaction\").when(\"created\")\n			b.fact(f)\n", New: "",
		Test: "domain/reward:TestBug32RefundsThatSettleOrFailLater",
	},
	{
		Bug: 33, Name: "a lost dispute relies on its announcement", File: "domain/reward/dispute.go",
		Old: "{Dispute, DisputeLost},", New: "{DisputeLost},",
		Test: "domain/reward:TestBug33DisputesInAnyOrderWithALateWin",
	},
	{
		Bug: 33, Name: "a dispute that was lost cannot be won", File: "domain/reward/dispute.go",
		Old: "\"won\":             {Dispute, DisputeWon},", New: "\"won\":             {Dispute},",
		Test: "domain/reward:TestBug33DisputesInAnyOrderWithALateWin",
	},
	{
		Bug: 35, Name: "an update that names the items is a plan change", File: "domain/reward/subscription.go",
		Old: "		planChanged(b, c)\n", New: "		planChanged(b, c)\n		if prev.isSet(\"items\") && len(b.out.Facts) == 0 {\n			b.fact(c.fact(PlanChangeNeutral, changeKey(PlanChangeNeutral, c.now.ID, \"\", \"\", b.at)))\n		}\n",
		Test: "domain/reward:TestBug35ARenewalIsNoPlanChange",
	},
}
