package measure_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// tally is what a bucket of a cycle holds.
type tally struct {
	Bucket, Snapshot, Currency string
}

// placesOf finds the places of every fact of an account's source.
func placesOf(t *testing.T, d *pipelinetest.Deployment, accountID string) (places map[string][]lift.Placement, minor map[string]int64, currency map[string]string) {
	t.Helper()
	rows, err := d.SQL.Query(t.Context(), `SELECT fact_key, effective_at, coalesce(amount_minor, 0), currency FROM reward_events WHERE connection_id = $1 ORDER BY 2, 1`, accountID+"-stripe")
	require.NoError(t, err)
	defer rows.Close()
	var facts []lift.FactRef
	minor, currency = map[string]int64{}, map[string]string{}
	for rows.Next() {
		var f lift.FactRef
		var amount int64
		var cur string
		require.NoError(t, rows.Scan(&f.Key, &f.At, &amount, &cur))
		facts = append(facts, f)
		minor[f.Key], currency[f.Key] = amount, cur
	}
	require.NoError(t, rows.Err())
	require.NotEmpty(t, facts)
	places, err = d.Measure().Places(t.Context(), accountID, append(facts, lift.FactRef{Key: "refund:re_nowhere", At: facts[0].At}))
	require.NoError(t, err)
	require.Len(t, places, len(facts), "every fact has a place, and what is not there has none")
	return places, minor, currency
}

// requireBuckets holds the places of single facts against the buckets that the cycle froze
// when it joined all of them: the same sums and the same counts, snapshot by snapshot.
func requireBuckets(t *testing.T, d *pipelinetest.Deployment, accountID, cycleID string) map[string][]lift.Placement {
	t.Helper()
	places, minor, currency := placesOf(t, d, accountID)
	got := map[tally][2]int64{}
	for key, all := range places {
		for _, p := range all {
			if !p.Frozen || p.CycleID != cycleID || p.Uncounted == lift.UncountedNoMoney || p.Uncounted == lift.UncountedHistoric {
				continue
			}
			at := tally{p.Outcome(), p.SnapshotID, currency[key]}
			if at.Bucket == "joined" {
				at.Bucket = "snapshot"
				require.NotNil(t, p.Decision())
				require.NotEmpty(t, p.Decision().DecisionID)
				require.Equal(t, p.SnapshotID, p.Decision().SnapshotID)
			}
			sum := got[at]
			got[at] = [2]int64{sum[0] + minor[key], sum[1] + 1}
		}
	}
	want := map[tally][2]int64{}
	rows, err := d.SQL.Query(t.Context(), `SELECT bucket, snapshot_id, currency, amount_minor, events FROM cycle_buckets WHERE cycle_id = $1 AND events > 0`, cycleID)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var at tally
		var sum [2]int64
		require.NoError(t, rows.Scan(&at.Bucket, &at.Snapshot, &at.Currency, &sum[0], &sum[1]))
		want[at] = sum
	}
	require.NoError(t, rows.Err())
	require.NotEmpty(t, want)
	require.Empty(t, cmp.Diff(want, got))
	return places
}

// TestPlacesAreTheReadouts: the places of single facts sum to the buckets that the month and
// the settlement of its year froze, also where a payment of the run-off belongs to the next
// year, and what comes later moves none of them.
func TestPlacesAreTheReadouts(t *testing.T) {
	t.Parallel()
	d, c := pipelinetest.YearEnd(t)
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	s := d.Measure()
	require.NoError(t, d.DrainAll(t.Context(), c.ID+"-stripe"))
	before, _, _ := placesOf(t, d, c.ID)
	for _, all := range before {
		for _, p := range all {
			require.False(t, p.Frozen, "nothing is frozen yet")
		}
	}
	ids := map[period.Month]string{}
	for _, m := range []period.Month{m, m.Settlement()} {
		opened, err := s.Open(t.Context(), c.ID, m, "by-hand")
		require.NoError(t, err)
		_, err = s.Collect(t.Context(), opened.CycleID, quiet)
		require.NoError(t, err)
		ids[m] = opened.CycleID
	}
	places := requireBuckets(t, d, c.ID, ids[m.Settlement()])
	next, joined := 0, 0
	for _, all := range places {
		for _, p := range all {
			require.NotEmpty(t, p.Why())
			if p.Bucket == lift.BucketNextYear {
				next++
				require.Contains(t, p.Why(), "again in the next contract year")
			}
			if p.Joined() {
				joined++
				require.Equal(t, all[0].CycleID, p.CycleID, "the year that joined it stands first")
			}
		}
	}
	require.Positive(t, next)
	require.Positive(t, joined)

	// Whose a customer is said to be later does not move what is frozen.
	_, err = d.SQL.Exec(t.Context(), `UPDATE mapping_spans SET user_id = 'somebody-else' WHERE connection_id = $1 AND user_id <> ''`, c.ID+"-stripe")
	require.NoError(t, err)
	again, _, _ := placesOf(t, d, c.ID)
	for key, all := range places {
		if all[0].Joined() {
			require.Empty(t, cmp.Diff(all[0], again[key][0]), key)
		}
	}
	_, err = s.Places(t.Context(), "nobody", nil)
	require.True(t, fault.Is(err, fault.NotFound))
	long := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = d.SQL.Exec(t.Context(), `INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, effective_at, event_id, recorded_at) VALUES ($1, 'live', 'churn:sub_old', 'churn', true, 'sub_old', $2, 'evt_old', $2)`, c.ID+"-stripe", long)
	require.NoError(t, err)
	old, err := s.Places(t.Context(), c.ID, []lift.FactRef{{Key: "churn:sub_old", At: long}})
	require.NoError(t, err)
	require.Equal(t, lift.UncountedNoAgreement, old["churn:sub_old"][0].Uncounted)
	require.Contains(t, old["churn:sub_old"][0].Why(), "No contract")
}
