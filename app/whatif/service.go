// Package whatif answers what past months would have cost under other terms. It prices
// their stored readouts by the same function as a cycle, billing.Bill, from the
// contract's first month on.
//
// It cannot reach a writer: its one port only reads, and it makes no invoice plan, which
// is the only thing that could be authorised.
package whatif

import (
	"context"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Month is one priced cycle as it is stored.
type Month struct {
	CycleID string
	Period  period.Month
	State   billing.CycleState
	// Contract is the version that the cycle was opened under.
	Contract  billing.Contract
	YearStart period.Month
	// Snapshots is the snapshot limit of the cycle's sealed plan.
	Snapshots int
	// Readouts are restored from their manifests, which judges them again; the pooled one among them.
	Readouts []lift.Readout
	// Outcomes are those of the contract year up to the cycle's watermark, of every kind.
	Outcomes map[string]int64
	// TotalMinor is what the cycle came to, and ShadowMinor what a shadow month would have.
	TotalMinor, ShadowMinor int64
	// WritingClosed: the cycle was priced while the account was not live yet, and is a
	// shadow one whatever its terms say.
	WritingClosed bool
}

// Ledger reads. It has no other method, and must not get one.
type Ledger interface {
	// Months are the priced cycles of an account, ascending, in one consistent view; an
	// account that is not there is NotFound.
	Months(ctx context.Context, accountID string) ([]Month, error)
}

// Service is the use case.
type Service struct{ Ledger Ledger }

// Compared is one month under its own and under the other terms. Amounts are minor units.
type Compared struct {
	Period   string             `json:"period"`
	State    billing.CycleState `json:"state"`
	Version  int                `json:"contract_version"`
	OldMinor int64              `json:"old_minor"`
	NewMinor int64              `json:"new_minor"`
	// DifferenceMinor is new less old.
	DifferenceMinor int64             `json:"difference_minor"`
	Phase           billing.PhaseKind `json:"phase"`
	// Shadow is set for a month that is shown and never invoiced: by the other terms'
	// phase, or because live writing was closed (WritingClosed). Then the amounts above are
	// zero, and these say what the month would have come to. They are in no total.
	Shadow         bool               `json:"shadow"`
	WritingClosed  bool               `json:"writing_closed"`
	OldShadowMinor int64              `json:"old_shadow_minor,omitempty"`
	NewShadowMinor int64              `json:"new_shadow_minor,omitempty"`
	Held           billing.HeldReason `json:"held,omitempty"`
	Lines          []Line             `json:"lines"`
}

// Line is one line under the other terms.
type Line struct {
	Kind        billing.LineKind `json:"kind"`
	Line        string           `json:"line"`
	Description string           `json:"description"`
	AmountMinor int64            `json:"amount_minor"`
}

// Answer compares the last months. The other terms hold from the contract's first month
// on, so that marks, tiers, caps, holdbacks and balances of the compared months are those
// that they would have led to.
type Answer struct {
	AccountID string `json:"account_id"`
	Currency  string `json:"currency"`
	// Asked is the number of months that was asked for; Months may be fewer.
	Asked           int        `json:"asked"`
	Months          []Compared `json:"months"`
	OldMinor        int64      `json:"old_minor"`
	NewMinor        int64      `json:"new_minor"`
	DifferenceMinor int64      `json:"difference_minor"`
	// ShadowMonths are how many of Months are shadow ones, which the totals leave out.
	ShadowMonths int `json:"shadow_months"`
	// HeldBackMinor and BalanceMinor are what the other terms would leave to be invoiced
	// after the last month: holdbacks, and amounts carried (a credit when negative).
	HeldBackMinor int64 `json:"held_back_minor"`
	BalanceMinor  int64 `json:"balance_minor"`
	// Terms are the other terms of the last month in plain words, Hash is theirs.
	Terms []string `json:"terms"`
	Hash  string   `json:"hash"`
}

// maxMonths bounds a question.
const maxMonths = 120

// Price compares the last n priced months of an account with what they would have cost
// under its contract's terms with the given changes (see billing.Terms.Patched).
func (s *Service) Price(ctx context.Context, accountID string, n int, changes []byte) (Answer, error) {
	if n < 1 || n > maxMonths {
		return Answer{}, fault.InvalidField("months", "months_range", "%d months", n).Fix("Ask for 1 to %d", maxMonths)
	}
	months, err := s.Ledger.Months(ctx, accountID)
	if err != nil {
		return Answer{}, err
	}
	if len(months) == 0 {
		return Answer{}, fault.New(fault.NotFound, "nothing_priced", "no month of account %s was priced yet", accountID).Fix("Run its first cycle, then ask again")
	}
	w := world{marks: map[string]int64{}}
	out := Answer{AccountID: accountID, Asked: n}
	for i, m := range months {
		priced, other, err := w.price(m, changes)
		if err != nil {
			return Answer{}, err
		}
		out.Currency, out.Terms, out.Hash = string(other.Terms.Currency), other.Terms.Words(), other.Hash
		if i < len(months)-n {
			continue
		}
		c := compare(m, priced)
		out.Months = append(out.Months, c)
		out.OldMinor += c.OldMinor
		out.NewMinor += c.NewMinor
		if c.Shadow {
			out.ShadowMonths++
		}
	}
	out.DifferenceMinor = out.NewMinor - out.OldMinor
	for _, p := range w.past {
		if p.Phase != billing.PhaseShadow {
			out.HeldBackMinor -= p.Lines[billing.LineHoldback] + p.Lines[billing.LineHoldbackRelease]
			out.BalanceMinor -= p.Lines[billing.LineCarryIn] + p.Lines[billing.LineCarryOut]
		}
	}
	return out, nil
}

// world is the contract as the other terms would have made it.
type world struct {
	year  period.Month
	marks map[string]int64
	past  []billing.Past
}

func (w *world) price(m Month, changes []byte) (billing.Priced, billing.Contract, error) {
	terms, err := m.Contract.Terms.Patched(changes)
	if err != nil {
		return billing.Priced{}, billing.Contract{}, err
	}
	own := m.Contract
	other, err := billing.NewContract(own.ID, own.AccountID, own.Environment, own.Version, terms, own.CreatedAt)
	if err != nil {
		return billing.Priced{}, billing.Contract{}, err
	}
	settles := m.Period.IsSettlement()
	if w.year != m.YearStart {
		w.year, w.marks = m.YearStart, map[string]int64{}
	}
	priced, err := billing.Bill(billing.BillInput{
		Contract: other, Period: m.Period.Add(0), Snapshots: m.Snapshots, Readouts: m.Readouts, HighWater: w.marks,
		Context: billing.Context{Settlement: settles, ClosesYear: settles, Past: w.past, Outcomes: m.Outcomes, WritingClosed: m.WritingClosed},
	})
	if err != nil {
		return billing.Priced{}, billing.Contract{}, err
	}
	for _, r := range priced.Rows {
		w.marks[r.SnapshotID] = r.HighWaterAfter
	}
	w.past = append(w.past, billing.PastOf(m.Period.Add(0), settles, priced))
	return priced, other, nil
}

func compare(m Month, p billing.Priced) Compared {
	c := Compared{
		Period: m.Period.String(), State: m.State, Version: m.Contract.Version, OldMinor: m.TotalMinor, NewMinor: p.Total.Minor(),
		DifferenceMinor: p.Total.Minor() - m.TotalMinor, Phase: p.Phase, Held: p.Held, Lines: []Line{},
		Shadow: p.Phase == billing.PhaseShadow, WritingClosed: m.WritingClosed, OldShadowMinor: m.ShadowMinor,
	}
	for _, l := range p.Lines {
		if l.Kind == billing.LineShadow {
			c.NewShadowMinor = -l.AmountMinor
		}
		c.Lines = append(c.Lines, Line{Kind: l.Kind, Line: l.Key, Description: l.Text, AmountMinor: l.AmountMinor})
	}
	return c
}
