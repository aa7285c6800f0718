package recon

import (
	"fmt"
	"slices"
	"time"
)

// OrphanAge is how old a draft with our key may be before it is an orphan: a write-back
// that is under way has one for minutes.
const OrphanAge = 24 * time.Hour

// PlanLine is a line as it must stand on the invoice.
type PlanLine struct {
	Line        string
	AmountMinor int64
}

// Intent is what the ledger says of the invoice of a cycle.
type Intent struct {
	CycleID string
	// Key is the value of lb_key, PlanHash that of lb_plan_sha256.
	Key          string
	PlanHash     string
	Period       string
	InvoiceID    string
	ConnectionID string
	Customer     string
	Currency     string
	TotalMinor   int64
	// Written: the ledger holds the invoice as finalized.
	Written bool
	Lines   []PlanLine
}

// IssuedLine is a line of an invoice at Stripe.
type IssuedLine struct {
	ID          string
	AmountMinor int64
	Key         string // lb_key
	Line        string // lb_line
}

// Issued is an invoice of the payer at the issuer.
type Issued struct {
	ID       string
	Status   string
	Livemode bool
	Currency string
	// NetMinor is the total without tax, TaxMinor what was added to it.
	NetMinor, TaxMinor, TotalMinor int64
	Created                        time.Time
	Key, PlanHash, Period          string // from its metadata
	Lines                          []IssuedLine
}

// PendingItem is an item of the payer that hangs on no invoice.
type PendingItem struct {
	ID          string
	AmountMinor int64
	Currency    string
	Key         string
}

// counts reports whether the payer owes, or has paid, the invoice.
func (i Issued) counts() bool { return i.Status != "draft" && i.Status != "void" && i.Status != "" }

// JudgeIntent compares an intent with what the payer has at Stripe: invariants I5, I6
// and I7. issued are the payer's invoices that carry our key, and the pinned one whatever
// it carries; pending are the payer's pending items. The differences of the findings sum
// to what the intent's total differs from that of all invoices of ours that count.
func JudgeIntent(in Intent, issued []Issued, pending []PendingItem, live bool, at time.Time) []Finding {
	var out []Finding
	var pinned *Issued
	for i := range issued {
		inv := &issued[i]
		switch {
		case inv.ID == in.InvoiceID && inv.ID != "":
			pinned = inv
		case inv.Key != in.Key:
		case inv.counts():
			f := in.finding(DuplicateInvoice, inv.ID, "another invoice carries the key of this cycle")
			if !in.Written {
				f.Type, f.Detail = MissingInLedger, "the invoice counts at Stripe and the ledger does not know it as finalized"
			}
			f.Right = Side{Source: "stripe", ID: inv.ID, AmountMinor: ptr(inv.NetMinor), Currency: inv.Currency, CountedMinor: inv.NetMinor}
			f.Left = Side{Source: "plan", Currency: in.Currency}
			f.AmountMinor, f.Currency = inv.NetMinor, inv.Currency
			out = append(out, f)
		case inv.Status == "draft" && !at.Before(inv.Created.Add(OrphanAge)):
			f := in.finding(OrphanDraft, inv.ID, "a draft carries the key of this cycle and nobody will finalize it")
			f.Right = Side{Source: "stripe", ID: inv.ID, AmountMinor: ptr(inv.NetMinor), Currency: inv.Currency}
			f.Line, f.AmountMinor = NoLine, abs(inv.NetMinor)
			out = append(out, f)
		}
	}
	for _, it := range pending {
		if it.Key != in.Key {
			continue
		}
		f := in.finding(OrphanPendingItem, it.ID, "an item of this cycle waits for the payer's next invoice")
		f.Right = Side{Source: "stripe", ID: it.ID, AmountMinor: ptr(it.AmountMinor), Currency: it.Currency}
		f.Line, f.AmountMinor, f.Currency = NoLine, abs(it.AmountMinor), it.Currency
		out = append(out, f)
	}
	if !in.Written {
		return out
	}
	return append(out, in.pinned(pinned, live)...)
}

// finding begins a finding about the intent's invoice.
func (in Intent) finding(t Type, subject, detail string) Finding {
	return Finding{
		Type: t, Subject: subject, Line: Invoice, Currency: in.Currency, CustomerID: in.Customer, Detail: detail,
		Left: Side{Source: "plan", ID: in.CycleID, Currency: in.Currency}, Right: Side{Source: "stripe", ID: in.InvoiceID, Currency: in.Currency},
		Target: Target{ConnectionID: in.ConnectionID, Object: "cycle", ID: in.CycleID},
	}
}

// pinned compares the one invoice that the ledger rests on.
func (in Intent) pinned(inv *Issued, live bool) []Finding {
	whole := func(t Type, detail string) []Finding {
		f := in.finding(t, "invoice", detail)
		f.Left.AmountMinor, f.Left.CountedMinor, f.AmountMinor = ptr(in.TotalMinor), in.TotalMinor, in.TotalMinor
		return []Finding{f}
	}
	switch {
	case inv == nil:
		return whole(MissingInStripe, "Stripe does not have invoice "+in.InvoiceID)
	case inv.Livemode != live:
		f := whole(ModeLeak, "the invoice belongs to the other mode")
		f[0].Right.AmountMinor, f[0].Right.CountedMinor, f[0].Right.Currency = ptr(inv.NetMinor), inv.NetMinor, inv.Currency
		f[0].AmountMinor = abs(in.TotalMinor - inv.NetMinor)
		return f
	case !inv.counts():
		return whole(StateMismatch, "the ledger has the invoice as finalized, Stripe as "+inv.Status)
	case inv.Currency != in.Currency:
		f := whole(CurrencyDiffers, "planned in "+in.Currency+", issued in "+inv.Currency)
		f[0].Right.AmountMinor, f[0].Right.CountedMinor, f[0].Right.Currency = ptr(inv.NetMinor), inv.NetMinor, inv.Currency
		return f
	}
	out := in.lines(inv)
	if inv.Key != in.Key || inv.PlanHash != in.PlanHash || inv.Period != in.Period {
		f := in.finding(MetadataAltered, "metadata", "lb_key, lb_plan_sha256 or lb_cycle is not what was written")
		f.Line = NoLine
		out = append(out, f)
	}
	return out
}

// lines compares the invoice's lines with the plan's, and what is left with its totals.
func (in Intent) lines(inv *Issued) []Finding {
	var out []Finding
	var sum int64
	add := func(t Type, subject, detail string, left, right int64, hasLeft, hasRight bool) {
		f := in.finding(t, subject, detail)
		if hasLeft {
			f.Left.AmountMinor, f.Left.CountedMinor = ptr(left), left
		}
		if hasRight {
			f.Right.AmountMinor, f.Right.CountedMinor = ptr(right), right
		}
		f.AmountMinor = abs(left - right)
		out = append(out, f)
	}
	seen := map[string]int{}
	for _, l := range inv.Lines {
		sum += l.AmountMinor
		i := slices.IndexFunc(in.Lines, func(p PlanLine) bool { return p.Line == l.Line })
		switch {
		case l.Line == "" || l.Key != in.Key || i < 0:
			add(ForeignLine, l.ID, fmt.Sprintf("line %s is not of this plan", l.ID), 0, l.AmountMinor, false, true)
		case seen[l.Line] > 0:
			add(LineCount, l.ID, "line "+l.Line+" stands on the invoice again", 0, l.AmountMinor, false, true)
		case in.Lines[i].AmountMinor != l.AmountMinor:
			add(AmountDiffers, "line/"+l.Line, "line "+l.Line+" differs", in.Lines[i].AmountMinor, l.AmountMinor, true, true)
			seen[l.Line]++
		default:
			seen[l.Line]++
		}
	}
	for _, p := range in.Lines {
		if seen[p.Line] == 0 {
			add(LineCount, "line/"+p.Line, "line "+p.Line+" is not on the invoice", p.AmountMinor, 0, true, false)
		}
	}
	switch {
	case sum != inv.NetMinor:
		add(AmountDiffers, "total", "the invoice's total without tax is not the sum of its lines", sum, inv.NetMinor, true, true)
	case inv.NetMinor+inv.TaxMinor != inv.TotalMinor:
		add(TaxDiffers, "tax", "total without tax and tax do not sum to the total", 0, 0, false, false)
		out[len(out)-1].AmountMinor, out[len(out)-1].Line = abs(inv.TotalMinor-inv.NetMinor-inv.TaxMinor), NoLine
	}
	return out
}
