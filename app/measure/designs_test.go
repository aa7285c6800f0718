package measure_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/simulator"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// manifests measures the fixture month and returns its manifests by snapshot.
func manifests(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company) map[string]lift.Manifest {
	t.Helper()
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	s := d.Measure()
	opened, err := s.Open(t.Context(), c.ID, m, "by-hand")
	require.NoError(t, err)
	_, err = s.Collect(t.Context(), opened.CycleID, quiet)
	require.NoError(t, err)
	_, err = s.Estimate(t.Context(), opened.CycleID, quiet)
	require.NoError(t, err)
	rows, err := d.SQL.Query(t.Context(), `SELECT manifest FROM readouts WHERE cycle_id = $1`, opened.CycleID)
	require.NoError(t, err)
	defer rows.Close()
	out := map[string]lift.Manifest{}
	for rows.Next() {
		var raw string
		var doc lift.Manifest
		require.NoError(t, rows.Scan(&raw))
		require.NoError(t, json.Unmarshal([]byte(raw), &doc))
		out[doc.SnapshotID] = doc
	}
	require.NoError(t, rows.Err())
	return out
}

func check(t *testing.T, m lift.Manifest, code lift.Code) lift.Check {
	t.Helper()
	for _, c := range m.Judgement.Checks {
		if c.Code == code {
			return c
		}
	}
	t.Fatalf("%s has no check %s", m.SnapshotID, code)
	return lift.Check{}
}

// firstOnly keeps one decision per unit, without the stream numbers that would then have gaps.
func firstOnly(rows []decision.Decision) []decision.Decision {
	seen := map[string]bool{}
	var out []decision.Decision
	for _, r := range rows {
		if seen[r.UnitID] {
			continue
		}
		seen[r.UnitID] = true
		r.SequenceNumber, r.SaltCommitment = nil, ""
		out = append(out, r)
	}
	return out
}

// exploring makes a plan without a holdout.
func exploring(_ *httpapi.ContractCreate, p *httpapi.PlanCreate) {
	p.Randomisation, p.Salt, p.HoldoutProbability = string(lift.RandomisedPerDecision), "", ""
	p.Thresholds.MinEssRatio = "0.01"
}

// TestOneDecisionIsAHoldout: with one decision per unit the trajectory is the holdout,
// so both plans give the same numbers, bit by bit, through the API, PostgreSQL and back.
func TestOneDecisionIsAHoldout(t *testing.T) {
	t.Parallel()
	d, c := pipelinetest.ExploringMonth(t, nil, firstOnly)
	sticky := manifests(t, d, c)
	d, c = pipelinetest.ExploringMonth(t, exploring, firstOnly)
	drawn := manifests(t, d, c)
	require.Len(t, drawn, 4)
	for id, want := range sticky {
		got := drawn[id]
		require.Equal(t, want.Result, got.Result, id)
		require.Equal(t, want.Moments, got.Moments, id)
		require.Equal(t, want.Inputs.UnitDigest, got.Inputs.UnitDigest)
		require.NotEqual(t, want.PlanHash, got.PlanHash)
		require.Empty(t, want.Inputs.SaltHex, "the salt is secret while it decides")
		require.Zero(t, *want.Inputs.PreviousHighWaterMinor, "a first month has billed nothing before")
		require.Equal(t, lift.Passed, check(t, want, lift.CodeArmHashMismatch).Status)
		require.Equal(t, lift.NotEvaluated, check(t, got, lift.CodeArmHashMismatch).Status)
		for _, code := range []lift.Code{lift.CodePlanHashMismatch, lift.CodeReconMismatch, lift.CodeSRM, lift.CodeMiscalibrated} {
			require.Equal(t, lift.Passed, check(t, want, code).Status, check(t, want, code).Explain)
			require.Equal(t, lift.Passed, check(t, got, code).Status, check(t, got, code).Explain)
		}
	}
	require.Equal(t, drawn[pipelinetest.Positive].Judgement.Headline, sticky[pipelinetest.Positive].Judgement.Headline)
	require.Empty(t, drawn[pipelinetest.Positive].Judgement.Headline)
}

// secondDraw gives every third unit a second decision that keeps the baseline with
// probability 0.8, whatever the first one was.
func secondDraw(rows []decision.Decision) []decision.Decision {
	out := firstOnly(rows)
	for i, n := 0, len(out); i < n; i += 3 {
		second := out[i]
		second.ID, second.At = second.ID+"_again", second.At.Add(time.Hour)
		second.EligibleActions, second.Propensity, second.Action = []string{simulator.Baseline, "more"}, []float64{0.8, 0.2}, simulator.Baseline
		if sha256.Sum256([]byte(second.ID))[0] < 51 { // a fifth of 256
			second.Action = "more"
		}
		out = append(out, second)
	}
	return out
}

// TestTrajectoriesEndToEnd: the unit tables that are frozen in PostgreSQL hold the
// products over the log's decisions, and the weights are calibrated.
func TestTrajectoriesEndToEnd(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	d, c := pipelinetest.ExploringMonth(t, exploring, func(rows []decision.Decision) []decision.Decision {
		out := secondDraw(rows)
		prob, held := map[string]float64{}, map[string]bool{}
		for _, r := range out {
			p, ok := prob[r.UnitID]
			if !ok {
				p, held[r.UnitID] = 1, true
			}
			prob[r.UnitID] = p * r.Propensity[0]
			held[r.UnitID] = held[r.UnitID] && r.Action == simulator.Baseline
		}
		for unit, p := range prob {
			want[unit] = fmt.Sprintf("%v %v", p, held[unit])
		}
		return out
	})
	got := manifests(t, d, c)
	rows, err := d.SQL.Query(t.Context(), `SELECT unit_id, baseline_prob, holdout FROM cycle_units WHERE snapshot_id = $1`, lift.SnapshotPooled)
	require.NoError(t, err)
	defer rows.Close()
	have := map[string]string{}
	for rows.Next() {
		var unit string
		var p float64
		var held bool
		require.NoError(t, rows.Scan(&unit, &p, &held))
		have[unit] = fmt.Sprintf("%v %v", p, held)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, want, have)
	pooled := got[lift.SnapshotPooled]
	require.Equal(t, lift.Hex(0.4), pooled.Result.MinP)
	for _, code := range []lift.Code{lift.CodeSRM, lift.CodeMiscalibrated, lift.CodePropensityFloor, lift.CodeHoldoutAboveHalf} {
		require.Equal(t, lift.Passed, check(t, pooled, code).Status, check(t, pooled, code).Explain)
	}
	require.Contains(t, check(t, pooled, lift.CodeSRM).Explain, "decisions chose the baseline")
}

// TestAccountsEndToEnd: two users of one Stripe customer, known before the first
// exposure, are one unit, with the customer's money once.
func TestAccountsEndToEnd(t *testing.T) {
	t.Parallel()
	account := func(_ *httpapi.ContractCreate, p *httpapi.PlanCreate) { p.Unit = lift.UnitAccount }
	d, c := pipelinetest.ExploringMonth(t, account, firstOnly)
	require.NoError(t, d.DrainAll(t.Context(), c.ID+"-stripe"))
	var customer, user, other string
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT l.subject_id, l.user_id FROM mapping_spans l JOIN decisions d USING (user_id)
		WHERE l.connection_id = $1 ORDER BY d.ts, 1 LIMIT 1`, c.ID+"-stripe").Scan(&customer, &user))
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT user_id FROM decisions WHERE user_id <> $1 ORDER BY ts DESC LIMIT 1`, user).Scan(&other))
	// The customer belonged to the other user, and to this one, long before anything was decided.
	_, err := d.SQL.Exec(t.Context(), `DELETE FROM mapping_spans WHERE connection_id = $1 AND subject_id = $2`, c.ID+"-stripe", customer)
	require.NoError(t, err)
	from := []time.Time{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i, u := range []string{other, user} {
		_, err := d.SQL.Exec(t.Context(), `INSERT INTO mapping_statements (connection_id, link_id, subject_id, user_id, source, metadata_key, valid_from, event_id, recorded_at)
			VALUES ($1, left(md5($3), 26), $2, $3, 'metadata', 'user_id', $4, 'evt_before', $4)`, c.ID+"-stripe", customer, u, from[i])
		require.NoError(t, err)
		_, err = d.SQL.Exec(t.Context(), `INSERT INTO mapping_spans (connection_id, subject_id, valid_from, valid_to, state, user_id, link_id, source, event_id)
			VALUES ($1, $2, $4, $5, 'linked', $3, left(md5($3), 26), 'metadata', 'evt_before')`, c.ID+"-stripe", customer, u, from[i], from[i+1])
		require.NoError(t, err)
	}
	merged := manifests(t, d, c)[lift.SnapshotPooled]
	require.Equal(t, 359, merged.Inputs.Units, "360 users are 359 accounts")
	var units int
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT count(*) FROM cycle_units WHERE snapshot_id = 'pooled' AND unit_id IN
		(SELECT unit_id FROM decisions WHERE user_id IN ($1, $2))`, user, other).Scan(&units))
	require.Equal(t, 1, units)
	require.Equal(t, lift.Passed, check(t, merged, lift.CodeReconMismatch).Status)
	requireBuckets(t, d, c.ID, c.CycleID())
}

// TestTheLastMonthRevealsTheSalt: until then it is secret; then everybody can recompute
// who was in the holdout. The marks of a year whose earlier months are open are unknown.
func TestTheLastMonthRevealsTheSalt(t *testing.T) {
	t.Parallel()
	var salt string
	d, c := pipelinetest.ExploringMonth(t, func(k *httpapi.ContractCreate, p *httpapi.PlanCreate) {
		k.FirstPeriod, p.FirstPeriod, salt = "2025-11", "2025-11", p.Salt
	}, firstOnly)
	for id, m := range manifests(t, d, c) {
		require.Equal(t, salt, m.Inputs.SaltHex, id)
		require.Nil(t, m.Inputs.PreviousHighWaterMinor, "eleven months are not finished")
		require.Equal(t, lift.LookNone, m.Evidence.Look)
	}
}

// TestAnotherPlanIsNoticed: decisions that were made under another plan than the sealed
// one withhold every line.
func TestAnotherPlanIsNoticed(t *testing.T) {
	t.Parallel()
	d, c := pipelinetest.ExploringMonth(t, nil, func(rows []decision.Decision) []decision.Decision {
		rows[7].PlanHash, rows[8].PlanHash = strings.Repeat("0a", 32), ""
		return rows
	})
	for id, m := range manifests(t, d, c) {
		require.Equal(t, lift.CodePlanHashMismatch, m.Judgement.Headline, id)
		require.Regexp(t, `^1 of the \d+ decisions that name their plan name another one`, check(t, m, lift.CodePlanHashMismatch).Explain)
	}
}

// TestDecisionsWithoutPropensitiesWithhold: a refused row is missing from the log, and
// the guardrail says so.
func TestDecisionsWithoutPropensitiesWithhold(t *testing.T) {
	t.Parallel()
	var broken decision.Decision
	d, c := pipelinetest.ExploringMonth(t, nil, func(rows []decision.Decision) []decision.Decision {
		broken = rows[0]
		return rows
	})
	broken.SequenceNumber = nil
	whole := broken
	whole.ID, broken.ID = "whole", "broken"
	broken.Propensity = []float64{0.5, 0.5}
	var up httpapi.DecisionUpload
	d.Post(t, "/v1/accounts/"+c.ID+"/decisions", simulator.Log([]decision.Decision{broken, whole}), &up)
	require.Equal(t, 1, up.Rejected)
	m := manifests(t, d, c)
	require.Equal(t, lift.Failed, check(t, m[lift.SnapshotPooled], lift.CodePropensityMissing).Status)
	require.Contains(t, check(t, m[lift.SnapshotPooled], lift.CodePropensityMissing).Explain, "1 units, 1 of ")
}
