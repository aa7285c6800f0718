package webui_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/golive"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/source"
)

func (l *ledger) Pulse(_ context.Context, _ access.Scope, id string) (operate.Pulse, error) {
	for _, h := range l.health {
		if h.ConnectionID != id {
			continue
		}
		p := operate.Pulse{Health: h}
		for i := range 24 {
			hour := operate.LagHour{From: now.Truncate(time.Hour).Add(time.Duration(i-23) * time.Hour)}
			if h.LagP50 != nil && i%7 != 3 {
				hour.Events, hour.P50, hour.P99 = 2_000-int64(i), ptr(time.Duration(150+i)*time.Millisecond), ptr(time.Duration(2+i)*time.Second)
			}
			p.Hours = append(p.Hours, hour)
		}
		if h.Waiting["dead"] > 0 {
			p.Failures = []operate.Failure{{Type: "customer.subscription.updated", Status: "dead", Reason: "status_unknown", Events: 1}}
		}
		return p, nil
	}
	return operate.Pulse{}, fault.New(fault.NotFound, "connection_not_found", "there is no connection %q", id)
}

// flows are the sources and the switches of the ledger.
type flows struct{ l *ledger }

func (f flows) Status(_ context.Context, id string) (sourcesync.Status, error) {
	if id != "acme-stripe" {
		return sourcesync.Status{}, fault.New(fault.Conflict, "role_missing", "connection %s does not hold the source role", id) // as the ledger says of an issuer
	}
	out := sourcesync.Status{Verdict: sourcesync.Warning, Why: source.Reason{Message: "events older than 30 days were not fetched in time", Action: "Nothing: lists are being read instead"}, Lag: 4 * time.Minute}
	out.HighWater, out.MissedDay = now.Add(-4*time.Minute), 2
	out.Gaps = []source.Gap{{From: now.AddDate(0, 0, -40), To: now.AddDate(0, 0, -30)}}
	out.LastPull = &sourcesync.RunView{At: now.Add(-4 * time.Minute), Seen: 31, New: 2}
	return out, nil
}

// switches judge accounts.
type switches struct{ l *ledger }

func (s switches) Status(_ context.Context, _ access.Principal, id string) (golive.Status, error) {
	if s.l.err != nil {
		return golive.Status{}, s.l.err
	}
	return golive.Status{Switch: billing.Switch{AccountID: id}, Checklist: []billing.ChecklistItem{
		{Code: "events_flowing", Met: true, Detail: "412 events within a day"}, {Code: "customers_mapped", Detail: "72 % of the paid revenue is mapped", Next: "map the customers of the coverage page"},
	}}, nil
}

// TestConnectionPage: lag and its plot, what is set aside by type, gaps, how it is fetched,
// and the checklist of its accounts, which Stripe is asked for only on demand; every number
// leads to its rows.
func TestConnectionPage(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newEcho(l)
	p := open(t, e, "/connections/acme-stripe")
	for _, want := range []string{"180 ms", "99 %: 3 s", "Lag of the last 24 hours", "status_unknown", "lists are being read instead", "not yet", "31 seen, 2 new", "Check the list now"} {
		require.Contains(t, p.text, want)
	}
	require.NotContains(t, p.text, "72 %", "the checklist was not asked for")
	for _, link := range []string{
		"/events?connection=acme-stripe&status=dead&type=customer.subscription.updated", "/events?connection=acme-stripe&status=pending", "/events?connection=acme-stripe&attention=yes",
		"/events?connection=acme-stripe&from=" + now.Format(time.DateOnly) + "&to=" + now.Format(time.DateOnly), "/connections/acme-stripe?checklist=acme#golive",
	} {
		require.Contains(t, p.links, link)
	}
	p = open(t, e, "/connections/acme-stripe?checklist=acme")
	require.Contains(t, p.text, "72 % of the paid revenue is mapped")
	require.Contains(t, p.text, "live writing is closed")

	l.err = fault.New(fault.Unavailable, "stripe_unavailable", "Stripe cannot be asked now")
	require.Contains(t, open(t, e, "/connections/acme-stripe?checklist=acme").text, "Stripe cannot be asked now", "the rest of the page holds")
	l.err = nil
	require.Contains(t, open(t, e, "/connections/acme-stripe").text, "100 ms", "ticks are times that people read")
	require.NotRegexp(t, `[0-9]{4,} s`, open(t, e, "/connections/acme-stripe").text)
	require.Contains(t, open(t, e, "/connections/northwind-stripe").text, "No event was classified", "no lag is not a lag of zero")
	require.Equal(t, 404, send(t, e, "GET", "/connections/nothing", nil).Code)
}
