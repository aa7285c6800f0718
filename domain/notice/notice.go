// Package notice decides what people are to be told: which invoice or month waits for
// somebody, for whom, and until when. A notice is derived from where things stand, under a
// key that is the same whenever it is asked, so that nobody is told the same thing twice.
package notice

import (
	"fmt"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/money"
)

// Kind is what a notice is about.
type Kind string

// The kinds.
const (
	// ApprovalWaiting: an invoice waits for an approval that the contract wants.
	ApprovalWaiting Kind = "approval_waiting"
	// FirstInvoice: an account's first outcome invoice waits for a person, whatever the contract says.
	FirstInvoice Kind = "first_invoice"
	// Reminder: it still waits, after the contract's days of reminding.
	Reminder Kind = "approval_reminder"
	// Expiring: within ExpiringWithin the terms decide.
	Expiring Kind = "approval_expiring"
	// Expired: nobody decided in time.
	Expired Kind = "approval_expired"
	// Returned: it was sent back with a reason.
	Returned Kind = "cycle_returned"
	// Blocked: a precondition is not met.
	Blocked Kind = "cycle_blocked"
	// NeedsHuman: what is at Stripe is not what the ledger says.
	NeedsHuman Kind = "cycle_needs_human"
	// BreakBlocks: open breaks keep a month from being closed.
	BreakBlocks Kind = "break_blocks_close"
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{ApprovalWaiting, FirstInvoice, Reminder, Expiring, Expired, Returned, Blocked, NeedsHuman, BreakBlocks}
}

// ExpiringWithin is how long before its deadline an invoice that waits is spoken of again.
const ExpiringWithin = 24 * time.Hour

// Notice is one thing that people of a role are told.
type Notice struct {
	// ID is the natural key: kind, object, deadline or occasion, role.
	ID          string
	Kind        Kind
	Environment account.Environment
	AccountID   string
	Period      string
	// CycleID is empty for what concerns a month and no cycle.
	CycleID string
	// Role is who can do something about it.
	Role access.Role
	// Title is one line, Detail what is the case, Next what to do. None holds a secret or
	// anything of a vendor's customer.
	Title, Detail, Next string
	// Path is the page that shows it.
	Path string
	// Due is when the terms decide; zero without a deadline.
	Due time.Time
}

// Cycle is where a cycle stands that waits for somebody.
type Cycle struct {
	ID, AccountID, AccountName, Period string
	Environment                        account.Environment
	State                              billing.CycleState
	Reason                             string
	RequiresPerson                     bool
	// Since and Until bound the present wait; zero when there is none.
	Since, Until time.Time
	// Reminders is how often people were to be reminded in this wait, Decisions how many were taken.
	Reminders, Decisions int
	TotalMinor           int64
	Currency             string
}

// Month is an account's month that open breaks keep from being closed.
type Month struct {
	AccountID, AccountName, Period string
	Environment                    account.Environment
	Breaks                         int64
}

// Of lists what people are to be told of cycles and months that stand so at a time.
func Of(cycles []Cycle, months []Month, now time.Time) []Notice {
	var out []Notice
	for _, c := range cycles {
		out = append(out, c.notices(now)...)
	}
	for _, m := range months {
		out = append(out, m.notice())
	}
	return out
}

func (c Cycle) notices(now time.Time) []Notice {
	switch c.State {
	case billing.AwaitingApproval, billing.Held:
		return c.waits(now)
	case billing.Expired:
		var out []Notice
		for _, role := range []access.Role{access.Approver, access.Finance} {
			out = append(out, c.notice(Expired, occasion(c.Decisions), role, "nobody decided about the invoice in time", "It was not sent."))
		}
		return out
	case billing.Returned:
		return []Notice{c.notice(Returned, occasion(c.Decisions), access.Finance, "the invoice was sent back", "Reason: "+c.Reason)}
	case billing.Blocked:
		return []Notice{c.notice(Blocked, code(c.Reason), access.Finance, "the invoice is blocked", "Reason: "+words(c.Reason)+".")}
	case billing.NeedsHuman:
		return []Notice{c.notice(NeedsHuman, code(c.Reason), access.Finance, "the invoice needs a person", "Reason: "+words(c.Reason)+".")}
	default: // nobody needs to do anything
		return nil
	}
}

// waits is what approvers are told of an invoice that waits, by how long it does.
func (c Cycle) waits(now time.Time) []Notice {
	occasion := stamp(c.Until)
	if c.Until.IsZero() {
		occasion = stamp(c.Since)
	}
	total := c.amount()
	var out []Notice
	add := func(k Kind, occasion, title, detail string) {
		n := c.notice(k, occasion, access.Approver, title, detail)
		n.Due = c.Until
		out = append(out, n)
	}
	if c.State == billing.AwaitingApproval {
		if c.RequiresPerson {
			add(FirstInvoice, occasion, "the first invoice needs a person", total+". No invoice of the account has cleared reconciliation yet, so that no rule may approve it.")
		} else {
			add(ApprovalWaiting, occasion, "an invoice waits for approval", total+".")
		}
		if c.Reminders > 0 {
			add(Reminder, fmt.Sprintf("%s/%d", occasion, c.Reminders), "an invoice still waits for approval", fmt.Sprintf("%s, since %s.", total, day(c.Since)))
		}
	}
	if !c.Until.IsZero() && c.Until.Sub(now) <= ExpiringWithin {
		add(Expiring, occasion, "the time to approve an invoice runs out", fmt.Sprintf("%s. The terms decide at %s.", total, stamp(c.Until)))
	}
	return out
}

func (c Cycle) notice(k Kind, occasion string, role access.Role, title, detail string) Notice {
	return Notice{
		ID: key(k, c.ID, occasion, role), Kind: k, Environment: c.Environment, AccountID: c.AccountID, Period: c.Period, CycleID: c.ID, Role: role,
		Title: fmt.Sprintf("%s, %s: %s", c.AccountName, c.Period, title), Detail: detail, Next: billing.NextAction(c.State, c.Reason), Path: "/cycles/" + c.ID,
	}
}

func (c Cycle) amount() string {
	v, err := money.New(c.TotalMinor, money.Currency(c.Currency))
	if err != nil {
		return fmt.Sprintf("%d %s (minor units)", c.TotalMinor, c.Currency)
	}
	return v.String()
}

func (m Month) notice() Notice {
	what := fmt.Sprintf("%d open breaks keep", m.Breaks)
	if m.Breaks == 1 {
		what = "an open break keeps"
	}
	return Notice{
		ID: key(BreakBlocks, m.AccountID+"."+m.Period, "", access.Finance), Kind: BreakBlocks, Environment: m.Environment, AccountID: m.AccountID, Period: m.Period, Role: access.Finance,
		Title: fmt.Sprintf("%s, %s: %s the month from being closed", m.AccountName, m.Period, what), Detail: "The ledger and Stripe differ.",
		Next: "Resolve them, or have them forced by two people (GET /v1/breaks)", Path: "/cycles?period=" + m.Period,
	}
}

func key(k Kind, object, occasion string, role access.Role) string {
	return strings.Join([]string{string(k), object, occasion, string(role)}, "|")
}

func occasion(n int) string { return fmt.Sprintf("%d", n) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// code is a reason without what follows its colon.
func code(reason string) string {
	c, _, _ := strings.Cut(reason, ":")
	return c
}

func words(reason string) string { return strings.ReplaceAll(code(reason), "_", " ") }
