package invoicing

import (
	"context"
	"regexp"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// SetupRequest asks for a page on which the payer enters a payment method.
type SetupRequest struct {
	AccountID string
	// SuccessURL and CancelURL are where Stripe sends the payer afterwards; an empty
	// CancelURL is the SuccessURL.
	SuccessURL string
	CancelURL  string
}

// SetupLink is such a page.
type SetupLink struct {
	AccountID string
	Customer  string
	URL       string
	ExpiresAt time.Time
}

// SetupLink makes a page of Stripe's on which the payer of a live account enters a
// payment method, or returns the one that is still open. What comes of it becomes the
// payer's default when the cycle runs next. It is sent by a person, never by us.
func (s *Service) SetupLink(ctx context.Context, by access.Principal, in SetupRequest) (SetupLink, error) {
	if err := in.check(); err != nil {
		return SetupLink{}, err
	}
	if s.Setups == nil {
		return SetupLink{}, fault.New(fault.Conflict, "live_writes_off", "this process may not write to Stripe").
			Fix("Ask one that runs with LIFTBILL_STRIPE_LIVE=true")
	}
	st, err := s.Book.SetupOf(ctx, in.AccountID)
	if err != nil {
		return SetupLink{}, err
	}
	if err := access.Require(by, access.WriteSetup, in.AccountID, st.Environment); err != nil {
		return SetupLink{}, err
	}
	if st.Environment != account.Live {
		return SetupLink{}, fault.New(fault.Conflict, "dry_run", "account %s is a test account: nothing is written for it", in.AccountID).
			Fix("Ask for the link of the live account")
	}
	if st.Permit.Customer == "" {
		return SetupLink{}, unmet(billing.UnmetPayerMissing)
	}
	w, payer, err := s.openSetup(ctx, st)
	if err != nil {
		return SetupLink{}, err
	}
	link, err := s.setupLink(ctx, by, w, payer, st, in)
	if logErr := s.Book.LogPayerCalls(ctx, in.AccountID, w.Calls(), s.Clock.Now()); err == nil {
		err = logErr
	}
	return link, err
}

// httpsAddress is an https address of a named host, without credentials.
var httpsAddress = regexp.MustCompile(`^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][!-~]*)?$`)

func (in *SetupRequest) check() error {
	if in.CancelURL == "" {
		in.CancelURL = in.SuccessURL
	}
	for field, text := range map[string]string{"success_url": in.SuccessURL, "cancel_url": in.CancelURL} {
		if !httpsAddress.MatchString(text) {
			return fault.InvalidField(field, "url_malformed", "an https address is required").Fix("Give the page of yours to which the payer returns")
		}
	}
	return nil
}

func (s *Service) openSetup(ctx context.Context, st Setup) (SetupWriter, Payer, error) {
	proof, payer, err := s.Writers.Witness(ctx, st.Permit.IssuerConnection, st.Permit.Customer)
	if err != nil {
		return nil, payer, err
	}
	permit, err := billing.AuthorizeSetup(proof, st.Environment, st.Permit)
	if err != nil {
		return nil, payer, err
	}
	w, err := s.Setups.OpenSetup(ctx, permit)
	return w, payer, err
}

func (s *Service) setupLink(ctx context.Context, by access.Principal, w SetupWriter, payer Payer, st Setup, in SetupRequest) (SetupLink, error) {
	switch {
	case payer.Deleted:
		return SetupLink{}, fault.New(fault.Conflict, billing.HumanPayerDeleted, "customer %s was deleted at Stripe", st.Permit.Customer).
			Fix("Name a new payer first (liftbill account payer set)")
	case payer.HasDefaultPaymentMethod:
		return SetupLink{}, fault.New(fault.Conflict, "payment_method_present", "the payer has a default payment method already").
			Fix("Run the cycle again; to replace the method, do it at Stripe")
	}
	if st.SessionID != "" && !st.Done {
		open, err := w.Session(ctx, st.SessionID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return SetupLink{}, err
		}
		if err == nil && open.Status == SetupOpen {
			return linkOf(st, open), nil
		}
	}
	// Counted before it is sent: a page whose answer was lost is one that nobody is shown.
	note := audit.New(by, s.Clock.Now(), audit.PayerSetupLink, "account", in.AccountID).In(in.AccountID, st.Environment)
	n, err := s.Book.NextSetup(ctx, in.AccountID, st.Permit.Customer, note)
	if err != nil {
		return SetupLink{}, err
	}
	made, err := w.CreateSession(ctx, n, in.SuccessURL, in.CancelURL)
	if err != nil {
		return SetupLink{}, err
	}
	return linkOf(st, made), s.Book.SaveSetup(ctx, in.AccountID, st.Permit.Customer, n, made.ID, false, s.Clock.Now())
}

func linkOf(st Setup, session SetupSession) SetupLink {
	return SetupLink{AccountID: st.Permit.AccountID, Customer: st.Permit.Customer, URL: session.URL, ExpiresAt: session.ExpiresAt}
}

// finishSetup makes the method of a finished set-up page the payer's default. Without
// one the payer has to act, and nothing is posted.
func (s *session) finishSetup(ctx context.Context) error {
	st, err := s.Book.SetupOf(ctx, s.intent.Plan.AccountID)
	if err != nil {
		return err
	}
	if st.SessionID == "" || st.Done || st.Permit.Customer != s.intent.Plan.Key.Customer {
		return unmet(billing.UnmetPayerMethod)
	}
	w, _, err := s.openSetup(ctx, st)
	if err != nil {
		return err
	}
	payer, err := s.takeMethod(ctx, w, st)
	if logErr := s.Book.LogPayerCalls(ctx, st.Permit.AccountID, w.Calls(), s.Clock.Now()); err == nil {
		err = logErr
	}
	if err != nil {
		return err
	}
	if s.payer = payer; !payer.HasDefaultPaymentMethod {
		return unmet(billing.UnmetPayerMethod)
	}
	return nil
}

func (s *session) takeMethod(ctx context.Context, w SetupWriter, st Setup) (Payer, error) {
	page, err := w.Session(ctx, st.SessionID)
	if fault.Is(err, fault.NotFound) || (err == nil && page.Status != SetupComplete) {
		return s.payer, nil
	}
	if err != nil {
		return s.payer, err
	}
	method, err := w.PaymentMethodOf(ctx, page.Intent)
	if err != nil || method == "" {
		return s.payer, err
	}
	payer, err := w.SetDefault(ctx, st.Number, method)
	if err != nil {
		return s.payer, err
	}
	return payer, s.Book.SaveSetup(ctx, st.Permit.AccountID, st.Permit.Customer, st.Number, st.SessionID, true, s.Clock.Now())
}
