package reward

// creditNoteChanged books only what a credit note itself gave back: money returned
// outside Stripe. Its refund is the refund object's, its balance credit lowers later
// invoices, and a note on an unpaid invoice lowers what is due.
func creditNoteChanged(b *builder, obj, _ node) {
	amount, _ := obj.num("out_of_band_amount")
	if amount <= 0 || obj.obj("metadata").str("lb_adj") != "" {
		b.ignore(ignoredNoEffect)
		return
	}
	currency, ok := b.currency(obj, "credit_note")
	if !ok {
		return
	}
	id := obj.own()
	f := Fact{
		Kind: Refund, Key: KeyOf(Refund, id), ObjectID: id, Invoice: obj.id("invoice"), Customer: obj.id("customer"),
		Currency: currency, Amount: ptr(-amount), EffectiveAt: obj.when("created"),
		Flags: Flags{Gross: true, OutOfBand: true},
	}
	b.fact(f)
	if obj.str("status") != "void" {
		if b.out.Envelope.Type == "credit_note.created" {
			b.signal(Signal{Kind: Refund, Amount: ptr(amount), Currency: currency, Customer: f.Customer})
		}
		return
	}
	f.Key, f.Amount, f.EffectiveAt, f.Flags.Undo = undoKey(Refund, id), ptr(amount), obj.when("voided_at"), true
	b.fact(f)
}
