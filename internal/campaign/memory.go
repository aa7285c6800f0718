package campaign

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Ledger is what a schedule needs of a ledger.
type Ledger interface {
	invoicing.Intents
	// Begin stores a cycle that stands at its write-back.
	Begin(ctx context.Context, env account.Environment, plan billing.InvoicePlan, at time.Time) error
	// Readdress names another payer for a cycle, as its next proposal does when the
	// cycle is blocked.
	Readdress(ctx context.Context, plan billing.InvoicePlan, at time.Time) error
	// TakeBack takes a person's decision to take the draft back, or to have the month computed
	// again. It is false where the desk refuses it: the invoice is final, or may be finalized
	// this very moment.
	TakeBack(ctx context.Context, cycleID string, a billing.DecisionAction, at time.Time) (taken bool, err error)
	// Propose lets a cycle that was taken back be written with the plan, as it was or revised,
	// approved anew.
	Propose(ctx context.Context, plan billing.InvoicePlan, at time.Time) error
	// Stands is the state of a cycle with its reason.
	Stands(ctx context.Context, cycleID string) (billing.CycleState, string, error)
}

// Memory is a ledger that forgets everything when the process ends.
type Memory struct {
	mu      sync.Mutex
	cycles  map[string]*memoryCycle
	intents map[string]*memoryIntent
}

type memoryCycle struct {
	state  billing.CycleState
	reason string
	env    account.Environment
	owner  string
	payer  string
	active string // the intent that counts
	all    []string
}

type memoryIntent struct {
	invoicing.StoredIntent
	lostSince time.Time
	verified  time.Time
	final     bool // recorded as finalized once
	retired   bool
	lines     map[string]string
	tied      billing.TieOut
}

var _ Ledger = (*Memory)(nil)

// NewMemory makes an empty one.
func NewMemory() *Memory {
	return &Memory{cycles: map[string]*memoryCycle{}, intents: map[string]*memoryIntent{}}
}

// Begin implements Ledger.
func (m *Memory) Begin(_ context.Context, env account.Environment, plan billing.InvoicePlan, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cycles[plan.CycleID] = &memoryCycle{state: billing.Writing, env: env, owner: plan.AccountID, payer: plan.Key.Customer}
	return m.insert(m.cycles[plan.CycleID], plan)
}

func (m *Memory) insert(cy *memoryCycle, plan billing.InvoicePlan) error {
	id := plan.Key.ID()
	for other, in := range m.intents {
		k := in.Plan.Key
		elsewhere := other != id || in.CycleID != plan.CycleID
		if in.State != billing.IntentSuperseded && elsewhere && k.IssuerConnection == plan.Key.IssuerConnection && k.Customer == plan.Key.Customer && k.Period == plan.Key.Period {
			return fault.New(fault.Conflict, "duplicate", "the payer has an invoice of the period")
		}
	}
	generation := 0
	var givenUp []string
	if old := m.intents[id]; old != nil { // superseded before, in force again
		generation, givenUp = old.Generation+1, old.GivenUp
		if old.InvoiceID != "" {
			givenUp = append(givenUp, old.InvoiceID)
		}
	}
	m.intents[id] = &memoryIntent{StoredIntent: invoicing.StoredIntent{
		ID: id, CycleID: plan.CycleID, Environment: cy.env, GivenUp: givenUp, Writing: billing.Switch{AccountID: plan.AccountID, Open: true, Basis: billing.OnOverride},
		Intent: billing.Intent{Plan: plan, PlanHash: plan.Hash(), State: billing.IntentPlanned, Generation: generation},
	}, lines: map[string]string{}}
	cy.active = id
	if !slices.Contains(cy.all, id) {
		cy.all = append(cy.all, id)
	}
	return nil
}

// Readdress implements Ledger.
func (m *Memory) Readdress(_ context.Context, plan billing.InvoicePlan, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	cy := m.cycles[plan.CycleID]
	cy.payer = plan.Key.Customer
	if cy.state != billing.Blocked {
		return nil // Resume finds out
	}
	if in := m.intents[cy.active]; in != nil && in.State != billing.IntentSuperseded && in.ID != plan.Key.ID() {
		in.State = billing.IntentSuperseded
	}
	if in := m.intents[cy.active]; in == nil || in.State == billing.IntentSuperseded {
		if err := m.insert(cy, plan); err != nil {
			return err
		}
	}
	cy.state, cy.reason = billing.Writing, ""
	return nil
}

// Stands implements Ledger.
func (m *Memory) Stands(_ context.Context, cycleID string) (billing.CycleState, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cy := m.cycles[cycleID]
	return cy.state, cy.reason, nil
}

// find returns the intent with its lock held by the caller.
func (m *Memory) find(intentID string) (*memoryIntent, error) {
	in := m.intents[intentID]
	if in == nil {
		return nil, fault.New(fault.NotFound, "intent_not_found", "there is no intent %s", intentID)
	}
	return in, nil
}

func (in *memoryIntent) copied() invoicing.StoredIntent {
	out := in.StoredIntent
	out.GivenUp = slices.Clone(in.GivenUp)
	if in.StripeTotal != nil {
		total := *in.StripeTotal
		out.StripeTotal = &total
	}
	return out
}

// Intent implements invoicing.Intents.
func (m *Memory) Intent(_ context.Context, cycleID string) (invoicing.StoredIntent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cy := m.cycles[cycleID]
	if cy == nil || m.intents[cy.active] == nil || m.intents[cy.active].State == billing.IntentSuperseded {
		return invoicing.StoredIntent{}, fault.New(fault.NotFound, "intent_not_found", "cycle %s has no write-back intent", cycleID)
	}
	out := m.intents[cy.active].copied()
	if out.Plan.Hash() != out.PlanHash {
		return out, fault.New(fault.Conflict, "plan_changed", "the invoice plan of cycle %s does not have its hash any more", cycleID)
	}
	return out, nil
}

// Superseded implements invoicing.Intents.
func (m *Memory) Superseded(_ context.Context, cycleID string) ([]invoicing.StoredIntent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []invoicing.StoredIntent
	for _, id := range m.cycles[cycleID].all {
		if in := m.intents[id]; in.State == billing.IntentSuperseded && !in.retired {
			out = append(out, in.copied())
		}
	}
	return out, nil
}

// Retire implements invoicing.Intents.
func (m *Memory) Retire(_ context.Context, intentID string, _ time.Time) error {
	return m.change(intentID, func(in *memoryIntent) error {
		in.retired = in.State == billing.IntentSuperseded
		return nil
	})
}

// Known implements invoicing.Intents.
func (m *Memory) Known(_ context.Context, ids []string) (map[string]invoicing.Known, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]invoicing.Known{}
	for _, id := range ids {
		if in := m.intents[id]; in != nil {
			out[id] = invoicing.Known{State: in.State, InvoiceID: in.InvoiceID, Retired: in.retired}
		}
	}
	return out, nil
}

func (m *Memory) change(intentID string, do func(*memoryIntent) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	in, err := m.find(intentID)
	if err != nil {
		return err
	}
	return do(in)
}

// Pin implements invoicing.Intents.
func (m *Memory) Pin(_ context.Context, intentID, invoiceID string, _ time.Time) error {
	return m.change(intentID, func(in *memoryIntent) error {
		if in.State == billing.IntentSuperseded || (in.InvoiceID != "" && in.InvoiceID != invoiceID) {
			return fault.New(fault.Conflict, "pinned_elsewhere", "another invoice is pinned for intent %s", intentID)
		}
		in.InvoiceID, in.Indeterminate, in.lostSince = invoiceID, 0, time.Time{}
		if in.State == billing.IntentPlanned {
			in.State = billing.IntentPinned
		}
		return nil
	})
}

// Unpin implements invoicing.Intents.
func (m *Memory) Unpin(_ context.Context, intentID, invoiceID string, at time.Time) error {
	return m.change(intentID, func(in *memoryIntent) error {
		switch in.State {
		case billing.IntentPlanned, billing.IntentPinned, billing.IntentVerified:
		default:
			return fault.New(fault.Conflict, "already_final", "intent %s is %s and keeps its invoice", intentID, in.State)
		}
		claimed := in.State == billing.IntentVerified && at.Sub(in.verified).Abs() < invoicing.ClaimFor
		if in.InvoiceID != invoiceID || claimed {
			return invoicing.MovedOn(intentID)
		}
		in.giveUp()
		return nil
	})
}

func (in *memoryIntent) giveUp() {
	if in.InvoiceID != "" && !slices.Contains(in.GivenUp, in.InvoiceID) {
		in.GivenUp = append(in.GivenUp, in.InvoiceID)
	}
	in.InvoiceID, in.State, in.Generation, in.FinalizeN = "", billing.IntentPlanned, in.Generation+1, 0
	in.Indeterminate, in.lostSince = 0, time.Time{}
	in.Number, in.StripeTotal, in.final = "", nil, false
	clear(in.lines)
}

// Forget implements invoicing.Intents.
func (m *Memory) Forget(_ context.Context, intentID, invoiceID string) error {
	return m.change(intentID, func(in *memoryIntent) error {
		in.GivenUp = slices.DeleteFunc(in.GivenUp, func(id string) bool { return id == invoiceID })
		return nil
	})
}

// CountIndeterminate implements invoicing.Intents.
func (m *Memory) CountIndeterminate(_ context.Context, intentID string, at time.Time) (n int, since time.Time, err error) {
	err = m.change(intentID, func(in *memoryIntent) error {
		if in.Indeterminate++; in.lostSince.IsZero() {
			in.lostSince = at
		}
		n, since = in.Indeterminate, in.lostSince
		return nil
	})
	return n, since, err
}

// NextFinalize implements invoicing.Intents.
func (m *Memory) NextFinalize(_ context.Context, intentID string, _ time.Time) error {
	return m.change(intentID, func(in *memoryIntent) error {
		in.FinalizeN++
		return nil
	})
}

// SaveItems implements invoicing.Intents.
func (m *Memory) SaveItems(_ context.Context, intentID, invoiceID string, items []invoicing.StripeItem, at time.Time) error {
	return m.change(intentID, func(in *memoryIntent) error {
		if in.InvoiceID != invoiceID || (in.State != billing.IntentPinned && in.State != billing.IntentVerified) {
			return invoicing.MovedOn(intentID)
		}
		in.verified = at
		for _, it := range items {
			in.lines[it.Metadata["lb_line"]] = it.ID
		}
		if in.State == billing.IntentPinned {
			in.State = billing.IntentVerified
		}
		return nil
	})
}

// SaveInvoice implements invoicing.Intents.
func (m *Memory) SaveInvoice(_ context.Context, intentID string, state billing.IntentState, inv invoicing.StripeInvoice, _ time.Time) error {
	return m.change(intentID, func(in *memoryIntent) error {
		if in.InvoiceID != inv.ID || in.State == billing.IntentHuman || in.State == billing.IntentSuperseded {
			return fault.New(fault.Conflict, "not_pinned", "invoice %s is not the pinned one", inv.ID)
		}
		total := inv.TotalMinor
		if inv.TotalExcludingTaxMinor != nil {
			total = *inv.TotalExcludingTaxMinor
		}
		in.Number, in.StripeTotal, in.final = inv.Number, &total, inv.FinalizedAt != nil
		if in.State != billing.IntentReleased {
			in.State = state
		}
		return nil
	})
}

// SaveTieOut implements invoicing.Intents.
func (m *Memory) SaveTieOut(_ context.Context, cycleID string, t billing.TieOut, _ time.Time) error {
	return m.change(m.cycles[cycleID].active, func(in *memoryIntent) error {
		in.tied = t
		return nil
	})
}

// Escalate implements invoicing.Intents.
func (m *Memory) Escalate(_ context.Context, cycleID, seen, reason string, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	cy := m.cycles[cycleID]
	in := m.intents[cy.active]
	counts := in != nil && in.State != billing.IntentSuperseded
	if (counts && in.InvoiceID != seen) || (!counts && seen != "") {
		return invoicing.MovedOn(cycleID)
	}
	if counts {
		in.State = billing.IntentHuman
	}
	if slices.Contains([]billing.CycleState{billing.Proposed, billing.Writing, billing.Blocked, billing.Returned, billing.Collecting}, cy.state) {
		cy.state, cy.reason = billing.NeedsHuman, reason
	}
	return nil
}

// Whose implements invoicing.Intents.
func (m *Memory) Whose(_ context.Context, cycleID string) (string, account.Environment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cy := m.cycles[cycleID]
	if cy == nil {
		return "", "", fault.New(fault.NotFound, "cycle_not_found", "there is no cycle %q", cycleID)
	}
	return cy.owner, cy.env, nil
}

// Resume implements invoicing.Intents.
func (m *Memory) Resume(_ context.Context, in invoicing.Resumption, _ trail.Entry) (billing.CycleState, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cy := m.cycles[in.CycleID]
	switch {
	case cy == nil:
		return "", "", fault.New(fault.NotFound, "cycle_not_found", "there is no cycle %q", in.CycleID)
	case cy.state != billing.NeedsHuman:
		return "", "", fault.New(fault.Conflict, "not_waiting", "cycle %s is %s and waits for nobody's decision", in.CycleID, cy.state)
	}
	intent := m.intents[cy.active]
	cy.state, cy.reason = billing.Writing, ""
	switch {
	case intent.Plan.Key.Customer != cy.payer:
		intent.State = billing.IntentSuperseded
		cy.state, cy.reason = billing.Blocked, billing.UnmetPayerChanged
	case intent.State != billing.IntentHuman:
	case in.Reissue:
		intent.giveUp()
	case intent.InvoiceID == "":
		intent.State = billing.IntentPlanned
	case intent.final:
		intent.State = billing.IntentFinalized
	default:
		intent.State = billing.IntentPinned
	}
	return cy.state, cy.reason, nil
}

// Move implements invoicing.Intents.
func (m *Memory) Move(_ context.Context, cycleID string, to billing.CycleState, reason string, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	cy := m.cycles[cycleID]
	if err := cy.state.Move(to); err != nil {
		return err
	}
	cy.state, cy.reason = to, reason
	return nil
}

// LogCalls implements invoicing.Intents; the log of the stand-in is the better witness.
func (m *Memory) LogCalls(context.Context, string, []invoicing.Call, time.Time) error { return nil }
