package account

import (
	"fmt"
	"slices"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// Right is whether a key may do something.
type Right string

// What is known of a right.
const (
	Granted Right = "granted"
	Refused Right = "refused"
	// Unknown: it was not asked, or Stripe's answer says nothing about it.
	Unknown Right = "unknown"
)

// Access is what a key may do with one row of the Dashboard's list of permissions.
type Access struct {
	// Row is the name of the row, as in Needs.
	Row         string
	Read, Write Right
	// Slug is how Stripe calls the missing permission, where it said so.
	Slug string
}

// Need is one permission that a role uses.
type Need struct {
	Row string
	// Label is what the Dashboard calls the row.
	Label string
	// Write is whether writing is needed; reading always is.
	Write bool
	// Optional: everything that is billed can be computed without it.
	Optional bool
	Why      string
}

// needs by role. The rows are in the order in which they are asked.
var (
	sourceNeeds = []Need{
		{Row: "customers", Label: "Customers", Why: "whose a payment is"},
		{Row: "subscriptions", Label: "Subscriptions", Why: "trials, conversions, changes and churn"},
		{Row: "invoices", Label: "Invoices", Why: "confirmed revenue"},
		{Row: "charges", Label: "Charges and Refunds", Why: "refunds, and whose money they were"},
		{Row: "disputes", Label: "Disputes", Why: "money that is contested"},
		{Row: "credit_notes", Label: "Credit notes", Why: "corrections of invoices"},
		{Row: "events", Label: "Events", Why: "events that no webhook brought"},
		{Row: "products", Label: "Products", Optional: true, Why: "names of what is subscribed"},
		{Row: "prices", Label: "Prices", Optional: true, Why: "the monthly worth of a plan"},
		{Row: "coupons", Label: "Coupons", Optional: true, Why: "discounts of the monthly worth"},
		{Row: "payment_intents", Label: "Payment Intents", Optional: true, Why: "payments of invoices in newer API versions"},
		{Row: "balance", Label: "Balance", Optional: true, Why: "telling test keys from live ones in an empty account"},
	}
	issuerNeeds = []Need{
		{Row: "customers", Label: "Customers", Why: "the payer"},
		{Row: "invoices", Label: "Invoices", Write: true, Why: "the outcome invoice"},
		{Row: "invoice_items", Label: "Invoice items", Write: true, Why: "the lines of the outcome invoice"},
		{Row: "credit_notes", Label: "Credit notes", Write: true, Why: "corrections of the outcome invoice"},
	}
	webhookNeed = Need{Row: "webhook_endpoints", Label: "Webhook Endpoints", Write: true, Optional: true, Why: "registering the webhook endpoint for you"}
)

// Needs lists the permissions that the roles use, each row once.
func (r Roles) Needs() []Need {
	var out []Need
	add := func(n Need) {
		if i := slices.IndexFunc(out, func(o Need) bool { return o.Row == n.Row }); i >= 0 {
			if n.Write && !out[i].Write {
				out[i].Why += "; " + n.Why
			}
			out[i].Write, out[i].Optional = out[i].Write || n.Write, out[i].Optional && n.Optional
			return
		}
		out = append(out, n)
	}
	if r.Source {
		for _, n := range sourceNeeds {
			add(n)
		}
	}
	if r.Issuer {
		for _, n := range issuerNeeds {
			add(n)
		}
	}
	add(webhookNeed)
	return out
}

// Severity says what a finding means for the connection.
type Severity string

// The severities.
const (
	// Missing: something that the connection is for does not work.
	Missing Severity = "missing"
	// Limited: something optional does not work.
	Limited Severity = "limited"
	// Broad: the key may do more than it needs.
	Broad Severity = "broad"
	// Unchecked: it could not be found out.
	Unchecked Severity = "unchecked"
	// Fine: as it should be.
	Fine Severity = "fine"
)

// Finding is one line of a key's review, in plain words.
type Finding struct {
	Severity Severity `json:"severity"`
	// Permission names the row and the right, as the Dashboard does: "Invoices: write".
	Permission string `json:"permission"`
	Slug       string `json:"slug,omitempty"`
	Message    string `json:"message"`
	// Do is the remedy; empty where there is nothing to do.
	Do string `json:"do,omitempty"`
}

const dashboard = "in the Stripe Dashboard (Developers, API keys)"

// Review compares what a key may do with what the roles need.
func Review(key SecretKey, roles Roles, seen []Access) []Finding {
	var out []Finding
	if !key.Restricted() {
		out = append(out, Finding{Severity: Broad, Permission: "everything", Message: "this is a secret key (sk_…): it may do everything with the Stripe account",
			Do: "Create a restricted key with the permissions below " + dashboard + ", replace this one and roll it"})
	}
	needs := roles.Needs()
	for _, n := range needs {
		i := slices.IndexFunc(seen, func(a Access) bool { return a.Row == n.Row })
		if i < 0 {
			seen = append(seen, Access{Row: n.Row, Read: Unknown, Write: Unknown})
			i = len(seen) - 1
		}
		out = append(out, reviewNeed(n, seen[i])...)
	}
	if !key.Restricted() {
		return out // that it may do too much is said already
	}
	for _, a := range seen {
		i := slices.IndexFunc(needs, func(n Need) bool { return n.Row == a.Row })
		out = append(out, reviewExcess(a, i >= 0, i >= 0 && needs[i].Write)...)
	}
	return out
}

// reviewNeed says how a need is met. Writing implies reading.
func reviewNeed(n Need, a Access) []Finding {
	lacking := Missing
	if n.Optional {
		lacking = Limited
	}
	grant := func(level string) string { return fmt.Sprintf("Grant the key %s on %q %s", level, n.Label, dashboard) }
	read := Finding{Permission: n.Label + ": read", Slug: a.Slug}
	switch {
	case a.Read == Refused && n.Write:
		return []Finding{{Severity: lacking, Permission: n.Label + ": write", Slug: a.Slug, Message: "needed for " + n.Why, Do: grant("write")}}
	case a.Read == Refused:
		read.Severity, read.Message, read.Do = lacking, "needed for "+n.Why, grant("read")
		return []Finding{read}
	case a.Read == Unknown:
		read.Severity, read.Message = Unchecked, "it could not be found out whether the key may read this; needed for "+n.Why
		return []Finding{read}
	case !n.Write:
		read.Severity, read.Message = Fine, n.Why
		return []Finding{read}
	}
	write := Finding{Permission: n.Label + ": write", Slug: a.Slug}
	switch a.Write {
	case Granted:
		write.Severity, write.Message = Fine, n.Why
	case Refused:
		write.Severity, write.Message, write.Do = lacking, "needed for "+n.Why, grant("write")
	case Unknown:
		write.Severity, write.Message = Unchecked, "not asked: it would take a write, and nothing is written with this connection"
	}
	return []Finding{write}
}

// reviewExcess names rights that nobody uses.
func reviewExcess(a Access, read, write bool) []Finding {
	label := labelOf(a.Row)
	switch {
	case a.Write == Granted && !write:
		return []Finding{{Severity: Broad, Permission: label + ": write", Message: "the key may write this, and nothing here ever does",
			Do: fmt.Sprintf("Reduce the key's permission on %q %s", label, dashboard)}}
	case a.Read == Granted && !read:
		return []Finding{{Severity: Broad, Permission: label + ": read", Message: "the key may read this, and nothing here ever does",
			Do: fmt.Sprintf("Take the permission on %q from the key %s", label, dashboard)}}
	}
	return nil
}

func labelOf(row string) string {
	for _, n := range append(append([]Need{webhookNeed}, sourceNeeds...), issuerNeeds...) {
		if n.Row == row {
			return n.Label
		}
	}
	return row
}

// Rows lists every row that a review may ask for.
func Rows() []string {
	var out []string
	for _, n := range (Roles{Source: true, Issuer: true}).Needs() {
		out = append(out, n.Row)
	}
	return out
}

// ParseWebhookSecret checks a signing secret that was pasted by hand and never repeats it.
func ParseWebhookSecret(text string) (string, error) {
	text = strings.TrimSpace(text)
	bad := func(code, msg string) (string, error) {
		return "", fault.InvalidField("secret", code, "%s", msg).
			Fix("Paste the signing secret of the endpoint, which begins with whsec_ (Stripe Dashboard, Developers, Webhooks, Reveal)")
	}
	switch {
	case text == "":
		return bad("secret_missing", "a signing secret is required")
	case hasAnyPrefix(text, "sk_", "rk_"):
		return bad("secret_is_key", "this is an API key, not the signing secret of an endpoint; roll it if this form was logged elsewhere")
	case hasAnyPrefix(text, "pk_"):
		return bad("secret_is_publishable", "this is a publishable key, not the signing secret of an endpoint")
	case hasAnyPrefix(text, "we_"):
		return bad("secret_is_endpoint", "this is the ID of an endpoint, not its signing secret")
	case !hasAnyPrefix(text, "whsec_") || len(text) < 20:
		return bad("secret_unreadable", "this is not the signing secret of a Stripe endpoint")
	}
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return bad("secret_unreadable", "the secret holds a character that no signing secret has")
		}
	}
	return text, nil
}

func hasAnyPrefix(text string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(text, p) })
}
