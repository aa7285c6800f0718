package httpapi_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/trueups"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

type closings struct{ credited bool }

func (c *closings) Outstanding(_ context.Context, _ domain.Principal, id string) (trueups.Outstanding, error) {
	if id != "acme" {
		return trueups.Outstanding{}, fault.New(fault.Conflict, "cycles_follow", "account %s has cycles after its settlement", id)
	}
	june, err := period.ParseMonth("2026-06")
	if err != nil {
		return trueups.Outstanding{}, err
	}
	return trueups.Outstanding{
		AccountID: id, AccountName: "Acme Inc.", Environment: account.Live, SettlementCycle: "acme.2026-12-settlement", Currency: "usd", Open: true, State: trueups.Booked, DueMinor: -1_200,
		Lines: []trueups.Line{{TrueUpCell: billing.TrueUpCell{Origin: june, SnapshotID: "a", Cause: billing.AdjustRefund, RevenueMinor: -5_000}, Facts: 1, AmountMinor: -1_200}},
	}, nil
}

func (c *closings) Close(context.Context, domain.Principal, string, string) ([]trueups.Credit, error) {
	if c.credited {
		return nil, nil
	}
	c.credited = true
	return []trueups.Credit{{CorrectionID: "c1", CycleID: "acme.2026-12", Line: "a", Kind: billing.CorrectAfter, AmountMinor: 1_200, Currency: "usd"}}, nil
}

// TestTrueUpsOfAnEndedContractThroughTheAPI: what waits for a person is read with what settles
// it, and proposed.
func TestTrueUpsOfAnEndedContractThroughTheAPI(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{closings: &closings{}})
	const address = "/v1/accounts/acme/true-ups"
	w, body := serve(t, e, request(http.MethodGet, address, ""))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Contains(t, body["next_action"], "liftbill cycle trueup --account acme")
	require.EqualValues(t, -1_200, body["due"].(map[string]any)["minor"])
	line := body["lines"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"2026-06", "a", "refund"}, []any{line["origin"], line["snapshot_id"], line["cause"]})
	w, body = serve(t, e, request(http.MethodGet, "/v1/accounts/other/true-ups", ""))
	require.Equal(t, http.StatusConflict, w.Code)
	require.Equal(t, "cycles_follow", body["code"])

	w, body = serve(t, e, request(http.MethodPost, address, `{"reason":"the contract ended"}`))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, "c1", body["items"].([]any)[0].(map[string]any)["correction_id"])
	_, body = serve(t, e, request(http.MethodPost, address, `{"reason":"once more"}`))
	require.Equal(t, []any{}, body["items"])
}
