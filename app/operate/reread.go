package operate

import (
	"context"
	"strings"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// readable are the objects that can be read at Stripe, by the beginning of their ID.
var readable = map[string]string{
	"in": "invoice", "sub": "subscription", "ch": "charge", "py": "charge", "re": "refund", "pyr": "refund", "dp": "dispute", "du": "dispute", "cus": "customer",
	"cn": "credit_note",
}

// ObjectOf is the kind of object that an ID names; empty for one that is not read.
func ObjectOf(id string) string {
	prefix, rest, _ := strings.Cut(id, "_")
	if rest == "" {
		return ""
	}
	return readable[prefix]
}

// Reread has one object of a connection read at Stripe again: whatever it tells is booked
// under natural keys, so that what is known already changes nothing. The read is queued and
// made within the connection's read allowance.
func (s *Service) Reread(ctx context.Context, by access.Principal, connectionID, objectID, reason string) error {
	reason = strings.TrimSpace(reason)
	object := ObjectOf(objectID)
	switch {
	case reason == "" || len(reason) > 1000:
		return fault.InvalidField("reason", "reason_missing", "say why, in 1 to 1000 characters")
	case object == "" || len(objectID) > 255:
		return fault.InvalidField("object_id", "object_unknown", "%q is no object that can be read", objectID).
			Fix("Use the ID of an invoice, a subscription, a charge, a refund, a dispute, a credit note or a customer")
	}
	env, err := s.mayRun(ctx, by, connectionID)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	note := audit.New(by, now, audit.ObjectReread, "connection", connectionID).In("", env).Because(reason).Changed(nil, audit.Facts{"object": object, "object_id": objectID})
	return s.Queue.AskRead(ctx, connectionID, object, objectID, now, note)
}
