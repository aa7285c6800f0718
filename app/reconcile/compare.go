package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/domain/source"
)

// Comparison is one object as both sides have it now, field by field.
type Comparison struct {
	ConnectionID string
	Object, ID   string
	At           time.Time
	// InLedger and AtStripe tell whether each side knows it at all.
	InLedger, AtStripe bool
	Fields             []recon.Field
}

// comparable are the objects that can be compared by their ID.
var comparable = []string{"invoice", "subscription", "refund", "dispute"}

// Compare reads one object of an account's source at Stripe and sets it beside what the
// ledger holds of it. It changes nothing; a difference is a break once a run finds it.
func (r *Reconciler) Compare(ctx context.Context, by access.Principal, connectionID, object, id string) (Comparison, error) {
	out := Comparison{ConnectionID: connectionID, Object: object, ID: id, At: r.Clock.Now()}
	if err := access.RequirePermission(by, access.RunSync); err != nil {
		return out, err
	}
	if !slices.Contains(comparable, object) {
		return out, fault.InvalidField("object", "object_unknown", "%q cannot be compared", object).Fix("Use invoice, subscription, refund or dispute")
	}
	b, err := r.Ledger.Budget(ctx, connectionID, out.At)
	if err != nil {
		return out, err
	}
	if b.Left(source.ForMoney) <= 0 {
		return out, fault.New(fault.RateLimited, "read_allowance", "the read allowance of connection %s is used up", connectionID).Fix("Try again tomorrow")
	}
	theirs, err := r.Stripe.ReconFields(ctx, connectionID, object, id)
	if countErr := r.Ledger.AddReads(ctx, connectionID, r.Stripe.TakeReads(connectionID), out.At); countErr != nil {
		return out, errors.Join(err, countErr)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return out, err
	}
	out.AtStripe = err == nil
	ours, err := r.Ledger.Fields(ctx, connectionID, object, id)
	if err != nil {
		return out, err
	}
	out.InLedger = len(ours) > 0
	if !out.InLedger && !out.AtStripe {
		return out, fault.New(fault.NotFound, "object_not_found", "neither the ledger nor Stripe knows %s %s", object, id)
	}
	out.Fields = recon.Compare(ours, theirs)
	return out, nil
}
