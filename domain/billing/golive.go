package billing

import (
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
)

// CodeWritingClosed is the code of the Conflict when an account's invoices may not be
// written yet, or not any more.
const CodeWritingClosed = "live_writing_closed"

// Switch says whether the invoices of one live account may be written to Stripe. The zero
// value is closed.
type Switch struct {
	AccountID string
	Open      bool
	// Basis is why it stands as it does: checklist, override, before_switch, or empty when
	// nobody has touched it.
	Basis     SwitchBasis
	Reason    string
	ChangedBy string
	ChangedAt time.Time
}

// SwitchBasis is what a switch rests on.
type SwitchBasis string

// The bases.
const (
	// OnChecklist: every item of the checklist held when it was opened.
	OnChecklist SwitchBasis = "checklist"
	// OnOverride: a person opened it although an item did not hold, and said why.
	OnOverride SwitchBasis = "override"
	// OnHistory: the account was invoiced before there was a switch.
	OnHistory SwitchBasis = "before_switch"
)

// LiveWriting is the permission to write the invoices of one account. Only an open Switch
// gives it, and Authorize demands it.
type LiveWriting struct{ accountID string }

// AccountID is whose invoices may be written; empty for the zero value.
func (w LiveWriting) AccountID() string { return w.accountID }

// Permit gives the permission of an open switch.
func (s Switch) Permit() (LiveWriting, error) {
	if !s.Open || s.AccountID == "" {
		return LiveWriting{}, fault.New(fault.Conflict, CodeWritingClosed, "live writing is closed for account %s: nothing is written to Stripe", s.AccountID).
			Fix("Look at the checklist (liftbill account go-live status) and open it")
	}
	return LiveWriting{s.AccountID}, nil
}

// GoLiveFacts is what the ledger and Stripe say of an account that wants to go live.
// Amounts are minor units.
type GoLiveFacts struct {
	// HeardAt is when its source last spoke, by webhook or by a pull that ended well.
	HeardAt      time.Time
	SourcePaused bool
	// FirstRewardAt is when its first reward event took effect.
	FirstRewardAt time.Time
	// MappedMinor of PaidMinor net paid revenue has a user, in the newest measured cycle;
	// UnmappedShare is the most that the plan lets be without. MeasuredCycle is that cycle.
	MeasuredCycle            string
	PaidMinor, UnmappedMinor int64
	UnmappedShare            string
	// Invoice is a paid invoice of a customer of the account, as it was booked and as Stripe
	// shows it when it is asked now.
	Invoice ProvenInvoice
	// ShadowCycle is the newest cycle of the account that was computed and not written;
	// ShadowBreaks is what did not tie out in it.
	ShadowCycle  string
	ShadowBreaks int
}

// ProvenInvoice is one paid invoice of a customer, booked and read.
type ProvenInvoice struct {
	ID, Currency string
	BookedMinor  int64
	// Read: Stripe was asked and has it. ReadMinor is what it confirms.
	Read         bool
	Livemode     bool
	ReadMinor    int64
	ReadCurrency string
}

// The items of the checklist.
const (
	ItemFlowing = "events_flow"
	ItemMapped  = "mapping_coverage"
	ItemReward  = "first_reward_event"
	ItemInvoice = "invoice_matched"
	ItemShadow  = "shadow_cycle_tied_out"
)

// heardWithin is how long ago the source may have spoken last.
const heardWithin = 48 * time.Hour

// ChecklistItem is one condition of going live.
type ChecklistItem struct {
	Code string `json:"code"`
	Met  bool   `json:"met"`
	// Detail says in words and numbers what is the case; Next what to do when it is not met.
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"`
}

// Checklist judges the facts at a time, every item in its order.
func (f GoLiveFacts) Checklist(at time.Time) []ChecklistItem {
	return []ChecklistItem{f.flowing(at), f.mapped(), f.reward(), f.matched(), f.shadow()}
}

// UnmetItems are the codes of the items that do not hold.
func UnmetItems(list []ChecklistItem) []string {
	var out []string
	for _, i := range list {
		if !i.Met {
			out = append(out, i.Code)
		}
	}
	return out
}

func item(code string, met bool, next, format string, args ...any) ChecklistItem {
	out := ChecklistItem{Code: code, Met: met, Detail: fmt.Sprintf(format, args...)}
	if !met {
		out.Next = next
	}
	return out
}

func (f GoLiveFacts) flowing(at time.Time) ChecklistItem {
	const next = "Register the webhook endpoint, or let the worker pull, and see GET /v1/connections/{id}/sync"
	switch {
	case f.SourcePaused:
		return item(ItemFlowing, false, "Resume the source connection", "the source connection is paused")
	case f.HeardAt.IsZero():
		return item(ItemFlowing, false, next, "nothing was heard from the source yet")
	default:
		return item(ItemFlowing, at.Sub(f.HeardAt) <= heardWithin, next, "last heard from the source at %s", f.HeardAt.UTC().Format(time.RFC3339))
	}
}

func (f GoLiveFacts) mapped() ChecklistItem {
	const next = "Map the customers with revenue (GET /v1/connections/{id}/quarantine), then measure a month again"
	limit, err := decimal.NewFromString(f.UnmappedShare)
	if f.MeasuredCycle == "" || err != nil || f.PaidMinor <= 0 {
		return item(ItemMapped, false, next, "no month with paid revenue was measured yet")
	}
	allowed := limit.Mul(decimal.NewFromInt(f.PaidMinor))
	return item(ItemMapped, decimal.NewFromInt(f.UnmappedMinor).LessThanOrEqual(allowed), next,
		"%d of %d minor units of net paid revenue have no user in %s; the plan allows a share of %s", f.UnmappedMinor, f.PaidMinor, f.MeasuredCycle, f.UnmappedShare)
}

func (f GoLiveFacts) reward() ChecklistItem {
	if f.FirstRewardAt.IsZero() {
		return item(ItemReward, false, "Wait for the first subscription or payment, or backfill", "no reward event was booked yet")
	}
	return item(ItemReward, true, "", "first reward event at %s", f.FirstRewardAt.UTC().Format(time.RFC3339))
}

func (f GoLiveFacts) matched() ChecklistItem {
	const next = "Wait until a customer has paid an invoice; one that differs is to be looked at in the Stripe Dashboard"
	i := f.Invoice
	switch {
	case i.ID == "":
		return item(ItemInvoice, false, next, "no paid invoice of a customer was booked yet")
	case !i.Read:
		return item(ItemInvoice, false, next, "invoice %s could not be read at Stripe", i.ID)
	case !i.Livemode:
		return item(ItemInvoice, false, next, "invoice %s is not in live mode", i.ID)
	default:
		met := i.BookedMinor > 0 && i.BookedMinor == i.ReadMinor && i.Currency == i.ReadCurrency
		return item(ItemInvoice, met, next, "invoice %s: %d %s booked, %d %s at Stripe", i.ID, i.BookedMinor, i.Currency, i.ReadMinor, i.ReadCurrency)
	}
}

func (f GoLiveFacts) shadow() ChecklistItem {
	const next = "Run the cycle of a finished month; it is computed and not written"
	if f.ShadowCycle == "" {
		return item(ItemShadow, false, next, "no shadow cycle was computed yet")
	}
	return item(ItemShadow, f.ShadowBreaks == 0, "Resolve what does not tie out, then run the next month's cycle", "shadow cycle %s tied out with %d breaks", f.ShadowCycle, f.ShadowBreaks)
}

// RequiresPerson reports whether an outcome invoice may not be approved by a rule: the
// first ones of an account, until one of them has cleared reconciliation. It holds however
// the account went live.
func RequiresPerson(cleared int) bool { return cleared <= 0 }
