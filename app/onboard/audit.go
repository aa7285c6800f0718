package onboard

import (
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
)

// note begins the audit entry of a change, which its transaction appends as its last
// step.
func (s *Service) note(by access.Principal, action audit.Action, object, id string) audit.Entry {
	return audit.New(by, s.Clock.Now(), action, object, id)
}

func connectionFacts(c account.Connection) audit.Facts {
	return audit.Facts{"roles": strings.Join(c.Roles.Names(), ", "), "stripe_account_id": c.StripeAccountID, "key_mask": c.KeyMask, "user_id_key": c.UserIDKey, "paused": pausedText(c), "writing_off": strconv.FormatBool(c.WriteBackOff)}
}

func pausedText(c account.Connection) string {
	if !c.Paused {
		return "no"
	}
	return c.PausedReason
}

func accountFacts(a account.Account) audit.Facts {
	return audit.Facts{"name": a.Name, "source_connection": a.SourceConnection, "issuer_connection": a.IssuerConnection, "payer_customer": a.PayerCustomer}
}

func endpointFacts(e Endpoint) audit.Facts {
	if e.ID == "" {
		return nil
	}
	return audit.Facts{"url": e.URL, "stripe_id": e.StripeID, "set_up": string(e.SetUp), "status": string(e.Status), "retiring_id": e.RetiringID}
}

// contractFacts hold the hash, which stands for every term.
func contractFacts(c billing.Contract) audit.Facts {
	return audit.Facts{
		"version": strconv.Itoa(c.Version), "hash": c.Hash, "share": c.Terms.Share, "basis": string(c.Terms.Basis), "first_period": c.Terms.FirstPeriod,
		"effective_from": c.Terms.EffectiveFrom,
	}
}

func planFacts(p StoredPlan) audit.Facts {
	return audit.Facts{"hash": p.Plan.Hash(), "first_period": p.Plan.Plan().FirstPeriod}
}

func snapshotFacts(n Snapshot) audit.Facts {
	return audit.Facts{"name": n.Name, "shipped_at": n.ShippedAt.Format(time.RFC3339)}
}
