package onboard

import (
	"context"
	"strings"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// PayerContext binds a sealed e-mail address to the account that it is for.
func PayerContext(accountID string) string { return "payer-email:" + accountID }

// PayerInput says who pays for an account: a customer of the issuer by its ID, or the
// name and address with which one is found there or created.
type PayerInput struct {
	AccountID string
	Customer  string
	Name      string
	Email     string
	// Reason is why; it is kept.
	Reason string
}

// Payer is the answer: a customer, or that one is to be found.
type Payer struct {
	Account account.Account
	Wanted  bool
}

// NamePayer gives an account its payer, or another one. A customer must exist at the
// issuer and pay for no other account. With a name and an address the payer is found
// or created at the issuer by the next cycle of a live account, once. Invoices that are
// finalized keep their addressee; a cycle that is not finished is addressed anew when
// it is run or resumed.
func (s *Service) NamePayer(ctx context.Context, by access.Principal, in PayerInput) (Payer, error) {
	in.Customer, in.Name, in.Email = strings.TrimSpace(in.Customer), strings.TrimSpace(in.Name), strings.TrimSpace(in.Email)
	if err := checkReason(&in.Reason); err != nil {
		return Payer{}, err
	}
	switch {
	case in.Customer == "" && in.Name == "" && in.Email == "":
		return Payer{}, fault.InvalidField("customer", "payer_missing", "say who pays").
			Fix("Give the ID of a customer of the issuer (cus_…), or a name and an e-mail address")
	case in.Customer != "" && (in.Name != "" || in.Email != ""):
		return Payer{}, fault.InvalidField("customer", "payer_twice", "a customer was named and described").Fix("Give its ID, or name and address, not both")
	case in.Customer != "":
		return s.payerByID(ctx, by, in)
	}
	return s.payerWanted(ctx, by, in)
}

// maxDecision bounds what a person writes down about a decision.
const maxDecision = 500

func checkReason(reason *string) error {
	*reason = strings.TrimSpace(*reason)
	if *reason == "" || len(*reason) > maxDecision {
		return fault.InvalidField("reason", "reason_missing", "say why, in 1 to %d characters", maxDecision).Fix("It is kept for ever")
	}
	return nil
}

func (s *Service) payerByID(ctx context.Context, by access.Principal, in PayerInput) (Payer, error) {
	acc, err := s.issuedAccount(ctx, by, in.AccountID)
	if err != nil {
		return Payer{}, err
	}
	acc.PayerCustomer = in.Customer
	if err := s.checkWiring(ctx, acc); err != nil {
		return Payer{}, err
	}
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		old, err := st.Accounts.Account(ctx, in.AccountID)
		if err != nil {
			return err
		}
		if old.PayerCustomer == in.Customer {
			return nil
		}
		if err := freePayer(ctx, st, acc); err != nil {
			return err
		}
		if err := st.Accounts.SetPayer(ctx, acc.ID, in.Customer); err != nil {
			return err
		}
		return s.journal(ctx, st, by, acc, in, "payer named", old.PayerCustomer, in.Customer)
	})
	return Payer{Account: acc}, err
}

// issuedAccount is an account that has an issuer.
func (s *Service) issuedAccount(ctx context.Context, by access.Principal, id string) (account.Account, error) {
	var acc account.Account
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		if acc, err = st.Accounts.Account(ctx, id); err != nil {
			return err
		}
		return access.Require(by, access.WriteSetup, acc.ID, acc.Environment)
	})
	if err == nil && acc.IssuerConnection == "" {
		err = fault.New(fault.Conflict, "issuer_missing", "account %s has no issuer at which it could have a payer", id).
			Fix("Give it one first: POST /v1/accounts with issuer_connection")
	}
	return acc, err
}

// freePayer refuses a customer that pays for another account: there is one invoice per
// payer and period.
func freePayer(ctx context.Context, st Stores, acc account.Account) error {
	if acc.PayerCustomer == "" {
		return nil
	}
	other, err := st.Accounts.PayerOf(ctx, acc.IssuerConnection, acc.PayerCustomer, acc.ID)
	if err == nil && other != "" {
		err = fault.New(fault.Conflict, "payer_taken", "customer %s pays for account %s, and nobody gets two invoices for one period", acc.PayerCustomer, other).
			On("payer_customer").Fix("Give each account a customer of its own at the issuer")
	}
	return err
}

func (s *Service) journal(ctx context.Context, st Stores, by access.Principal, acc account.Account, in PayerInput, action, before, after string) error {
	err := st.Journal.Intervene(ctx, Intervention{
		At: s.Clock.Now(), Who: by.Label(), Environment: acc.Environment, Subject: "account " + acc.ID, Action: action, Before: before, After: after, Reason: in.Reason,
	})
	if err != nil {
		return err
	}
	return st.Audit.Append(ctx, s.note(by, audit.PayerNamed, "account", acc.ID).In(acc.ID, acc.Environment).Because(in.Reason).
		Changed(audit.Facts{"payer_customer": before}, audit.Facts{"payer_customer": after, "how": action}))
}

func (s *Service) payerWanted(ctx context.Context, by access.Principal, in PayerInput) (Payer, error) {
	plan := billing.PayerPlan{AccountID: in.AccountID, Name: in.Name, Email: in.Email}
	if err := plan.Validate(); err != nil {
		return Payer{}, err
	}
	acc, err := s.issuedAccount(ctx, by, in.AccountID)
	if err != nil {
		return Payer{}, err
	}
	sealed, err := s.Box.Seal(PayerContext(acc.ID), []byte(in.Email))
	if err != nil {
		return Payer{}, err
	}
	before := acc.PayerCustomer
	acc.PayerCustomer = ""
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		if err := st.Accounts.SetPayer(ctx, acc.ID, ""); err != nil {
			return err
		}
		wish := PayerWish{AccountID: acc.ID, Environment: acc.Environment, Name: in.Name, SealedEmail: sealed, At: s.Clock.Now()}
		if err := st.Accounts.PutWish(ctx, wish); err != nil {
			return err
		}
		return s.journal(ctx, st, by, acc, in, "payer wanted", before, "")
	})
	return Payer{Account: acc, Wanted: true}, err
}
