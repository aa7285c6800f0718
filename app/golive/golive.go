// Package golive decides when an account's invoices may be written to Stripe: a checklist
// judged on what the ledger and Stripe say now, and a switch that opens when it holds.
//
// It writes nothing to Stripe. While the switch is closed, cycles are computed and shown as
// shadow cycles.
package golive

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// Ledger knows accounts, their switches and what the checklist is judged on.
type Ledger interface {
	// Account is NotFound for one that is not there.
	Account(ctx context.Context, id string) (account.Account, billing.Switch, error)
	// Facts are those of the ledger; the invoice is not read yet.
	Facts(ctx context.Context, acc account.Account) (billing.GoLiveFacts, error)
	// SaveSwitch stores a decision with its audit entry, in one transaction. It refuses to
	// open on a checklist that does not hold.
	SaveSwitch(ctx context.Context, s billing.Switch, list []billing.ChecklistItem, note audit.Entry) error
}

// Source reads one object of a source account, as Stripe's JSON.
type Source interface {
	Object(ctx context.Context, connectionID, object, id string) ([]byte, error)
}

// Service is the use case.
type Service struct {
	Ledger Ledger
	Source Source
	Clock  clock.Clock
}

// Status is where an account stands.
type Status struct {
	Account   account.Account
	Switch    billing.Switch
	Checklist []billing.ChecklistItem
}

// Status judges the checklist now. It asks Stripe for one invoice.
func (s *Service) Status(ctx context.Context, by access.Principal, accountID string) (Status, error) {
	return s.look(ctx, by, access.ReadLedger, accountID)
}

func (s *Service) look(ctx context.Context, by access.Principal, p access.Permission, accountID string) (Status, error) {
	acc, sw, err := s.Ledger.Account(ctx, accountID)
	if err != nil {
		return Status{}, err
	}
	if err := access.Require(by, p, acc.ID, acc.Environment); err != nil {
		return Status{}, err
	}
	if acc.Environment != account.Live {
		return Status{}, fault.New(fault.Conflict, "not_live", "account %s is a test account: nothing of it is ever written to Stripe", acc.ID)
	}
	facts, err := s.Ledger.Facts(ctx, acc)
	if err != nil {
		return Status{}, err
	}
	if facts.Invoice.ID != "" && !facts.SourcePaused {
		if err := s.read(ctx, acc, &facts.Invoice); err != nil {
			return Status{}, err
		}
	}
	return Status{Account: acc, Switch: sw, Checklist: facts.Checklist(s.Clock.Now())}, nil
}

// read asks Stripe what it confirms of a booked invoice. One that it does not have is not
// read; that it cannot be asked is an error.
func (s *Service) read(ctx context.Context, acc account.Account, i *billing.ProvenInvoice) error {
	raw, err := s.Source.Object(ctx, acc.SourceConnection, "invoice", i.ID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var mode struct {
		Livemode bool `json:"livemode"`
	}
	if err := json.Unmarshal(raw, &mode); err != nil {
		return fault.Wrap(err, fault.Unavailable, "stripe_bad_answer", "invoice %s came in a form that cannot be read", i.ID)
	}
	seen, err := reward.Observe(raw, s.Clock.Now(), reward.Config{})
	if err != nil {
		return err
	}
	i.Read, i.Livemode = true, mode.Livemode
	for _, f := range seen.Facts {
		if f.Kind == reward.RevenueConfirmation && f.Amount != nil {
			i.ReadMinor, i.ReadCurrency = *f.Amount, f.Currency
		}
	}
	return nil
}

// Opening is a person's wish to go live.
type Opening struct {
	AccountID string
	Reason    string
	// Override opens although the checklist does not hold.
	Override bool
}

// maxReason bounds what a person writes down.
const maxReason = 500

func checkReason(reason *string) error {
	if *reason = strings.TrimSpace(*reason); *reason == "" || len(*reason) > maxReason {
		return fault.InvalidField("reason", "reason_missing", "say why, in 1 to %d characters", maxReason).Fix("It is kept for ever")
	}
	return nil
}

// Open opens the switch when the checklist holds, or by an override. Opened again it is
// left as it is.
func (s *Service) Open(ctx context.Context, by access.Principal, in Opening) (Status, error) {
	if err := checkReason(&in.Reason); err != nil {
		return Status{}, err
	}
	st, err := s.look(ctx, by, access.WriteSetup, in.AccountID)
	if err != nil || st.Switch.Open {
		return st, err
	}
	basis := billing.OnChecklist
	unmet := billing.UnmetItems(st.Checklist)
	if len(unmet) > 0 {
		if !in.Override {
			return st, fault.New(fault.Conflict, "checklist_unmet", "account %s cannot go live yet: %s", in.AccountID, strings.Join(unmet, ", ")).
				Fix("See what is missing: liftbill account go-live status")
		}
		basis = billing.OnOverride
	}
	return s.turn(ctx, by, st, true, basis, in.Reason, audit.WritingOpened, strings.Join(unmet, " "))
}

// Close closes the switch, at any time. Cycles that are proposed already wait; what was
// finalized stays.
func (s *Service) Close(ctx context.Context, by access.Principal, accountID, reason string) (Status, error) {
	if err := checkReason(&reason); err != nil {
		return Status{}, err
	}
	acc, sw, err := s.Ledger.Account(ctx, accountID)
	if err != nil {
		return Status{}, err
	}
	if err := access.Require(by, access.WriteSetup, acc.ID, acc.Environment); err != nil {
		return Status{}, err
	}
	st := Status{Account: acc, Switch: sw}
	if !sw.Open {
		return st, nil
	}
	return s.turn(ctx, by, st, false, sw.Basis, reason, audit.WritingClosed, "")
}

func (s *Service) turn(ctx context.Context, by access.Principal, st Status, open bool, basis billing.SwitchBasis, reason string, action audit.Action, unmet string) (Status, error) {
	now := s.Clock.Now()
	word := map[bool]string{true: "open", false: "closed"}
	note := audit.New(by, now, action, "account", st.Account.ID).In(st.Account.ID, st.Account.Environment).Because(reason).
		Changed(audit.Facts{"live_writing": word[st.Switch.Open]}, audit.Facts{"live_writing": word[open], "basis": string(basis), "unmet": unmet})
	st.Switch = billing.Switch{AccountID: st.Account.ID, Open: open, Basis: basis, Reason: reason, ChangedBy: by.Label(), ChangedAt: now}
	return st, s.Ledger.SaveSwitch(ctx, st.Switch, st.Checklist, note)
}
