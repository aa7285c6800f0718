package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What was written is summarized, so that a look-up reads the ranges that may have it and
// no others; the function of a look-up uses them.
func TestFullRangesAreSummarized(t *testing.T) {
	t.Parallel()
	w := manyEvents(t)
	require.NoError(t, w.exec(`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, effective_at, event_id, recorded_at)
		SELECT 'acme', 'live', 'churn:x' || n, 'churn', true, 'x' || n, '2025-09-01Z', 'evt_x' || n, now() FROM generate_series(0, 9000) n`))
	const open = `SELECT count(*)::int FROM pg_inherits i, LATERAL brin_summarize_new_values(i.inhrelid::regclass) n WHERE i.inhparent IN ('stripe_events_found'::regclass, 'reward_events_found'::regclass) AND n > 0`
	require.NoError(t, w.db.SummarizeEvents(t.Context()))
	require.Zero(t, one[int](w, open), "no full range is left without a summary")
	require.Equal(t, "churn:x77", one[string](w, `SELECT fact_key FROM reward_events_about('x77')`))
	require.Equal(t, "churn:x78", one[string](w, `SELECT fact_key FROM reward_events_told_by('evt_x78')`))
	require.Equal(t, "evt_30", one[string](w, `SELECT event_id FROM stripe_events_of_type('rare', '-infinity', 'infinity')`))
	for _, set := range []string{"enable_seqscan = off", "enable_indexscan = off", "enable_indexonlyscan = off"} { // as the functions have it
		require.NoError(t, w.exec("SET "+set))
	}
	var plan string
	for _, c := range []struct{ sql, index string }{
		{`SELECT 1 FROM reward_events WHERE object_id = 'x77'`, "_object_id_event_id_idx"}, {`SELECT 1 FROM reward_events WHERE event_id = 'x77'`, "_object_id_event_id_idx"},
		{`SELECT 1 FROM stripe_events WHERE object_id = 'x'`, "_object_id_type_created_idx"},
	} {
		rows, err := w.sql.Query(w.ctx, "EXPLAIN "+c.sql)
		require.NoError(t, err)
		plan = ""
		for rows.Next() {
			var line string
			require.NoError(t, rows.Scan(&line))
			plan += line + "\n"
		}
		require.NoError(t, rows.Err())
		require.Contains(t, plan, c.index)
	}
}
