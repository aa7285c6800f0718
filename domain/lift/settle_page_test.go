package lift_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/lift"
)

// worked is one example of docs/settlement.md.
type worked struct {
	name   string
	rule   lift.Rule
	capped bool
	share  decimal.Decimal
	looks  []workedLook
}

type workedLook struct {
	name string
	rows []map[string]string
}

var ruleLine = regexp.MustCompile("(?m)^Rule: `(\\w+)`, `(\\w+)`, (no cap|capped), share ([0-9.]+)\\.")

// workedExamples reads the page.
func workedExamples(t *testing.T) []worked {
	t.Helper()
	raw, err := os.ReadFile("../../docs/settlement.md")
	require.NoError(t, err)
	var out []worked
	for _, section := range strings.Split(string(raw), "\n## ")[1:] {
		if !strings.HasPrefix(section, "By hand: ") {
			continue
		}
		title, _, _ := strings.Cut(section, "\n")
		m := ruleLine.FindStringSubmatch(section)
		require.NotNil(t, m, title)
		w := worked{name: title, rule: lift.Rule{Basis: lift.Basis(m[1]), Settlement: lift.Settlement(m[2])}, capped: m[3] == "capped", share: decimal.RequireFromString(m[4])}
		var header []string
		for _, line := range strings.Split(section, "\n") {
			if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
				continue
			}
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			if header == nil {
				header = cells
				continue
			}
			row := map[string]string{}
			require.Len(t, cells, len(header), line)
			for i, h := range header {
				row[h] = cells[i]
			}
			if len(w.looks) == 0 || w.looks[len(w.looks)-1].name != row["look"] {
				w.looks = append(w.looks, workedLook{name: row["look"]})
			}
			l := &w.looks[len(w.looks)-1]
			l.rows = append(l.rows, row)
		}
		out = append(out, w)
	}
	return out
}

func minorOf(t *testing.T, s string) int64 {
	t.Helper()
	d, err := decimal.NewFromString(s)
	require.NoError(t, err, s)
	return d.Shift(2).IntPart()
}

// verdictOf judges a snapshot whose estimate and bound are those of the row, each half a
// minor unit above, so that the floors are the row's.
func verdictOf(t *testing.T, plan lift.SealedPlan, look lift.Look, id string, row map[string]string) lift.Verdict {
	t.Helper()
	point := float64(minorOf(t, row["T"])) + 0.5
	bound := point - 1e6
	if row["bound"] != "-" {
		bound = float64(minorOf(t, row["bound"])) + 0.5
	}
	z, err := decimal.NewFromString(plan.Plan().ErrorBudget.Z(look, id == lift.SnapshotPooled))
	require.NoError(t, err)
	ev := evidence(look)
	if row["verdict"] == string(lift.CodeUnmappedRevenue) {
		ev.UnmappedMinor = ptr(int64(8_000_000))
	}
	return lift.Judge(healthy(id, point, (point-bound)/z.InexactFloat64()), ev, plan)
}

// TestSettlementPageByHand recomputes every worked example of the page.
func TestSettlementPageByHand(t *testing.T) {
	t.Parallel()
	examples := workedExamples(t)
	require.Len(t, examples, 7)
	seen := map[lift.Settlement]bool{}
	for _, w := range examples {
		seen[w.rule.Settlement] = true
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			p := plan(t)
			p.Settlement = w.rule.Settlement
			s, err := p.Seal(sealedAt)
			require.NoError(t, err)
			marks, year := map[string]int64{}, ""
			for _, l := range w.looks {
				if y, _, _ := strings.Cut(l.name, " "); y != year {
					marks, year = map[string]int64{}, y
				}
				w.settle(t, s, l, marks)
			}
		})
	}
	require.Len(t, seen, 3, "every settlement is worked out")
}

func lookOf(t *testing.T, name string) lift.Look {
	t.Helper()
	_, l, ok := strings.Cut(name, " ")
	require.True(t, ok, name)
	switch l {
	case "s":
		return lift.LookSettlement
	case "m12":
		return lift.LookNone
	default:
		return lift.LookMonth
	}
}

// settle runs one look and compares every cell.
func (w worked) settle(t *testing.T, s lift.SealedPlan, l workedLook, marks map[string]int64) {
	t.Helper()
	look := lookOf(t, l.name)
	in := lift.SettleInput{Basis: w.rule.Basis, Settlement: w.rule.Settlement, PortfolioCap: w.capped, Look: look, Pooled: lift.Judge(healthy(lift.SnapshotPooled, 1e6, 0), evidence(look), s)}
	for _, row := range l.rows {
		switch id := row["snapshot"]; id {
		case "all":
		case lift.SnapshotPooled:
			in.Pooled = verdictOf(t, s, look, id, row)
		default:
			v := verdictOf(t, s, look, id, row)
			want := lift.Code(row["verdict"])
			if want == "passed" {
				want = ""
			}
			require.Equal(t, want, v.Headline, "%s %s: %s", l.name, id, v.Sentence)
			b, _ := v.Billable()
			in.Lines = append(in.Lines, lift.SettleLine{SnapshotID: id, Verdict: v, Billable: b, HighWaterMinor: marks[id]})
		}
	}
	res := settle(t, in)
	cells := map[string]map[string]int64{}
	var fees int64
	for _, r := range res.Rows {
		fee := decimal.NewFromInt(r.DeltaMinor).Mul(w.share).Floor().IntPart()
		fees += fee
		marks[r.SnapshotID] = r.HighWaterAfter
		cells[r.SnapshotID] = map[string]int64{"mark before": r.HighWaterBefore, "base": r.DeltaMinor, "mark after": r.HighWaterAfter,
			"deferred": r.DeferredMinor, "waived": r.WaivedMinor, "credit": r.CreditMinor, "fee": fee}
	}
	cells["all"] = map[string]int64{"mark before": res.TotalBefore, "base": res.BaseMinor, "mark after": res.TotalAfter,
		"deferred": res.DeferredMinor, "waived": res.WaivedMinor, "credit": res.CreditMinor, "fee": fees}
	for _, row := range l.rows {
		for column, got := range cells[row["snapshot"]] {
			require.Equal(t, row[column], fmt.Sprintf("%d.%02d", got/100, got%100), "%s %s: %s", l.name, row["snapshot"], column)
		}
	}
}
