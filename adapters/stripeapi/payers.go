package stripeapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// metadataPayer holds the key under which a customer was created.
const metadataPayer = "lb_payer"

// Payers opens finders of payers at live issuers.
type Payers struct{ c *Client }

var _ invoicing.Payers = (*Payers)(nil)

// NewPayers makes the source of finders.
func NewPayers(c *Client) *Payers { return &Payers{c: c} }

// ProveIssuer returns the proof that an issuer connection is live, by whatever object
// its key can read.
func (p *Payers) ProveIssuer(ctx context.Context, connectionID string) (account.LiveProof, error) {
	i, err := p.c.issuer(ctx, connectionID)
	if err != nil {
		return account.LiveProof{}, err
	}
	return p.c.proveIssuer(ctx, i)
}

// OpenPayer opens the finder of one authorised payer.
func (p *Payers) OpenPayer(ctx context.Context, permit billing.PayerCreation) (invoicing.PayerFinder, error) {
	if !permit.Valid() {
		return nil, modeViolation("nobody authorised the creation of this payer")
	}
	plan := permit.Plan()
	i, proof, err := p.c.readyIssuer(ctx, plan.IssuerConnection)
	if err != nil {
		return nil, err
	}
	if proof.ConnectionID() != plan.IssuerConnection {
		return nil, modeViolation("connection %s is not the proven issuer of the payer", i.conn.ID)
	}
	return &payerFinder{wire: p.c.liveWire(payerRole, i.key, i.conn.ID), plan: plan}, nil
}

type payerFinder struct {
	wire *liveWire
	plan billing.PayerPlan
}

// Calls returns and clears the log of requests.
func (f *payerFinder) Calls() []invoicing.Call { return f.wire.Calls() }

// ByEmail lists the customers with exactly the plan's address; Stripe compares its case.
func (f *payerFinder) ByEmail(ctx context.Context) ([]invoicing.Customer, error) {
	return f.list(ctx, &stripe.CustomerListParams{Email: stripe.String(f.plan.Email)}, func(invoicing.Customer) bool { return true })
}

// MadeSince lists the account's customers among those that were made since then.
func (f *payerFinder) MadeSince(ctx context.Context, t time.Time) ([]invoicing.Customer, error) {
	// A margin for clocks that differ.
	since := t.Add(-time.Hour).Unix()
	params := &stripe.CustomerListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since}}
	return f.list(ctx, params, func(c invoicing.Customer) bool { return c.Account == f.plan.AccountID })
}

func (f *payerFinder) list(ctx context.Context, params *stripe.CustomerListParams, keep func(invoicing.Customer) bool) ([]invoicing.Customer, error) {
	if err := f.wire.note.halted(); err != nil {
		return nil, err
	}
	var out []invoicing.Customer
	err := f.wire.s.list(ctx, "customer.list", customersPath, params, func(raw json.RawMessage) (bool, error) {
		c, err := decodeCustomer(raw)
		if err == nil && keep(c) {
			out = append(out, c)
		}
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Create creates the customer of a generation.
func (f *payerFinder) Create(ctx context.Context, generation int) (invoicing.Customer, error) {
	raw, err := f.wire.send(ctx, request{
		op: "customer.create", method: http.MethodPost, path: customersPath, key: f.plan.Key() + ":g" + strconv.Itoa(generation),
		params: &stripe.CustomerParams{
			Name: stripe.String(f.plan.Name), Email: stripe.String(f.plan.Email),
			Metadata: map[string]string{billing.PayerAccountKey: f.plan.AccountID, metadataPayer: f.plan.Key()},
		},
	})
	if err != nil {
		return invoicing.Customer{}, err
	}
	c, err := decodeCustomer(raw)
	return c, afterWrite(err)
}

func decodeCustomer(raw json.RawMessage) (invoicing.Customer, error) {
	var r struct {
		ID       string            `json:"id"`
		Object   string            `json:"object"`
		Created  int64             `json:"created"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &r); err != nil || r.Object != "customer" || r.ID == "" {
		return invoicing.Customer{}, badAnswer("a customer")
	}
	return invoicing.Customer{
		ID: r.ID, Account: r.Metadata[billing.PayerAccountKey], Key: r.Metadata[metadataPayer], Created: time.Unix(r.Created, 0).UTC(),
	}, nil
}

const (
	sessionsPath     = "/v1/checkout/sessions"
	setupIntentsPath = "/v1/setup_intents"
)

// Setups opens set-up writers for payers of live issuers.
type Setups struct{ c *Client }

var _ invoicing.Setups = (*Setups)(nil)

// NewSetups makes the source of set-up writers.
func NewSetups(c *Client) *Setups { return &Setups{c: c} }

// OpenSetup opens the set-up writer of one authorised payer.
func (p *Setups) OpenSetup(ctx context.Context, permit billing.SetupPermission) (invoicing.SetupWriter, error) {
	if !permit.Valid() {
		return nil, modeViolation("nobody authorised the set-up of this payer")
	}
	setup := permit.Setup()
	i, proof, err := p.c.readyIssuer(ctx, setup.IssuerConnection)
	if err != nil {
		return nil, err
	}
	if proof.ConnectionID() != setup.IssuerConnection {
		return nil, modeViolation("connection %s is not the proven issuer of the payer", i.conn.ID)
	}
	return &setupWriter{wire: p.c.liveWire(setupRole, i.key, i.conn.ID), setup: setup}, nil
}

type setupWriter struct {
	wire  *liveWire
	setup billing.PayerSetup
}

// Calls returns and clears the log of requests.
func (w *setupWriter) Calls() []invoicing.Call { return w.wire.Calls() }

// CreateSession makes the n-th page for the payer.
func (w *setupWriter) CreateSession(ctx context.Context, n int, successURL, cancelURL string) (invoicing.SetupSession, error) {
	own := map[string]string{billing.PayerAccountKey: w.setup.AccountID, "lb_setup": w.setup.Key()}
	raw, err := w.wire.send(ctx, request{
		op: "checkout_session.create", method: http.MethodPost, path: sessionsPath, key: w.setup.Key() + ":" + strconv.Itoa(n),
		params: &stripe.CheckoutSessionParams{
			Mode: stripe.String("setup"), Customer: stripe.String(w.setup.Customer), Currency: stripe.String(w.setup.Currency),
			SuccessURL: stripe.String(successURL), CancelURL: stripe.String(cancelURL), Metadata: own,
			SetupIntentData: &stripe.CheckoutSessionSetupIntentDataParams{Metadata: own},
		},
	})
	if err != nil {
		return invoicing.SetupSession{}, err
	}
	s, err := decodeSession(raw)
	return s, afterWrite(err)
}

// Session reads a page.
func (w *setupWriter) Session(ctx context.Context, id string) (invoicing.SetupSession, error) {
	raw, err := w.wire.get(ctx, "checkout_session.get", sessionsPath, id)
	if err != nil {
		return invoicing.SetupSession{}, err
	}
	return decodeSession(raw)
}

// PaymentMethodOf is the method of a SetupIntent of this payer that succeeded.
func (w *setupWriter) PaymentMethodOf(ctx context.Context, intentID string) (string, error) {
	raw, err := w.wire.get(ctx, "setup_intent.get", setupIntentsPath, intentID)
	if err != nil {
		return "", err
	}
	var r struct {
		Object   string `json:"object"`
		Status   string `json:"status"`
		Customer ref    `json:"customer"`
		Method   ref    `json:"payment_method"`
	}
	if err := json.Unmarshal(raw, &r); err != nil || r.Object != "setup_intent" {
		return "", badAnswer("a set-up intent")
	}
	if r.Status != "succeeded" || string(r.Customer) != w.setup.Customer {
		return "", nil
	}
	return string(r.Method), nil
}

// SetDefault makes a payment method the payer's default for invoices. State decides
// whether it is needed, so that the page's number suffices for the key.
func (w *setupWriter) SetDefault(ctx context.Context, n int, paymentMethod string) (invoicing.Payer, error) {
	path, err := objectPath(customersPath, w.setup.Customer)
	if err != nil {
		return invoicing.Payer{}, err
	}
	var payer invoicing.Payer
	for try := 1; ; try++ {
		raw, err := w.wire.send(ctx, request{
			op: "customer.update", method: http.MethodPost, path: path,
			key:    w.setup.Key() + ":" + strconv.Itoa(n) + ":default:" + strconv.Itoa(try),
			params: &stripe.CustomerParams{InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: stripe.String(paymentMethod)}},
		})
		if replayedAnswer(err) && fault.Is(err, fault.Indeterminate) && try <= persistLimit {
			continue // the stored answer of a lost attempt; setting a default twice sets it once
		}
		if err != nil {
			return payer, err
		}
		payer, err = decodePayer(raw)
		return payer, afterWrite(err)
	}
}

func decodeSession(raw json.RawMessage) (invoicing.SetupSession, error) {
	var r struct {
		ID        string `json:"id"`
		Object    string `json:"object"`
		URL       string `json:"url"`
		Status    string `json:"status"`
		Intent    ref    `json:"setup_intent"`
		ExpiresAt int64  `json:"expires_at"`
	}
	if err := json.Unmarshal(raw, &r); err != nil || r.Object != "checkout.session" || r.ID == "" || r.Status == "" {
		return invoicing.SetupSession{}, badAnswer("a checkout session")
	}
	out := invoicing.SetupSession{ID: r.ID, Status: r.Status, Intent: string(r.Intent), ExpiresAt: time.Unix(r.ExpiresAt, 0).UTC()}
	if r.Status == invoicing.SetupOpen {
		out.URL = r.URL
	}
	return out, nil
}
