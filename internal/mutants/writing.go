package mutants

// writing are the mutants of what is sent to Stripe.
var writing = []Mutant{
	{
		Bug: 1, Name: "requests carry no key", File: "adapters/stripeapi/session.go",
		Old: "		common.IdempotencyKey = stripe.String(r.key)\n", New: "",
		Test: "adapters/stripeapi:TestWriteBackSequence",
	},
	{
		Bug: 1, Name: "what is there is not looked at before a create", File: "adapters/stripeapi/writer.go",
		Old: "			out = append(out, inv)\n", New: "			_ = inv\n",
		Test: "app/invoicing:TestBug01ALostAnswerMakesNoSecondInvoice",
	},
	{
		Bug: 2, Name: "lines that are there are added again", File: "app/invoicing/writeback.go",
		Old: "		have[it.Metadata[\"lb_line\"]] = true\n", New: "		have[it.Metadata[\"lb_line\"]] = false\n",
		Test: "app/invoicing:TestBug02ACrashBetweenLinesDoublesNone",
	},
	{
		Bug: 4, Name: "a draft that is there is not adopted", File: "app/invoicing/writeback.go",
		Old: "	if found == \"\" {\n", New: "	if true {\n",
		Test: "app/invoicing:TestBug04AFailedWriteOfOursMakesNoSecondInvoice",
	},
	{
		Bug: 4, Name: "a draft advances by itself", File: "adapters/stripeapi/writer.go",
		Old: "		AutoAdvance:                 stripe.Bool(false),\n", New: "		AutoAdvance:                 stripe.Bool(true),\n",
		Test: "adapters/stripeapi:TestWriteBackParameters",
	},
	{
		Bug: 6, Name: "the payer's coupon is inherited", File: "adapters/stripeapi/writer.go",
		Old: "		Discounts: []*stripe.InvoiceDiscountParams{},\n", New: "",
		Test: "app/invoicing:TestCustomersCouponIsNotTaken",
	},
	{
		Bug: 7, Name: "a draft is deleted, its items are not", File: "adapters/stripeapi/writer.go",
		Old: "	return w.remove(ctx, \"invoiceitem.delete\", itemsPath, itemID)\n", New: "	return ctx.Err()\n",
		Test: "app/invoicing:TestBug07NoItemOfADeletedDraftIsBilled",
	},
	{
		Bug: 8, Name: "an invoice names a subscription", File: "adapters/stripeapi/writer.go",
		Old: "PendingInvoiceItemsBehavior: stripe.String(\"exclude\"),", New: "PendingInvoiceItemsBehavior: stripe.String(\"exclude\"),\n		Subscription: stripe.String(\"sub_1\"),",
		Test: "adapters/stripeapi:TestWriteBackParameters",
	},
	{
		Bug: 9, Name: "pending items are taken in", File: "adapters/stripeapi/writer.go",
		Old: "PendingInvoiceItemsBehavior: stripe.String(\"exclude\"),", New: "PendingInvoiceItemsBehavior: stripe.String(\"include\"),",
		Test: "app/invoicing:TestBug09PendingItemsOfOthersStay",
	},
	{
		Bug: 9, Name: "a line hangs on no invoice", File: "adapters/stripeapi/writer.go",
		Old: "			Invoice:      stripe.String(invoiceID),\n", New: "",
		Test: "adapters/stripeapi:TestWriteBackParameters",
	},
	{
		Bug: 10, Name: "the transport lets a search through", File: "adapters/stripeapi/transport.go",
		Old: "if searches(req) {", New: "if false {",
		Test: "adapters/stripeapi:TestBug10NothingIsSearchedFor",
	},
	{
		Bug: 28, Name: "a key whose answer is a stored failure is used again", File: "adapters/stripeapi/writer.go",
		Old: "|| !replayedAnswer(err) || n > persistLimit {", New: "|| !replayedAnswer(err) || n > 0 {",
		Test: "adapters/stripeapi:TestStoredFailureDoesNotWedge",
	},
	{
		Bug: 29, Name: "a key contains the time", File: "adapters/stripeapi/session.go",
		Old: "common.IdempotencyKey = stripe.String(r.key)", New: "common.IdempotencyKey = stripe.String(r.key + time.Now().String())",
		Test: "adapters/stripeapi:TestRetrySendsTheSameBytes",
	},
	{
		Bug: 30, Name: "case IDs are cut where the value ends", File: "domain/billing/plan.go",
		Old: "		case len(cur)+1+len(id) > limit:\n			out = append(out, cur)\n			cur = id\n", New: "		case len(cur)+1+len(id) > limit:\n			out = append(out, (cur + \",\" + id)[:limit])\n			cur = \"\"\n",
		Test: "domain/billing:TestMetadataChunks",
	},
	{
		Bug: 30, Name: "metadata is longer than Stripe takes", File: "domain/billing/plan.go",
		Old: "chunks := chunk(cases, maxMetadataValue)", New: "chunks := chunk(cases, 2*maxMetadataValue)",
		Test: "domain/billing:TestMetadataChunks",
	},
	{
		Bug: 36, Name: "the transport does not look for a key", File: "adapters/stripeapi/transport.go",
		Old: "if !strings.HasPrefix(req.Header.Get(\"Idempotency-Key\"), keyPrefix) {", New: "if false {",
		Test: "adapters/stripeapi:TestWritesNeedADerivedKey",
	},
	{
		Bug: 36, Name: "a request without parameters is sent with nil", File: "adapters/stripeapi/session.go",
		Old: "	values := &form.Values{}\n", New: "	if r.params == nil {\n		common = nil\n	}\n	values := &form.Values{}\n",
		Test: "adapters/stripeapi:TestEveryPostNeedsAKey",
	},
}
