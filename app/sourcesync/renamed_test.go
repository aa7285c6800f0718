package sourcesync_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/sourcesync"
)

// TestAnotherEntryIsReadOffHistoryToo: customers that only lists told have no stored event to read
// again. Another entry of the metadata has the history read once more, and whoever it names is
// joined, without anybody asking.
func TestAnotherEntryIsReadOffHistoryToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(4))
	made, ok := c.call(http.MethodPost, "/v1/customers", url.Values{"metadata[uid]": {"u-of-uid"}, "payment_method": {"pm_card_visa"}, "invoice_settings[default_payment_method]": {"pm_card_visa"}})
	require.True(t, ok)
	customer := made["id"].(string)
	c.subscribe(customer, 1)
	c.advance(60 * 24 * time.Hour)
	w.connect("late", "acct_life", false)
	s := w.service(nil)
	w.backfill(s, "late", time.Time{})
	w.settle("late")
	users := func() string {
		return one[string](w, `SELECT coalesce(string_agg(DISTINCT user_id, ' '), '') FROM mapping_spans WHERE connection_id = 'late' AND state = 'linked'`)
	}
	require.Empty(t, users())
	var changed map[string]any
	w.Post(t, "/v1/connections/late/mapping", httpapi.MappingChange{UserIDKey: "uid", Reason: "it is called so there"}, &changed)
	w.settle("late")
	h := w.health("late")
	require.Equal(t, []any{"late-backfill-2", sourcesync.BackfillRunning, sourcesync.Requested}, []any{h.Backfill.ID, h.Backfill.State, h.Backfill.Kind})
	due, err := w.DB.NewSources().Due(t.Context(), "live", "", w.Clock.Now(), 10)
	require.NoError(t, err)
	require.Equal(t, h.Backfill.ID, due[0].BackfillID, "nobody has to ask for it")
	_, err = s.Step(t.Context(), h.Backfill.ID, func(string) {})
	require.NoError(t, err)

	// Another change begins it again; what concerns no entry reads nothing.
	change := func(key string, leaveOut bool) {
		w.Post(t, "/v1/connections/late/mapping", httpapi.MappingChange{UserIDKey: key, LeaveOutSuggested: &leaveOut, Reason: "again"}, &changed)
	}
	change("user", false)
	require.Zero(t, one[int](w, `SELECT count(*) FROM backfill_windows WHERE backfill_id = 'late-backfill-2'`))
	change("uid", false)
	before := w.table("late")
	w.carryOn(s, h.Backfill.ID)
	w.settle("late")
	require.Equal(t, "u-of-uid", users())
	after := w.table("late")
	for key := range before {
		require.Contains(t, after, key)
	}
	change("uid", true)
	require.Equal(t, 2, one[int](w, `SELECT count(*) FROM backfills`))
}
