package lift_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// FuzzRestore: no stored text panics, and one that is accepted is its own canonical form.
func FuzzRestore(f *testing.F) {
	s := sealed(f)
	f.Add(s.JSON())
	f.Add([]byte(oldPlan))
	r, _, _ := readout(f, 900)
	f.Add(r.ManifestJSON())
	f.Add([]byte(`{"schema":"liftbill.manifest/2","period":"2026-01"}`))
	f.Add([]byte(`{"lambda":"1e999999999","holdout_probability":"0.0000000000001"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := lift.RestoreSealed(raw, lift.Digest256(raw), sealedAt)
		if err == nil {
			require.Equal(t, raw, p.JSON())
		}
		if r, err := lift.RestoreReadout(raw, lift.CaseIDOf(raw), s); err == nil {
			require.Equal(t, raw, r.ManifestJSON())
		}
	})
}

// FuzzPlan: whatever JSON becomes a plan is refused with its field, or seals, comes back
// alike, and judges without a NaN in any sentence.
func FuzzPlan(f *testing.F) {
	for _, p := range []lift.Plan{plan(f), perDecision(f), accountPlan(f)} {
		raw, err := json.Marshal(p)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Add([]byte(oldPlan))
	f.Add([]byte(`{"thresholds":{"srm_z":"1e99","chi_square_z":"-0","min_units":-9223372036854775808},"folds":99999999999}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p lift.Plan
		if json.Unmarshal(raw, &p) != nil {
			return
		}
		s, err := p.Seal(sealedAt)
		if err != nil {
			require.True(t, fault.Is(err, fault.Invalid), "%v", err)
			var fe *fault.Error
			require.ErrorAs(t, err, &fe)
			require.NotEmpty(t, fe.Field, "%v", err)
			return
		}
		back, err := lift.RestoreSealed(s.JSON(), s.Hash(), s.At())
		require.NoError(t, err)
		require.Equal(t, s.Hash(), back.Hash())
		for _, look := range []lift.Look{lift.LookMonth, lift.LookNone, lift.LookSettlement} {
			v := lift.Judge(healthy("a", 1e6, 1e5), evidence(look), s)
			for _, c := range v.Checks {
				require.NotContains(t, c.Explain+c.Value+c.Threshold, "NaN", c.Code)
			}
			_, ok := v.Billable()
			require.Equal(t, v.Passed, ok)
		}
	})
}

// source reads numbers out of fuzzed bytes; past the end they are 0.
type source []byte

func (s *source) byte() byte {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return b
}

func (s *source) uint64() uint64 {
	var b [8]byte
	for i := range b {
		b[i] = s.byte()
	}
	return binary.BigEndian.Uint64(b[:])
}

// float is any float64, or an ordinary one, so that both the refusals and the
// arithmetic are reached.
func (s *source) float() float64 {
	if s.byte() < 16 {
		return math.Float64frombits(s.uint64())
	}
	return float64(int(s.byte())-128) * math.Pow(2, float64(int(s.byte())%40-20))
}

// requireReadout: the estimate becomes a readout with finite numbers that can be restored.
func requireReadout(t *testing.T, s lift.SealedPlan, j lift.Joined, table lift.UnitTable) {
	t.Helper()
	e, err := lift.Measure(table, s.Plan(), 1)
	require.NoError(t, err)
	in := lift.InputsOf(j, table, at(40))
	r, err := lift.NewReadout(lift.ReadoutInput{AccountID: "a", ContractID: "c", Period: month(t, "2026-01"), Plan: s, Estimate: e,
		Evidence: j.Fill(evidence(lift.LookMonth), table), Inputs: in})
	require.NoError(t, err)
	for _, c := range r.Verdict.Checks {
		require.False(t, strings.Contains(c.Explain, "NaN") || strings.Contains(c.Explain, "Inf"), c.Explain)
	}
	back, err := lift.RestoreReadout(r.ManifestJSON(), r.CaseID, s)
	require.NoError(t, err)
	require.Equal(t, r.CaseID, back.CaseID)
}

// FuzzUnitTable: whatever the numbers of a unit table, it is estimated or refused in
// words, and the readout holds neither NaN nor infinities.
func FuzzUnitTable(f *testing.F) {
	f.Add([]byte{8, 200, 1, 2, 3, 200, 4, 5, 6, 7}, uint8(2))
	f.Add([]byte(strings.Repeat("\x01\x02\xff\x80liftbill", 40)), uint8(3))
	f.Add([]byte{0, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0}, uint8(0))
	// y and its shift, then any float as the first feature: not-a-number and both infinities.
	for _, bits := range []uint64{0x7ff8000000000001, 0x7ff0000000000000, 0xfff0000000000000} {
		f.Add(binary.BigEndian.AppendUint64([]byte{1, 1, 0}, bits), uint8(1))
	}
	s := sealed(f)
	f.Fuzz(func(t *testing.T, raw []byte, seed uint8) {
		src := source(raw)
		var rows []lift.UnitRow
		for i := range 12 + int(seed%8) {
			r := lift.UnitRow{UnitID: fmt.Sprintf("u%d", i), Arm: lift.ArmPolicy, BaselineProb: 0.2, YMinor: int64(src.byte()) << (src.byte() % 60),
				Features: []float64{src.float(), src.float()}, FirstExposure: at(1)}
			if b := src.byte(); b%3 == 0 || i < 3 {
				r.Arm = lift.ArmHoldout
			} else if b > 250 {
				r.BaselineProb = src.float()
			}
			rows = append(rows, r)
		}
		table, err := lift.NewUnitTable("s", s.Plan().Features, rows)
		require.NoError(t, err)
		requireReadout(t, s, lift.Joined{}, table)
	})
}

// FuzzJoin: whatever the log, the links and the revenue, every cent has one place, and
// every table becomes a readout, under each design.
func FuzzJoin(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Add([]byte(strings.Repeat("\x10\xe0\x07\x99 liftbill \x00\xff", 20)))
	var plans []lift.SealedPlan
	for _, p := range []lift.Plan{plan(f), accountPlan(f), perDecision(f)} {
		s, err := p.Seal(sealedAt)
		require.NoError(f, err)
		plans = append(plans, s)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		src := source(raw)
		s := plans[int(src.byte())%len(plans)]
		var exposures []lift.Exposure
		for range 4 + int(src.byte())%30 {
			e := choice(fmt.Sprintf("u%d", src.byte()%9), fmt.Sprintf("s%d", src.byte()%3), float64(src.byte()), float64(src.byte())/255, src.byte()%2 == 0)
			e.Arm = []lift.Arm{lift.ArmPolicy, lift.ArmHoldout}[src.byte()%2]
			e.UserID, e.PropensityOK = fmt.Sprintf("p%d", src.byte()%9), src.byte() > 8
			exposures = append(exposures, e)
		}
		var links []lift.Link
		for range src.byte() % 12 {
			links = append(links, link(fmt.Sprintf("c%d", src.byte()%5), fmt.Sprintf("p%d", src.byte()%9), float64(src.byte())))
		}
		var revenue []lift.Revenue
		for i := range int(src.byte()) % 20 {
			revenue = append(revenue, lift.Revenue{Key: fmt.Sprint(i), UnitID: fmt.Sprintf("u%d", src.byte()%10), AmountMinor: int64(src.uint64()), At: at(float64(src.byte()))})
		}
		j, err := lift.Join(s.Plan(), exposures, revenue, links)
		if err != nil {
			require.Equal(t, "amount_overflow", fault.CodeOf(err))
			return
		}
		sum := j.Attributed.SumMinor
		for _, b := range lift.Buckets() {
			sum += j.Bucket(b).SumMinor
		}
		require.Equal(t, j.Input.SumMinor, sum)
		for _, table := range append(j.Tables, j.Pooled) {
			requireReadout(t, s, j, table)
		}
	})
}
