package webui_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
)

// A reward event shows what Stripe said of it, whose it is, and the decisions about its user
// before it, of which the first of each snapshot counts.
func TestRewardEvent(t *testing.T) {
	t.Parallel()
	e := newEcho(fixture())
	require.Contains(t, open(t, e, "/accounts/acme/events").links, "/accounts/acme/events/paid:in_2")
	p := open(t, e, "/accounts/acme/events/paid:in_2")
	require.Contains(t, p.text, "Revenue confirmation of 99.00 USD")
	require.Equal(t, []string{"policy", "0.5", "nudge", "0.75"}, p.row(t, "nudge | 0.75")[2:6])
	require.Contains(t, p.row(t, "wait | 0.25"), "✓ exposes the user")
	require.Contains(t, p.row(t, "nudge | 0.75"), "a later one of the snapshot")
	for _, link := range []string{
		"/accounts/acme/snapshots/trial-nudge-7", "/accounts/acme/customers/cus_RkA1b2C3d4E5f7", "/events?connection=acme-stripe&q=evt_1QHk3aG9RKHgCVdK2bce",
		"/connections/acme-stripe/compare?back=%2Faccounts%2Facme%2Fevents%2Fpaid%3Ain_2&object=invoice&object_id=in_1QHbbbG9RKHgCVdKbbb",
	} {
		require.Contains(t, p.links, link)
	}
	require.Contains(t, open(t, e, "/accounts/acme/events/refund:re_1").links, "/connections/acme-stripe/compare?back=%2Faccounts%2Facme%2Fevents%2Frefund%3Are_1&object=refund&object_id=re_1")
	require.Contains(t, open(t, e, "/accounts/acme/events/paid:in_3").text, "Nobody said whose the customer is")
	require.Contains(t, open(t, e, "/accounts/acme/events/paid:in_own").text, "outcome invoice of ours")
	require.Equal(t, http.StatusNotFound, open(t, e, "/accounts/acme/events/nothing").status)
	require.Equal(t, http.StatusNotFound, open(t, e, "/accounts/nobody/events/paid:in_2").status)
}

// Every page says in which mode what it shows is: what is about one account, cycle, readout or
// connection has the mode of that, a list of both says so. Pages of access have no mode.
func TestEveryPageSaysItsMode(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: worker()}, webui.Options{})
	one := regexp.MustCompile(`^/(cycles/|readouts/|accounts/|connections/|breaks/[a-c]{26}|coverage)`)
	for _, path := range everyPage {
		p := open(t, e, path)
		if strings.HasPrefix(path, "/sign-in") || path == "/you" || path == "/access" {
			require.NotContains(t, p.html, `class="mode `, path)
			continue
		}
		if n := strings.Count(p.html, `class="mode `); n != 1 {
			t.Errorf("%s: %d banners", path, n)
			continue
		}
		if p.status != http.StatusOK {
			continue
		}
		want := "LIVE + TEST"
		switch {
		case strings.Contains(path, "sandbox"):
			want = "TEST Computed"
		case strings.Contains(path, "shade"):
			want = "SHADOW"
		case one.MatchString(path):
			want = "LIVE Real money"
		case strings.HasPrefix(path, "/invoices"):
			want = "LIVE Real money" // a test account has no invoice
		}
		if !strings.Contains(p.text, want) {
			t.Errorf("%s: no %s", path, want)
		}
	}
}
