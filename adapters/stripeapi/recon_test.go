package stripeapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/domain/reward"
)

// lists answers a reader with lists of one object each, by path, and knows no charge.
func lists(t *testing.T, objects map[string]string) *stripeapi.SourceReader {
	t.Helper()
	return stripeapi.NewSourceReader(worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/v1/charges/") {
			res.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(res, `{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such charge"}}`)
			return
		}
		_, _ = fmt.Fprintf(res, `{"object":"list","has_more":false,"data":[%s]}`, objects[req.URL.Path])
	})).client)
}

// requireAgree: the ledger, the net of the month and the comparison see the same amount in
// a refund or a dispute.
func requireAgree(t *testing.T, kind recon.Kind, raw string, want int64) {
	t.Helper()
	seen, err := reward.ClassifyObject([]byte(raw), start.Add(time.Hour), reward.Config{})
	require.NoError(t, err)
	var booked int64
	for _, f := range seen.Facts {
		if f.Amount != nil {
			booked += *f.Amount
		}
	}
	require.Equal(t, want, booked, "the ledger on %s", raw)

	r := lists(t, map[string]string{"/v1/" + string(kind) + "s": raw})
	net, err := r.NetPaid(t.Context(), "issuer", period.Interval{Start: start, End: start.Add(time.Hour)})
	require.NoError(t, err)
	require.Equal(t, want, net["usd"], "the net on %s", raw)

	page, err := r.ReconPage(t.Context(), "issuer", kind, start, start.Add(time.Hour), "")
	require.NoError(t, err)
	var compared int64
	for _, o := range page.Objects {
		if !o.TakenBack {
			compared -= o.NetMinor
		}
	}
	require.Equal(t, want, compared, "the comparison on %s", raw)
}

// TestReconDisputeMoney: whether a dispute's money is gone is what its status says, whatever
// its balance shows meanwhile, for every reader alike.
func TestReconDisputeMoney(t *testing.T) {
	t.Parallel()
	const shape = `{"id":"dp_1","object":"dispute","livemode":true,"status":%q,"amount":2000,"currency":"usd","charge":%s,"created":%d,"balance_transactions":[%s]}`
	const out, back, half = `{"amount":-2000,"created":60}`, `{"amount":2000,"created":120}`, `{"amount":450,"created":120}`
	for _, c := range []struct {
		status, moves string
		gone          bool
	}{
		{"needs_response", "", true},
		{"under_review", out, true},
		{"under_review", out + "," + half, true},
		{"under_review", out + "," + back, true},
		{"under_review", back + "," + out, true},
		{"lost", out, true},
		{"lost", out + "," + back + "," + out, true},
		{"won", out, false},
		{"won", out + "," + back, false},
		{"charge_refunded", out, false},
		{"prevented", "", false},
		{"warning_needs_response", "", false},
		{"warning_under_review", "", false},
		{"warning_closed", "", false},
	} {
		var want int64
		if c.gone {
			want = -2000
		}
		for _, charge := range []string{`"ch_1"`, "null"} {
			requireAgree(t, recon.Dispute, fmt.Sprintf(shape, c.status, charge, start.Unix(), c.moves), want)
		}
	}
}

// TestMoneyThatNoChargeBroughtIn: a customer's cash balance can be paid out again. It is in
// the list of refunds, belongs to no payment and is no revenue that was returned. A refund
// that names its payment otherwise than by the charge is.
func TestMoneyThatNoChargeBroughtIn(t *testing.T) {
	t.Parallel()
	const shape = `{"id":"re_1","object":"refund","status":"succeeded","amount":900,"currency":"usd"%s,"created":%d}`
	for of, want := range map[string]int64{
		`,"charge":null,"payment_intent":null`:     0,
		`,"payment_intent":null`:                   0,
		"":                                         0,
		`,"charge":null,"payment_intent":"pi_1"`:   -900,
		`,"charge":"ch_1","payment_intent":null`:   -900,
		`,"charge":"ch_1","payment_intent":"pi_1"`: -900,
		`,"charge":null,"payment_intent":{"id":"pi_1","object":"payment_intent"}`: -900,
	} {
		requireAgree(t, recon.Refund, fmt.Sprintf(shape, of, start.Unix()), want)
	}
}
