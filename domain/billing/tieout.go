package billing

import "strconv"

// TieOut is what a cycle was compared in after it had ended: with its invoice at Stripe, or,
// where nothing was written, with what Stripe says of the revenue.
type TieOut struct {
	Kind   TieOutKind
	Checks []TieOutCheck
}

// TieOutKind is what a cycle was compared with.
type TieOutKind string

// The kinds.
const (
	// TieInvoice: the finalized invoice, its lines, status and metadata.
	TieInvoice TieOutKind = "invoice"
	// TieUnwritten: nothing was written; the revenue of the ledger against Stripe's lists.
	TieUnwritten TieOutKind = "unwritten"
)

// TieOutCheck is one figure on both sides.
type TieOutCheck struct {
	What   string `json:"what"`
	Ours   string `json:"ours"`
	Theirs string `json:"theirs"`
	Equal  bool   `json:"equal"`
}

// Add compares two texts.
func (t *TieOut) Add(what, ours, theirs string) {
	t.Checks = append(t.Checks, TieOutCheck{what, ours, theirs, ours == theirs})
}

// AddMinor compares two amounts in minor units.
func (t *TieOut) AddMinor(what string, ours, theirs int64) {
	t.Add(what, strconv.FormatInt(ours, 10), strconv.FormatInt(theirs, 10))
}

// Breaks counts the figures that differ.
func (t TieOut) Breaks() int {
	n := 0
	for _, c := range t.Checks {
		if !c.Equal {
			n++
		}
	}
	return n
}
