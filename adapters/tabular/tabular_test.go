package tabular_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/tabular"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

const (
	logHeader = "row,unit_id,action,reward,pscore,x0,pi_0,pi_1,base_0,base_1,q_0,q_1\n"
	goodRow   = "0,a,1,-3.5,2.5e-1,9,0.5,0.5,1,0,1,2\n"
)

func packed(t *testing.T, text string) string {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return buf.String()
}

func TestReadLog(t *testing.T) {
	t.Parallel()
	plain := logHeader + goodRow + "1,\"b,b\",0,4,1,,1,0,0,1,0,0\n"
	for name, text := range map[string]string{"plain": plain, "packed": packed(t, plain), "marked": "\xef\xbb\xbf" + plain,
		"CRLF": strings.ReplaceAll(plain, "\n", "\r\n"), "blank line": strings.Replace(plain, "\n1,", "\n\n1,", 1)} {
		log, err := tabular.ReadLog(strings.NewReader(text))
		require.NoError(t, err, name)
		require.Equal(t, []int{2, 2}, []int{log.Rows(), log.Units()}, name)
		r, err := log.Evaluate(evaluate.DefaultParams())
		require.NoError(t, err)
		// Weights 0.5/0.25 and 1/1: (2*-3.5 + 1*4)/2.
		require.Equal(t, "-1.5", r.Policy.Estimators[evaluate.IPW].Value.String(), name)
	}
}

// TestLogRefusals: row, line, column and reason, whatever is wrong.
func TestLogRefusals(t *testing.T) {
	t.Parallel()
	second := func(row string) string { return logHeader + goodRow + row + "\n" }
	for text, want := range map[string]string{
		"":        "the table is empty",
		logHeader: "no rows",
		strings.Replace(logHeader, "pscore", "p", 1) + goodRow:  "pscore: the column is missing",
		strings.Replace(logHeader, "q_0,q_1", "a,b", 1):         "q_0: the column is missing",
		strings.Replace(logHeader, "q_1", "q_2", 1) + goodRow:   "q_2: the columns q_… must be numbered from 0 without a gap",
		strings.Replace(logHeader, "q_1", "q_01", 1) + goodRow:  "q_01: the columns q_…",
		strings.Replace(logHeader, "base_1", "x1", 1) + goodRow: "base_0: there are 1 columns base_… and 2 columns pi_…",
		strings.Replace(logHeader, "base_1", "x0", 1) + goodRow: "x0: the header names the column twice",
		second("1,b,0,1,0.5,0,1,0,1,0,1"):                       "row 1 (line 3), column 1 of the text: wrong number of fields",
		second("1,\"b,0,1,0.5,0,1,0,1,0,1,1"):                   "row 1 (line 3), column 28 of the text: extraneous",
		second("1,b,2,1,0.5,0,1,0,1,0,1,1"):                     "action: row 1 (line 3): 2 is not an action between 0 and 1",
		second("1,b,0.0,1,0.5,0,1,0,1,0,1,1"):                   `action: row 1 (line 3): "0.0" is not a whole number`,
		second("1,b,+1,1,0.5,0,1,0,1,0,1,1"):                    `action: row 1 (line 3): "+1" is not a whole number`,
		second("1,b,0,NaN,0.5,0,1,0,1,0,1,1"):                   `reward: row 1 (line 3): "NaN" is not a decimal number`,
		second("1,b,0,,0.5,0,1,0,1,0,1,1"):                      `reward: row 1 (line 3): "" is not a decimal number`,
		second("1,b,0,1e999,0.5,0,1,0,1,0,1,1"):                 `reward: row 1 (line 3): "1e999" is beyond the range`,
		second("1,b,0,0x1p4,0.5,0,1,0,1,0,1,1"):                 `reward: row 1 (line 3): "0x1p4" is not a decimal number`,
		second("1,b,0,1_0,0.5,0,1,0,1,0,1,1"):                   `reward: row 1 (line 3): "1_0" is not a decimal number`,
		second("1,b,0,1,0,0,1,0,1,0,1,1"):                       "pscore: row 1 (line 3): 0 is not a probability",
		second("1,b,0,1,1,0,0.8,0.1,1,0,1,1"):                   "pi_0: row 1 (line 3): pi_0 to pi_1 sum to 0.9",
		second("1,,0,1,1,0,0.8,0.2,1,0,1,1"):                    "unit_id: row 1 (line 3): a unit id has",
		second("0,b,0,1,1,0,0.8,0.2,1,0,1,1"):                   "row: row 1 (line 3): the row number 0 appears twice",
		packed(t, logHeader+goodRow)[:60]:                       "the table cannot be read",
		"\x1f\x8bno":                                            "the gzip header cannot be read",
	} {
		_, err := tabular.ReadLog(strings.NewReader(text))
		require.ErrorContains(t, err, want, text)
		require.True(t, fault.Is(err, fault.Invalid), text)
	}
}

func TestReadUnits(t *testing.T) {
	t.Parallel()
	text := "x_2,y_minor,unit_id,x_1,holdout\n0.25,-100,a,1e3,1\n-7,9007199254740993,b,0.1,0\n"
	got, err := tabular.ReadUnits(strings.NewReader(text), 0.2)
	require.NoError(t, err)
	require.Equal(t, tabular.Units{Features: []string{"x_1", "x_2"}, Rows: []ope.Unit{
		{ID: "a", Holdout: true, P: 0.2, Y: -100, X: []float64{1000, 0.25}},
		{ID: "b", P: 0.2, Y: 1<<53 + 1, X: []float64{0.1, -7}},
	}}, got)
	got, err = tabular.ReadUnits(strings.NewReader("unit_id,holdout,y_minor\n"), 0.2)
	require.NoError(t, err)
	require.Empty(t, got.Rows)
}

func TestUnitRefusals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"unit_id,holdout\na,1\n":                        "y_minor: the column is missing",
		"unit_id,holdout,y_minor,x_0\na,1,2,3\n":        "x_0: the columns x_… must be numbered from 1",
		"unit_id,holdout,y_minor,x_1,x_3\na,1,2,3,4\n":  "x_3: the columns x_…",
		"unit_id,holdout,y_minor,arm\na,1,2,3\n":        "arm: a unit table has no such column",
		"unit_id,holdout,y_minor\na,true,2\n":           `holdout: row 0 (line 2): "true" is neither 0 nor 1`,
		"unit_id,holdout,y_minor\na,1,2.5\n":            `y_minor: row 0 (line 2): "2.5" is not a whole number`,
		"unit_id,holdout,y_minor\na,1,1e3\n":            `y_minor: row 0 (line 2): "1e3" is not a whole number`,
		"unit_id,holdout,y_minor,x_1\na,1,2,Infinity\n": `x_1: row 0 (line 2): "Infinity" is not a decimal`,
	} {
		_, err := tabular.ReadUnits(strings.NewReader(text), 0.2)
		require.ErrorContains(t, err, want, text)
		require.True(t, fault.Is(err, fault.Invalid), text)
	}
	_, err := ope.NewTable([]ope.Unit{{ID: "a", P: 0.2}, {ID: "a", P: 0.2}}, 0, 5)
	require.EqualError(t, tabular.Refused(err), `unit_id: row 1 (unit "a"): the unit appears twice`)
	require.True(t, fault.Is(tabular.Refused(err), fault.Invalid))
}

// FuzzReadLog: whatever the bytes, a log that is read evaluates to numbers or nulls.
func FuzzReadLog(f *testing.F) {
	f.Add([]byte(logHeader + goodRow))
	f.Add([]byte(logHeader + "1,b,0,1e-300,1e-30,0,1,0,0,1,-0,9e15\n"))
	f.Add([]byte("unit_id,action,reward,pscore,pi_0,base_0,q_0\n\"\",0,1,1,1,1,1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		log, err := tabular.ReadLog(bytes.NewReader(raw))
		if err != nil {
			requireRefusal(t, err)
			return
		}
		r, err := log.Evaluate(evaluate.DefaultParams())
		require.NoError(t, err)
		_, err = json.Marshal(r)
		require.NoError(t, err, "JSON has neither NaN nor infinities")
		for _, e := range r.Lift.Estimators {
			v, _ := e.Value.Float()
			require.False(t, math.IsNaN(v) || math.IsInf(v, 0))
		}
	})
}

var atRow = regexp.MustCompile(`row \d+ \((line \d+|unit ".*")\)`)

// requireRefusal: a refusal is the reader's to act on. It names the row, the column and
// the reason, unless the table as a whole cannot be read, is empty or has a wrong header.
func requireRefusal(t *testing.T, err error) {
	t.Helper()
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.NotEmpty(t, f.Msg)
	switch f.Code {
	case "table_unreadable", "table_header", evaluate.RefusedEmpty:
	case "table_row":
		require.Regexp(t, `row \d+ \(line \d+\), column \d+`, err.Error())
	default:
		require.Regexp(t, atRow, err.Error())
		require.NotEmpty(t, f.Field, "%v", err)
	}
}

// FuzzReadUnits: whatever the bytes, a table that is read is estimated or refused.
func FuzzReadUnits(f *testing.F) {
	f.Add([]byte("unit_id,holdout,y_minor,x_1\na,1,5,0\nb,1,0,1\nc,0,7,2\nd,0,9,1e15\n"))
	f.Add([]byte("unit_id,holdout,y_minor\na,1,-9223372036854775808\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		units, err := tabular.ReadUnits(bytes.NewReader(raw), 0.25)
		if err != nil {
			requireRefusal(t, err)
			return
		}
		r, err := ope.Estimate(units.Rows, len(units.Features), 5, ope.Options{Lambda: 1e-3})
		if err != nil {
			var refusal *ope.Refusal
			require.ErrorAs(t, err, &refusal)
			require.True(t, fault.Is(tabular.Refused(err), fault.Invalid), "%v", err)
			if refusal.Row >= 0 {
				requireRefusal(t, tabular.Refused(err))
			}
			require.NotEmpty(t, refusal.Reason)
			return
		}
		_, err = json.Marshal(r)
		require.NoError(t, err, "JSON has neither NaN nor infinities")
	})
}
