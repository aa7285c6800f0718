package onboard

import (
	"context"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/account"
)

// seenFor is how far back received events say what an endpoint delivers.
const seenFor = 35 * 24 * time.Hour

// Webhook is a connection's endpoint with what it does not deliver.
type Webhook struct {
	// URL is the address to enter in the Stripe Dashboard, also when there is no endpoint.
	URL string
	// Endpoint has no ID when there is none.
	Endpoint Endpoint
	// Received counts the events that it brought in the last 35 days, by type.
	Received map[string]int64
	Gaps     []Gap
}

// Gap is something that no event of the endpoint tells.
type Gap struct {
	// Events are the types that would tell it; any of them is enough.
	Events []string
	// Certain: the endpoint does not listen to them. Otherwise none came so far.
	Certain bool
	// Means says what is missing without them, and where else it can come from.
	Means string
}

// told are the groups of events of which each tells something of its own.
var told = []struct {
	roles  account.Roles
	events []string
	means  string
}{
	{account.Roles{Source: true}, []string{"customer.updated", "customer.created"},
		"customers are joined to users only when they are read from Stripe (pull), or by a person"},
	{account.Roles{Source: true}, []string{"customer.subscription.created"}, "starts of subscriptions and trials are missed"},
	{account.Roles{Source: true}, []string{"customer.subscription.updated"}, "conversions, upgrades, downgrades and cancellations are missed"},
	{account.Roles{Source: true}, []string{"customer.subscription.deleted"}, "churn and cancelled trials are missed"},
	{account.Roles{Source: true}, []string{"customer.subscription.trial_will_end"}, "notices of trials that end are missed; trial ends are told by other events"},
	{account.Roles{Source: true}, []string{"invoice.payment_succeeded", "invoice.paid"}, "no revenue is confirmed unless invoices are read from Stripe (pull)"},
	{account.Roles{Source: true}, []string{"invoice.payment_failed"}, "failed payments are seen only as a subscription that turns past due"},
	{account.Roles{Source: true}, []string{"charge.refunded", "refund.created", "refund.updated", "charge.refund.updated"},
		"refunds are not subtracted from revenue unless they are read from Stripe (pull)"},
	{account.Roles{Source: true}, []string{"charge.dispute.created", "charge.dispute.funds_withdrawn"},
		"disputes are not subtracted from revenue unless they are read from Stripe (pull)"},
	{account.Roles{Source: true}, []string{"charge.dispute.closed", "charge.dispute.funds_reinstated"}, "won disputes are not added back unless they are read from Stripe (pull)"},
	{account.Roles{Source: true}, []string{"credit_note.created", "credit_note.updated"}, "credit notes are not subtracted from revenue unless they are read from Stripe (pull)"},
	{account.Roles{Issuer: true}, []string{"invoice.paid", "invoice.payment_succeeded"}, "payments of outcome invoices are seen only when they are read from Stripe"},
	{account.Roles{Issuer: true}, []string{"invoice.voided", "invoice.updated"}, "changes of outcome invoices at Stripe are seen only when they are read from Stripe"},
}

// Webhook returns a connection's endpoint and says what it does not deliver.
func (s *Service) Webhook(ctx context.Context, connectionID string) (Webhook, error) {
	conn, e, err := s.endpoint(ctx, connectionID)
	if err != nil {
		return Webhook{}, err
	}
	out := Webhook{URL: s.EndpointURL(connectionID), Endpoint: e}
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		out.Received, err = st.Connections.EventTypes(ctx, connectionID, s.Clock.Now().Add(-seenFor))
		return err
	})
	if err == nil && e.ID != "" {
		out.Gaps = gapsOf(conn.Roles, e.Events, out.Received)
	}
	return out, err
}

func gapsOf(roles account.Roles, enabled []string, received map[string]int64) []Gap {
	var out []Gap
	for _, g := range told {
		if (g.roles.Source && !roles.Source) || (g.roles.Issuer && !roles.Issuer) {
			continue
		}
		came := slices.ContainsFunc(g.events, func(t string) bool { return received[t] > 0 })
		listens := slices.Contains(enabled, "*") || slices.ContainsFunc(g.events, func(t string) bool { return slices.Contains(enabled, t) })
		switch {
		case enabled != nil && !listens && !came:
			out = append(out, Gap{Events: g.events, Certain: true, Means: g.means})
		case enabled == nil && !came:
			out = append(out, Gap{Events: g.events, Means: g.means})
		}
	}
	return out
}
