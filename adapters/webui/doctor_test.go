package webui_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// scopes know the key of one connection.
type scopes struct{ l *ledger }

func (s scopes) KeyReport(_ context.Context, id string) (onboard.KeyReport, error) {
	if s.l.err != nil {
		return onboard.KeyReport{}, s.l.err
	}
	if id != "acme-stripe" {
		return onboard.KeyReport{}, fault.New(fault.NotFound, "key_not_checked", "the key of connection %q was never checked", id)
	}
	return onboard.KeyReport{Replaced: s.l.next == "replaced", ConnectionID: id, KeyMask: "rk_live_…4242", Environment: account.Live, CheckedBy: "user:ada", CheckedAt: now.Add(-26 * time.Hour), Findings: []account.Finding{
		{Severity: account.Fine, Permission: "Customers: read", Slug: "customers", Message: "the key may read customers"},
		{Severity: account.Broad, Permission: "Payouts: write", Slug: "payouts", Message: "the key may write payouts, which nothing needs", Do: "Set Payouts to none in the Stripe Dashboard"},
		{Severity: account.Missing, Permission: "Events: read", Slug: "events", Message: "the key may not read events", Do: "Set Events to read in the Stripe Dashboard"},
		{Severity: account.Unchecked, Permission: "Webhook Endpoints: write", Slug: "webhooks", Message: "it could not be found out"},
	}}, nil
}

func (s scopes) Diagnose(_ context.Context, _ access.Principal, id string, ask bool) ([]onboard.Check, error) {
	if ask {
		return nil, fault.New(fault.Internal, "asked", "an export does not ask Stripe")
	}
	return []onboard.Check{{Name: "key " + id, Detail: "rk_live_…4242; missing Events: read"}, {Name: "webhook " + id, OK: true, Detail: "registered, enabled"}}, s.l.err
}

// TestConnectionKeyAndDoctor: a connection shows what its key was found to allow, what is missing
// first and when Stripe was asked, and gives the doctor's report away as a file without asking
// Stripe; a key that was never checked says so.
func TestConnectionKeyAndDoctor(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	e := newDoor(l, d, webui.Options{})
	p := open(t, e, "/connections/acme-stripe")
	for _, want := range []string{"rk_live_…4242", "✕ 1 missing", "! 1 over-broad", "Stripe was asked 2026-11-03 07:30", "by user:ada"} {
		require.Contains(t, p.text, want)
	}
	require.Equal(t, []string{"Events: read", "✕ missing", "the key may not read events", "Set Events to read in the Stripe Dashboard"}, p.row(t, "Events: read"))
	require.Equal(t, []string{"Payouts: write", "! over-broad", "the key may write payouts, which nothing needs", "Set Payouts to none in the Stripe Dashboard"}, p.row(t, "Payouts"))
	require.Equal(t, []string{"–", "as needed"}, []string{p.row(t, "Customers: read")[3], strings.TrimPrefix(p.row(t, "Customers: read")[1], "✓ ")})
	require.Less(t, strings.Index(p.text, "Events: read"), strings.Index(p.text, "Customers: read"), "what is missing comes first")
	require.Contains(t, open(t, e, "/connections/northwind-stripe").text, "Stripe was not asked yet what the key may do")

	require.NotContains(t, p.text, "the key was replaced since")
	l.next = "replaced"
	require.Contains(t, open(t, e, "/connections/acme-stripe").text, "the key was replaced since")

	doctor := "/connections/acme-stripe/doctor.csv"
	d.caller.Roles = access.Roles{access.Viewer}
	require.NotContains(t, open(t, e, "/connections/acme-stripe").links, doctor, "a viewer exports nothing")
	d.caller.Roles = access.Roles{access.Finance}
	require.Contains(t, open(t, e, "/connections/acme-stripe").links, doctor)
	rule, ok := access.RuleOf("GET /connections/{id}/doctor.{format}")
	require.True(t, ok)
	require.Equal(t, access.Rule{Permission: access.Export, Target: access.Connection, Param: "id", Export: true, Page: true}, rule)

	found := map[string][]string{}
	for _, row := range download(t, e, doctor).rows {
		found[row[0]+" "+row[1]] = row[2:]
	}
	require.Equal(t, []string{"failed", "rk_live_…4242; missing Events: read", "", "", ""}, found["doctor key acme-stripe"])
	require.Equal(t, "ok", found["doctor webhook acme-stripe"][0])
	require.Equal(t, "3", found["flow waiting"][3])
	require.Equal(t, []string{"dead", "status_unknown", "", "1", ""}, found["set aside customer.subscription.updated"])
	require.Equal(t, "needs a look", found["fetching events read without a hole until"][0])
	require.Equal(t, []string{"missing", "the key may not read events", "Set Events to read in the Stripe Dashboard", "", "2026-11-03T07:30:00Z"}, found["key Events: read"])
	require.Equal(t, 404, send(t, e, "GET", "/connections/acme-stripe/doctor.docx", nil).Code)
	require.Equal(t, 404, send(t, e, "GET", "/connections/nothing/doctor.csv", nil).Code)
	l.err = fault.New(fault.Unavailable, "database_unreachable", "later")
	require.Equal(t, 503, send(t, e, "GET", doctor, nil).Code)
}
