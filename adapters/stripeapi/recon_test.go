package stripeapi_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
)

// TestReconDisputeMoney: of a dispute under way, what the account has lost is what the
// balance says.
func TestReconDisputeMoney(t *testing.T) {
	t.Parallel()
	const shape = `{"object":"list","has_more":false,"data":[{"id":"dp_1","object":"dispute","livemode":true,"status":%q,"amount":900,"currency":"usd","charge":"ch_1","created":%d,"balance_transactions":[%s]}]}`
	const out, back, half = `{"amount":-900,"created":60}`, `{"amount":900,"created":120}`, `{"amount":450,"created":120}`
	for _, c := range []struct {
		status, moves string
		back          bool
	}{
		{"needs_response", "", false},
		{"under_review", out, false},
		{"under_review", out + "," + half, false},
		{"under_review", out + "," + back, true},
		{"under_review", back + "," + out, true},
		{"lost", out + "," + back, false},
		{"won", out, true},
	} {
		w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(res, shape, c.status, start.Unix(), c.moves)
		}))
		page, err := stripeapi.NewSourceReader(w.client).ReconPage(t.Context(), "issuer", recon.Dispute, start, start.Add(time.Hour), "")
		require.NoError(t, err)
		require.Len(t, page.Objects, 1)
		require.Equal(t, c.back, page.Objects[0].TakenBack, "%s %s", c.status, c.moves)
	}
}

// TestMoneyThatNoChargeBroughtIn: a customer's cash balance can be paid out again. It is in
// the list of refunds, belongs to no charge and is no revenue that was returned.
func TestMoneyThatNoChargeBroughtIn(t *testing.T) {
	t.Parallel()
	const lists = `{"object":"list","has_more":false,"data":[%s]}`
	const refund = `{"id":"re_1","object":"refund","status":"succeeded","amount":900,"currency":"usd","charge":null,"payment_intent":null,"created":%d}`
	const dispute = `{"id":"dp_1","object":"dispute","livemode":true,"status":"charge_refunded","amount":900,"currency":"usd","charge":"ch_1","created":%d}`
	w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		var list string
		switch req.URL.Path {
		case "/v1/refunds":
			list = fmt.Sprintf(refund, start.Unix())
		case "/v1/disputes":
			list = fmt.Sprintf(dispute, start.Unix())
		}
		_, _ = fmt.Fprintf(res, lists, list)
	}))
	r := stripeapi.NewSourceReader(w.client)
	net, err := r.NetPaid(t.Context(), "issuer", period.Interval{Start: start, End: start.Add(time.Hour)})
	require.NoError(t, err)
	require.Empty(t, net)
	page, err := r.ReconPage(t.Context(), "issuer", recon.Refund, start, start.Add(time.Hour), "")
	require.NoError(t, err)
	require.Empty(t, page.Objects)
}
