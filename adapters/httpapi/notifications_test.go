package httpapi_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/notice"
)

// The list says what waits for whom, under the ID that the deliveries carry.
func TestNotifications(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 4, 6, 0, 0, 0, time.UTC)
	var asked notify.Filter
	e := newServer(t, &fakes{notices: func(f notify.Filter) (notify.Page, error) {
		asked = f
		return notify.Page{NextCursor: "more", Items: []notify.Row{{
			Notice: notice.Notice{ID: "first_invoice|acme.2026-10||approver", Kind: notice.FirstInvoice, Environment: account.Live, AccountID: "acme", Period: "2026-10", CycleID: "acme.2026-10",
				Role: access.Approver, Title: "t", Detail: "d", Next: "n", Path: "/cycles/acme.2026-10", Due: at},
			AccountName: "Acme", Episode: 2, OpenedAt: at, Deliveries: []notify.Attempted{{Channel: "mail", Attempts: 3, Error: "the mail server answers 554"}},
		}}}, nil
	}})
	res, _ := serve(t, e, request(http.MethodGet, "/v1/notifications?role=approver&account=acme&state=all&limit=7", ""))
	require.Equal(t, http.StatusOK, res.Code, res.Body.String())
	require.Equal(t, []any{"acme", []access.Role{access.Approver}, true, 7}, []any{asked.AccountID, []access.Role(asked.Roles), asked.Settled, asked.Limit})
	var list httpapi.NotificationList
	require.NoError(t, json.Unmarshal(res.Body.Bytes(), &list))
	require.Equal(t, "more", list.NextCursor)
	n := list.Items[0]
	require.Equal(t, notify.Key("first_invoice|acme.2026-10||approver", 2), n.ID)
	require.Equal(t, []string{"first_invoice", "approver", "acme.2026-10", "n"}, []string{n.Kind, n.Role, n.CycleID, n.NextAction})
	require.Equal(t, "the mail server answers 554", n.Deliveries[0].Error)
	for _, bad := range []string{"state=odd", "role=king"} {
		res, _ = serve(t, e, request(http.MethodGet, "/v1/notifications?"+bad, ""))
		require.Equal(t, http.StatusBadRequest, res.Code, bad)
	}
}
