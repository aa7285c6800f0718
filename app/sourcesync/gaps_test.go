package sourcesync_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/domain/source"
)

// TestWhetherAGapWasDelivered: what counts is whether webhooks came in it, not whether there is an
// endpoint when it is found. One that was made behind the gap told nothing of it, so that lists
// conclude as without one; one that is gone by then told it, and nothing is concluded beside that.
func TestWhetherAGapWasDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := found(t, w.Fake, "acct_life", diceOf(4))
	w.connect("gone", "acct_life", true)
	polled := []string{"polled", "late", "between"}
	for _, id := range polled {
		w.connect(id, "acct_life", false)
	}
	for i := range 4 {
		c.subscribe(c.user(fmt.Sprintf("u-%d", i)), 1+i%2)
	}
	c.advance(2 * time.Minute)
	for _, id := range polled {
		w.fetch(id)
	}
	from := w.health("polled").HighWater
	live := func(turns int) {
		for range turns {
			c.turn()
			require.NoError(t, w.Fake.DeliverPending())
		}
	}
	pasted := func(id string) {
		w.Post(t, "/v1/connections/"+id+"/webhook-endpoint/secret", httpapi.WebhookSecretSet{Secret: "whsec_" + id + "0123456789abcdef0123456789"}, nil)
	}
	live(12)
	pasted("between")
	made := w.Clock.Now()
	live(13)
	c.advance(45 * 24 * time.Hour)
	require.NoError(t, w.Fake.DeliverPending())
	pasted("late")
	w.exec(`UPDATE webhook_endpoints SET status = 'missing' WHERE connection_id = 'gone'`)

	inferred := func(id string) int {
		return one[int](w, `SELECT count(*) FROM reward_events WHERE connection_id = $1 AND (detail->'flags'->>'inferred')::boolean`, id)
	}
	before := w.table("gone")
	for _, id := range append(polled, "gone") {
		w.fetch(id)
		w.carryOn(w.service(nil), w.health(id).Backfill.ID)
	}
	w.settle(append(polled, "gone")...)
	to := w.Clock.Now().Add(-source.Reach)
	require.Equal(t, []source.Gap{{From: from, To: to, Listed: true}}, w.health("polled").Gaps)
	require.Equal(t, []source.Gap{{From: from, To: to, Listed: true}}, w.health("late").Gaps)
	require.Equal(t, []source.Gap{{From: from, To: made, Listed: true}, {From: made, To: to, Listed: true, Delivered: true}}, w.health("between").Gaps)
	require.Positive(t, inferred("polled"))
	require.Empty(t, cmp.Diff(w.table("polled"), w.table("late")))
	require.Zero(t, inferred("gone"))
	after := w.table("gone")
	for key := range before {
		require.Contains(t, after, key)
	}
	require.Zero(t, one[int](w, `SELECT count(*) FROM reward_events WHERE connection_id = 'between' AND (detail->'flags'->>'inferred')::boolean AND effective_at >= $1`, made))
	require.True(t, w.health("gone").Gaps[0].Delivered)
}
