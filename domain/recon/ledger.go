package recon

import (
	"fmt"
	"time"
)

// Money is an amount behind a subject of the ledger.
type Money struct {
	ID          string
	CustomerID  string
	Currency    string
	AmountMinor int64
	Facts       int64
}

// Digest is stored evidence with the digest that it is filed under and the one it has.
type Digest struct{ What, ID, Stored, Computed string }

// Replay is how the newest replay of the period ended.
type Replay struct {
	At    time.Time
	Equal bool
}

// Newest is the newest event that Stripe keeps of a source, and whether it is here.
type Newest struct {
	EventID string
	Created time.Time
	Here    bool
}

// Internals are the facts of our own side that a run looks at.
type Internals struct {
	CycleID string
	// Unmapped sums the period's revenue by customers of whom nobody said whose they are.
	Unmapped []Money
	// Foreign sums the period's revenue in other currencies than the contract's.
	Foreign []Money
	// NoDecision sums, by currency, the revenue of users without a decision, as the cycle froze it.
	NoDecision []Money
	// BadDecisions counts decisions of the period with unusable probabilities.
	BadDecisions int64
	// Late are facts of the frozen period that were recorded later, Returned those of them
	// that give money of an invoiced period back, Disputed the disputes without a decision.
	Late, Returned, Disputed []Money
	// Leaked are objects of the other mode that were sent to the source.
	Leaked  []Money
	Digests []Digest
	Replay  *Replay
	Newest  *Newest
	// Due is when the period's cycle should have been finished; zero where none is expected.
	Due time.Time
	// CycleState is empty without a cycle; Finished: nothing moves it any more.
	CycleState string
	Finished   bool
}

// Patience of what is expected.
const (
	// CycleGrace is how long after its due time a cycle may be unfinished.
	CycleGrace = 48 * time.Hour
	// EventGrace is how long an event may take to arrive.
	EventGrace = time.Hour
)

// payments counts in words.
func payments(n int64) string {
	if n == 1 {
		return "1 payment"
	}
	return fmt.Sprintf("%d payments", n)
}

// JudgeLedger judges our own side at a time.
func (w Window) JudgeLedger(in Internals, at time.Time) []Finding {
	var out []Finding
	each := func(t Type, all []Money, detail func(Money) string) {
		for _, m := range all {
			if m.AmountMinor == 0 && m.Facts == 0 {
				continue
			}
			out = append(out, Finding{
				Type: t, Subject: m.ID, Left: Side{Source: "ledger", ID: m.ID, AmountMinor: ptr(m.AmountMinor), Currency: m.Currency},
				Right: Side{Source: "stripe"}, AmountMinor: abs(m.AmountMinor), Currency: m.Currency, CustomerID: m.CustomerID, Detail: detail(m),
			})
		}
	}
	each(UnmappedCustomer, in.Unmapped, func(m Money) string { return payments(m.Facts) + " of a customer without a user" })
	each(FXMissing, in.Foreign, func(m Money) string {
		return payments(m.Facts) + " in " + m.Currency + ", which the contract does not bill"
	})
	each(RewardWithoutDecision, in.NoDecision, func(m Money) string { return payments(m.Facts) + " of users without a decision" })
	each(LateEvent, in.Late, func(Money) string { return "recorded after the period was frozen" })
	each(RefundAfterInvoice, in.Returned, func(Money) string { return "money of an invoiced period went back" })
	each(OpenDispute, in.Disputed, func(Money) string { return "the dispute is not decided" })
	each(ModeLeak, in.Leaked, func(m Money) string {
		return fmt.Sprintf("%d events of the other mode were sent here and set aside", m.Facts)
	})
	plain := func(t Type, subject, left, right, detail string) {
		out = append(out, Finding{Type: t, Subject: subject, Left: Side{Source: left, ID: in.CycleID}, Right: Side{Source: right}, Detail: detail})
	}
	if in.BadDecisions > 0 {
		plain(DecisionWithoutPropensity, "decisions", fmt.Sprintf("%d decisions", in.BadDecisions), "", fmt.Sprintf("%d decisions of the period have a probability outside (0, 1], or none for their action", in.BadDecisions))
	}
	for _, d := range in.Digests {
		if d.Stored != d.Computed {
			plain(DigestDiffers, d.What+"/"+d.ID, "stored "+d.Stored, "computed "+d.Computed, d.What+" "+d.ID+" does not have its digest")
		}
	}
	if r := in.Replay; r != nil && !r.Equal {
		plain(ReplayDiffers, "replay", "frozen", "replayed", "the replay of "+stamp(r.At)+" came out differently")
	}
	if n := in.Newest; n != nil && !n.Here && at.Sub(n.Created) >= EventGrace {
		plain(StaleWebhook, "events", "ledger", "stripe "+n.EventID, "event "+n.EventID+" of "+stamp(n.Created)+" did not arrive")
		out[len(out)-1].Target = Target{w.ConnectionID, "events", n.EventID}
	}
	if !in.Due.IsZero() && !in.Finished && !at.Before(in.Due.Add(CycleGrace)) {
		state := in.CycleState
		if state == "" {
			state = "not begun"
		}
		plain(ExpectedMissing, "cycle", state, "due "+stamp(in.Due), "the cycle is "+state+" and was due at "+stamp(in.Due))
	}
	return out
}
