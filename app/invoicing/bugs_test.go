package invoicing_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// Bug 9: what waited for the customer's next invoice was swept onto the one that a
// program made, or what the program had made was left out.
func TestBug09PendingItemsOfOthersStay(t *testing.T) {
	t.Parallel()
	item := ""
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t), func(b *pipelinetest.Bill) {
		item = b.Operator(t, http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {b.Plan.Key.Customer}, "amount": {"77"}, "currency": {b.Plan.Key.Currency}})["id"].(string)
	})
	_, err := b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
	require.Nil(t, b.Operator(t, http.MethodGet, "/v1/invoiceitems/"+item, nil)["invoice"], "it waits for the customer's next invoice still")
}
