package audit

// Nothing demands of a month that was taken back for good that nothing of it bills, and that
// no draft of it is left.
func Nothing(order Order, ev Evidence) []Finding {
	a := read(order, ev)
	a.common()
	for id, in := range a.invoices {
		switch {
		case in.Status == "draft":
			a.say(DraftLeft, "draft %s", id)
		case a.counts(in):
			a.say(Strange, "invoice %s bills what was taken back", id)
		}
	}
	return a.sorted()
}
