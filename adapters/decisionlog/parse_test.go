package decisionlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/decisionlog"
	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/fault"
)

const good = `{"decision_id":"d-1","unit_id":"u-1","user_id":"u-1","ts":"2026-10-01T11:30:00+02:00","snapshot_id":"nudge-7","arm":"policy","arm_prob":0.5,"action":"nudge","baseline_action":"none","eligible_actions":["none","nu\u0064ge"],"propensity":[0.5,0.5],"features":{"pre_revenue":12.25,"tenure":0.1},"arm_salt_commitment":"ab","sdk_version":"1.2.0","seq_no":7,"surface":"checkout, \"new\" {"}`

func parse(s string) []decisions.Row {
	return slices.Collect(decisionlog.Parse(strings.NewReader(s)))
}

func TestParse(t *testing.T) {
	t.Parallel()
	seq := int64(7)
	want := decision.Decision{
		ID: "d-1", UnitID: "u-1", UserID: "u-1", SnapshotID: "nudge-7", At: time.Date(2026, 10, 1, 9, 30, 0, 0, time.UTC),
		Arm: decision.Policy, ArmProbability: 0.5, Action: "nudge", BaselineAction: "none",
		EligibleActions: []string{"none", "nudge"}, Propensity: []float64{0.5, 0.5},
		Features:       map[string]float64{"pre_revenue": 12.25, "tenure": 0.1},
		SaltCommitment: "ab", SDKVersion: "1.2.0", SequenceNumber: &seq, Surface: `checkout, "new" {`,
	}
	rows := parse(good)
	require.Len(t, rows, 1)
	require.NoError(t, rows[0].Err)
	require.Empty(t, cmp.Diff(want, rows[0].Decision))
	require.NoError(t, rows[0].Decision.Validate())

	spaced := strings.NewReplacer(`":`, "\" :\t", `,"`, ` , "`).Replace(strings.Replace(good, "checkout, ", "checkout; ", 1))
	rows = parse(" " + spaced + " ")
	require.NoError(t, rows[0].Err)
}

func TestLineEndingsAndBlankLines(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]string{
		"LF": good + "\n" + good + "\n", "no last line ending": good + "\n" + good,
		"CRLF": good + "\r\n" + good + "\r\n", "byte-order mark": "\ufeff" + good + "\n" + good,
		"blank lines": "\n \r\n" + good + "\n\n" + good + "\n\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for chunk := range 2 {
				var in io.Reader = strings.NewReader(log)
				if chunk == 1 {
					in = iotest.OneByteReader(in)
				}
				rows := slices.Collect(decisionlog.Parse(in))
				require.Len(t, rows, 2)
				require.NoError(t, errors.Join(rows[0].Err, rows[1].Err))
				if name == "blank lines" {
					require.Equal(t, []int{3, 5}, []int{rows[0].Number, rows[1].Number})
				}
			}
		})
	}
	require.Empty(t, parse(""))
	require.Empty(t, parse("\n\r\n"))
	require.Empty(t, parse("\ufeff"))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	change := func(old, new string) string {
		out := strings.Replace(good, old, new, 1)
		if out == good {
			panic(old)
		}
		return out
	}
	for name, tc := range map[string]struct{ line, code, field, remedy string }{
		"text":             {`hello`, "json_malformed", "", "complete JSON object"},
		"cut":              {good[:40], "json_malformed", "", "complete JSON object"},
		"two objects":      {good + good, "json_malformed", "", ""},
		"array":            {"[" + good + "]", "json_not_object", "", "one JSON object per line"},
		"number":           {"7", "json_not_object", "", ""},
		"unknown":          {change(`"arm_prob"`, `"arm_probability"`), "field_unknown", "arm_probability", "Did you mean arm_prob?"},
		"typo":             {change(`"propensity"`, `"propensities"`), "field_unknown", "propensities", "Did you mean propensity?"},
		"camel case":       {change(`"decision_id"`, `"decisionId"`), "field_unknown", "decisionId", "Did you mean decision_id?"},
		"far off":          {change(`"surface"`, `"colour_of_button"`), "field_unknown", "colour_of_button", "Leave it out"},
		"twice":            {change(`"arm":"policy"`, `"arm":"holdout","arm":"policy"`), "field_repeated", "arm", "each field once"},
		"twice, escaped":   {change(`"arm":"policy"`, `"arm":"holdout","\u0061rm":"policy"`), "field_repeated", "arm", ""},
		"feature twice":    {change(`"tenure"`, `"pre_revenue"`), "field_repeated", "features.pre_revenue", "each feature once"},
		"missing":          {change(`"unit_id":"u-1",`, ``), "field_missing", "unit_id", "every decision"},
		"null":             {change(`"unit_id":"u-1"`, `"unit_id":null`), "field_missing", "unit_id", ""},
		"string for prob":  {change(`"arm_prob":0.5`, `"arm_prob":"0.5"`), "field_type", "arm_prob", "Write a number"},
		"number for id":    {change(`"unit_id":"u-1"`, `"unit_id":1`), "field_type", "unit_id", "Write a string"},
		"prob too big":     {change(`"arm_prob":0.5`, `"arm_prob":1e999`), "number_range", "arm_prob", ""},
		"propensity text":  {change(`[0.5,0.5]`, `[0.5,"0.5"]`), "field_type", "propensity", ""},
		"propensity no []": {change(`[0.5,0.5]`, `0.5`), "field_type", "propensity", "Write an array"},
		"actions numbers":  {change(`["none",`, `[1,`), "field_type", "eligible_actions", ""},
		"feature text":     {change(`12.25`, `"12"`), "field_type", "features.pre_revenue", "Write a number"},
		"features array":   {change(`{"pre_revenue":12.25,"tenure":0.1}`, `[1]`), "field_type", "features", "object of numbers"},
		"time":             {change(`2026-10-01T11:30:00+02:00`, `2026-10-01 11:30`), "time_malformed", "ts", "RFC 3339"},
		"time a number":    {change(`"2026-10-01T11:30:00+02:00"`, `1790000000`), "field_type", "ts", ""},
		"sequence":         {change(`"seq_no":7`, `"seq_no":7.5`), "field_type", "seq_no", "integer"},
		"not UTF-8":        {change(`checkout`, "\xff\xfe"), "utf8_malformed", "", "UTF-8"},
		"too long":         {change(`checkout`, strings.Repeat("x", decisionlog.MaxLine)), "line_too_long", "", "one decision per line"},
		"much too long":    {strings.Repeat(" ", 5*decisionlog.MaxLine), "line_too_long", "", ""},
		"many actions":     {change(`["none",`, `["none",`+strings.Repeat(`"a",`, 1000)), "actions_count", "eligible_actions", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := parse(good + "\n" + tc.line + "\n" + good)
			require.Len(t, rows, 3, "a bad line does not stop the others")
			require.NoError(t, errors.Join(rows[0].Err, rows[2].Err))
			require.Equal(t, []int{1, 2, 3}, []int{rows[0].Number, rows[1].Number, rows[2].Number})
			var fe *fault.Error
			require.ErrorAs(t, rows[1].Err, &fe)
			require.Equal(t, tc.code, fe.Code, fe)
			require.Equal(t, tc.field, fe.Field)
			require.Contains(t, fe.Remedy, tc.remedy)
			require.Less(t, len(fe.Error()), 400)
		})
	}
}

// TestARefusedDecisionIsKnown: whatever is wrong with the rest of a line, it tells
// which decision is missing, wherever in the line that stands.
func TestARefusedDecisionIsKnown(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		strings.Replace(good, `[0.5,0.5]`, `[0.5]x`, 1), strings.Replace(good, `"propensity":[0.5,0.5]`, `"propensity":null`, 1),
		`{"propensity":"none","decision_id":"d-1","unit_id":"u-1","ts":"2026-10-01T11:30:00+02:00"}`,
	} {
		d := parse(line)[0].Decision
		if !json.Valid([]byte(line)) {
			require.Empty(t, d.ID)
			continue
		}
		require.Error(t, parse(line)[0].Err)
		require.Equal(t, []string{"d-1", "u-1", "2026-10-01T09:30:00Z"}, []string{d.ID, d.UnitID, d.At.Format(time.RFC3339)})
	}
}

func TestLongestLine(t *testing.T) {
	t.Parallel()
	pad := func(n int) string {
		return strings.Replace(good, "checkout", strings.Repeat("x", n-len(good)+len("checkout")), 1)
	}
	require.Len(t, pad(decisionlog.MaxLine), decisionlog.MaxLine)
	for _, end := range []string{"", "\n", "\r\n"} {
		require.NoError(t, parse(pad(decisionlog.MaxLine) + end)[0].Err)
		require.Equal(t, "line_too_long", fault.CodeOf(parse(pad(decisionlog.MaxLine+1) + end)[0].Err))
	}
}

func TestReadErrorEndsTheLog(t *testing.T) {
	t.Parallel()
	rows := slices.Collect(decisionlog.Parse(io.MultiReader(strings.NewReader(good+"\n"+good), iotest.ErrReader(io.ErrUnexpectedEOF))))
	require.Len(t, rows, 2, "half a line is never a decision")
	require.NoError(t, rows[0].Err)
	require.Equal(t, "log_cut", fault.CodeOf(rows[1].Err))
}

func TestStopsWhenAsked(t *testing.T) {
	t.Parallel()
	for range decisionlog.Parse(strings.NewReader(strings.Repeat(good+"\n", 3))) {
		return
	}
	t.Fatal("no row")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("\ufeff" + good + "\r\n\n{}\n"))
	f.Add([]byte(`{"features":{"a":{"b":[1,{"c":"}"}]}},"x":"\"\\"}`))
	f.Add([]byte(`{"seq_no":-0,"arm_prob":1E-400,"propensity":[],"eligible_actions":[ ]}`))
	f.Fuzz(func(t *testing.T, log []byte) {
		lines, last := bytes.Count(log, []byte("\n"))+1, 0
		for row := range decisionlog.Parse(bytes.NewReader(log)) {
			require.Greater(t, row.Number, last)
			require.LessOrEqual(t, row.Number, lines)
			last = row.Number
			if row.Err != nil {
				require.Equal(t, fault.Invalid, fault.KindOf(row.Err))
				who := decision.Decision{ID: row.Decision.ID, UnitID: row.Decision.UnitID, At: row.Decision.At}
				require.Empty(t, cmp.Diff(who, row.Decision), "of a refused line only who it was is known")
				continue
			}
			// What was accepted is what a lenient reader of JSON sees.
			line := bytes.Split(log, []byte("\n"))[row.Number-1]
			var plain map[string]any
			require.NoError(t, json.Unmarshal(bytes.TrimPrefix(line, []byte("\ufeff")), &plain))
			require.Equal(t, plain["unit_id"], row.Decision.UnitID)
			require.Equal(t, plain["action"], row.Decision.Action)
			require.Len(t, plain["propensity"], len(row.Decision.Propensity))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var log bytes.Buffer
	for i := range 1000 {
		fmt.Fprintln(&log, strings.Replace(good, "d-1", fmt.Sprintf("d-%d", i), 1))
	}
	b.SetBytes(int64(log.Len()))
	for b.Loop() {
		for row := range decisionlog.Parse(bytes.NewReader(log.Bytes())) {
			if row.Err != nil {
				b.Fatal(row.Err)
			}
		}
	}
}
