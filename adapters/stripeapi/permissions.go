package stripeapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Objects that no Stripe account has: their IDs are not of the form that Stripe gives.
const (
	nobody   = "cus_liftbill_permission_probe"
	nothing  = "in_liftbill_permission_probe"
	nowhere  = "we_liftbill_permission_probe"
	opProbe  = "key.check"
	probeTag = keyPrefix + "probe:"
)

// readPaths is what is listed to learn whether a key may read a row.
var readPaths = map[string]string{
	"customers": "/v1/customers", "subscriptions": "/v1/subscriptions", "invoices": "/v1/invoices", "invoice_items": "/v1/invoiceitems",
	"charges": "/v1/charges", "disputes": "/v1/disputes", "credit_notes": "/v1/credit_notes", "events": "/v1/events", "products": "/v1/products",
	"prices": "/v1/prices", "coupons": "/v1/coupons", "payment_intents": "/v1/payment_intents", "balance": "/v1/balance", "webhook_endpoints": endpointsPath,
}

// writeProbes is what is sent to learn whether a live key may write a row.
var writeProbes = map[string]struct {
	path   string
	params any
}{
	"invoices":      {"/v1/invoices", &stripe.InvoiceParams{Customer: stripe.String(nobody)}},
	"invoice_items": {"/v1/invoiceitems", &stripe.InvoiceItemParams{Customer: stripe.String(nobody), Amount: stripe.Int64(1), Currency: stripe.String("usd")}},
	"credit_notes":  {"/v1/credit_notes", &stripe.CreditNoteParams{Invoice: stripe.String(nothing)}},
}

// Permissions asks Stripe what a key may do, row by row. Reading is asked by reading.
// Whether a live key may write invoices is asked with requests that name objects which
// do not exist, so that the answer is all that they can bring; nothing of the kind is
// ever sent with a test key. Rights on webhook endpoints are asked by deleting one that
// does not exist, with the registrar's client, in both modes.
func (p *Prober) Permissions(ctx context.Context, key account.SecretKey) ([]account.Access, error) {
	env := key.Environment()
	limit := p.c.limiter(onboarding, env)
	reader := p.c.open(readerRole, key, env, limit)
	out := make([]account.Access, 0, len(readPaths))
	for _, row := range account.Rows() {
		a := account.Access{Row: row, Write: account.Unknown}
		var err error
		if a.Read, a.Slug, err = reader.mayRead(ctx, readPaths[row]); err != nil {
			return nil, err
		}
		switch {
		case a.Read == account.Refused:
			a.Write = account.Refused // writing implies reading
		case row == "webhook_endpoints":
			a.Write, a.Slug, err = p.c.open(registrarRole, key, env, limit).mayDelete(ctx)
		case env == account.Live && writeProbes[row].path != "":
			a.Write, a.Slug, err = p.c.open(proberRole, key, env, limit).mayWrite(ctx, row)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (s *session) mayRead(ctx context.Context, path string) (account.Right, string, error) {
	r := request{op: opProbe, method: http.MethodGet, path: path}
	if path != "/v1/balance" {
		r.params = &stripe.ListParams{Limit: stripe.Int64(1)}
	}
	_, err := s.call(ctx, r)
	return rightOf(err, false)
}

func (s *session) mayWrite(ctx context.Context, row string) (account.Right, string, error) {
	probe := writeProbes[row]
	_, err := s.call(ctx, request{op: opProbe, method: http.MethodPost, path: probe.path, params: probe.params, key: s.probeKey(row)})
	return rightOf(err, true)
}

func (s *session) mayDelete(ctx context.Context) (account.Right, string, error) {
	_, err := s.call(ctx, request{op: opProbe, method: http.MethodDelete, path: endpointsPath + "/" + nowhere, key: s.probeKey("webhook_endpoints")})
	return rightOf(err, true)
}

// probeKey is new for every question: a stored answer would tell of yesterday's key.
func (s *session) probeKey(row string) string {
	return probeTag + row + ":" + strconv.FormatInt(s.now().UnixNano(), 10)
}

// rightOf reads an answer. A write that failed because its object does not exist came past
// the check of the permission; one that succeeded cannot be, and is told loudly.
func rightOf(err error, write bool) (account.Right, string, error) {
	switch code := fault.CodeOf(err); {
	case err == nil && write:
		return account.Unknown, "", fault.New(fault.Internal, "probe_succeeded", "Stripe accepted a request about an object that cannot exist").
			Fix("Look at the request log of the Stripe account before anything else is done with this key")
	case err == nil:
		return account.Granted, "", nil
	case code == codePermission:
		return account.Refused, permissionOf(err), nil
	case write && (code == codeNotFound || code == codeMissing):
		return account.Granted, "", nil
	case code == codeNotFound, code == codeInvalid, code == codeState, code == codeMissing:
		return account.Unknown, "", nil // not offered to this account, or refused for another reason
	}
	return account.Unknown, "", err
}

func permissionOf(err error) string { return permissionRE.FindString(err.Error()) }
