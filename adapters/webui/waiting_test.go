package webui_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/operate"
)

// TestTheFirstEventIsWaitedFor: a connection without events waits, by a header that needs no
// script; the first event is shown when it is there, and until it is understood the page
// looks again. Whoever does not wait is not bothered, and whoever has had enough can stop.
func TestTheFirstEventIsWaitedFor(t *testing.T) {
	t.Parallel()
	l := fixture()
	for i := range l.health {
		if l.health[i].ConnectionID == "acme-stripe" {
			l.health[i].LastEvent, l.health[i].Endpoint = nil, "enabled"
		}
	}
	e := newEcho(l)
	const waiting = "/connections/acme-stripe?first=wait"
	p := open(t, e, "/connections/acme-stripe")
	require.Equal(t, "5; url="+waiting, p.header.Get("Refresh"))
	require.Contains(t, p.text, "Waiting for the first event")
	require.Contains(t, p.text, "The webhook endpoint is enabled")
	require.Contains(t, p.links, waiting+"#first")
	require.NotContains(t, p.header.Get("Content-Security-Policy"), "connect-src", "no request of a script is allowed for it")

	stopped := open(t, e, "/connections/acme-stripe?first=stop")
	require.Empty(t, stopped.header.Get("Refresh"))
	require.Contains(t, stopped.text, "Waiting for the first event")
	require.Contains(t, stopped.links, waiting+"#first", "it can be taken up again")

	l.log = []operate.Event{{ConnectionID: "acme-stripe", EventID: "evt_1First", Type: "customer.updated", ObjectID: "cus_1First", Created: now.Add(-3 * time.Second), ReceivedAt: now.Add(-2 * time.Second), Source: "webhook", Status: "pending"}}
	for i := range l.health {
		if l.health[i].ConnectionID == "acme-stripe" {
			l.health[i].LastEvent = &l.log[0].Created
		}
	}
	p = open(t, e, waiting)
	require.Contains(t, p.text, "The first event has arrived")
	require.Contains(t, p.text, "evt_1First")
	require.Equal(t, "5; url="+waiting, p.header.Get("Refresh"), "what it means is not known yet")
	require.Equal(t, operate.EventsFilter{Selection: operate.Selection{ConnectionID: "acme-stripe", Scope: l.logAsked.Scope}, Sort: operate.SortOldest, Limit: 1}, l.logAsked, "one row, and no more")

	l.log[0].Status = "processed"
	p = open(t, e, waiting)
	require.Empty(t, p.header.Get("Refresh"), "there is nothing left to wait for")
	for _, said := range []string{"customer.updated", "processed", "by webhook", "about cus_1First"} {
		require.Contains(t, p.text, said)
	}
	p = open(t, e, "/connections/acme-stripe")
	require.NotContains(t, p.text, "first event")
	require.Empty(t, p.header.Get("Refresh"))
	require.Equal(t, http.StatusOK, p.status)
}
