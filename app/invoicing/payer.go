package invoicing

import (
	"context"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

// unmet is the first precondition of the write-back that the ledger knows to be unmet.
func (j Judged) unmet(total money.Amount) string {
	switch {
	case billing.AboveMaximumCharge(total):
		return billing.UnmetMaximum
	case !j.IssuerConnected:
		return billing.UnmetIssuerMissing
	case j.IssuerKeyGone:
		return billing.UnmetIssuerKeyRefused
	case j.IssuerPaused:
		return billing.UnmetIssuerPaused
	case j.WriteBackOff:
		return billing.UnmetWriteBackOff
	case !j.Writing.Open:
		return billing.UnmetWritingClosed
	case j.Account.PayerCustomer == "" && j.PayerWanted:
		return billing.UnmetPayerWanted
	case j.Account.PayerCustomer == "":
		return billing.UnmetPayerMissing
	}
	return ""
}

// EnsurePayer makes sure that the account of a cycle has a payer at its issuer: the
// customer that is marked as the account's, or a new one. It is looked for first and
// created under a key of the account's own, so that two cycles that run at the same
// time, and retries a day later, come to the same customer. Afterwards the cycle is
// proposed again, addressed to it.
func (s *Service) EnsurePayer(ctx context.Context, cycleID string) (Outcome, error) {
	out := Outcome{CycleID: cycleID, State: billing.Blocked, Reason: billing.UnmetPayerWanted}
	err := s.ensurePayer(ctx, cycleID)
	if reason, ok := unmetBy(err); ok {
		out.Reason = reason
		return out, s.Ledger.Move(ctx, cycleID, billing.Blocked, reason, s.Clock.Now())
	}
	out.Redo = err == nil
	return out, err
}

func (s *Service) ensurePayer(ctx context.Context, cycleID string) error {
	wish, err := s.Book.PayerWish(ctx, cycleID)
	if fault.Is(err, fault.NotFound) {
		return unmet(billing.UnmetPayerMissing)
	}
	if err != nil || wish.Customer != "" {
		return err
	}
	if wish.Environment != account.Live { // before any key is opened
		return fault.New(fault.Forbidden, "test_mode_write", "account %s is a test account: its payer is never created", wish.Plan.AccountID)
	}
	proof, err := s.Payers.ProveIssuer(ctx, wish.Plan.IssuerConnection)
	if err != nil {
		return err
	}
	permit, err := billing.AuthorizePayer(proof, wish.Environment, wish.Plan)
	if err != nil {
		return err
	}
	finder, err := s.Payers.OpenPayer(ctx, permit)
	if err != nil {
		return err
	}
	err = s.findPayer(ctx, finder, wish)
	if logErr := s.Book.LogPayerCalls(ctx, wish.Plan.AccountID, finder.Calls(), s.Clock.Now()); err == nil {
		return logErr
	}
	return err
}

func (s *Service) findPayer(ctx context.Context, finder PayerFinder, wish PayerWish) error {
	found, how, err := lookForPayer(ctx, finder, wish)
	if err != nil {
		return err
	}
	if found == "" {
		now := s.Clock.Now()
		if err := s.Book.TryPayer(ctx, wish.Plan.AccountID, now); err != nil {
			return err
		}
		made, err := finder.Create(ctx, wish.Generation)
		if err != nil {
			return s.lostPayer(ctx, wish, err)
		}
		found, how = made.ID, "created"
	}
	_, err = s.Book.PinPayer(ctx, wish.Plan.AccountID, found, how, s.Clock.Now())
	return err
}

// lookForPayer looks for the customer that is marked as the account's: by its address,
// and, once a create was sent, among all that were made since, because somebody may
// have corrected the address of the one that we made. One with the same address and
// without the mark may be somebody's customer for something else: a person decides.
func lookForPayer(ctx context.Context, finder PayerFinder, wish PayerWish) (id, how string, err error) {
	same, err := finder.ByEmail(ctx)
	if err != nil {
		return "", "", err
	}
	marked := map[string]Customer{}
	for _, c := range same {
		if c.Account == wish.Plan.AccountID {
			marked[c.ID] = c
		}
	}
	if len(marked) == 0 && !wish.FirstTried.IsZero() {
		since, err := finder.MadeSince(ctx, wish.FirstTried)
		if err != nil {
			return "", "", err
		}
		for _, c := range since {
			marked[c.ID] = c
		}
	}
	var made, other Customer
	for _, c := range marked {
		switch {
		case c.Key != wish.Plan.Key():
			other = c
		case made.ID == "" || c.Created.Before(made.Created) || (c.Created.Equal(made.Created) && c.ID < made.ID):
			made = c // the oldest of those that are ours
		}
	}
	switch {
	case made.ID != "":
		return made.ID, "created", nil
	case len(marked) == 1:
		return other.ID, "matched", nil
	case len(marked) > 1 || len(same) > 0:
		return "", "", unmet(billing.UnmetPayerAmbiguous)
	}
	return "", "", nil
}

// lostPayer handles a create whose answer is unknown, as lostCreate does.
func (s *Service) lostPayer(ctx context.Context, wish PayerWish, err error) error {
	if !fault.Is(err, fault.Indeterminate) {
		return err
	}
	now := s.Clock.Now()
	n, since, countErr := s.Book.CountPayer(ctx, wish.Plan.AccountID, now)
	if countErr != nil {
		return countErr
	}
	if n >= maxIndeterminate && now.Sub(since) >= giveUpAfter {
		if nextErr := s.Book.NextPayer(ctx, wish.Plan.AccountID, now); nextErr != nil {
			return nextErr
		}
	}
	return err
}
