package ingest

import (
	"time"

	"github.com/liftbill/liftbill/domain/mapping"
	"github.com/liftbill/liftbill/domain/reward"
)

// CustomerAid is what the address of a customer leaves behind: the hashes that the
// connection maps by, and nothing else. Nil is an aid that the customer does not have.
type CustomerAid struct {
	Customer      string
	Email, Domain *mapping.Hash
	SeenAt        time.Time
}

// AidOf hashes the address of a customer that an event or a read showed. The address itself
// ends here.
func AidOf(byEmail, byDomain bool, got reward.Classification) *CustomerAid {
	if (!byEmail && !byDomain) || got.Envelope.ObjectType != "customer" || got.Envelope.Type == "customer.deleted" {
		return nil
	}
	aid := &CustomerAid{Customer: got.Envelope.ObjectID, SeenAt: got.Envelope.Created}
	if h, ok := mapping.EmailHash(got.Identity.Email); ok && byEmail {
		aid.Email = &h
	}
	if h, ok := mapping.DomainHash(got.Identity.Email); ok && byDomain {
		aid.Domain = &h
	}
	return aid
}
