package operate_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

var anna = access.Operator("anna")

// shelf is an archive in memory.
type shelf struct {
	parts  []operate.Partition
	years  []operate.Year
	erased []string
	logged []string
	noted  []string
	broken error
}

func (s *shelf) Partitions(context.Context) ([]operate.Partition, error) { return s.parts, nil }
func (s *shelf) Agreements(context.Context) ([]operate.Year, error)      { return s.years, nil }
func (s *shelf) EraseBodies(_ context.Context, p operate.Partition) (int64, int64, error) {
	s.erased = append(s.erased, p.Name)
	return p.Bodies - p.Attention, p.Attention, s.broken
}

func (s *shelf) LogErasure(_ context.Context, p operate.Partition, _, _ int64, _ time.Time, _ string, _ time.Time, note audit.Entry) error {
	s.logged, s.noted = append(s.logged, p.Name), append(s.noted, note.ObjectID)
	return nil
}

func month(t *testing.T, s string) period.Month {
	t.Helper()
	m, err := period.Parse(s)
	require.NoError(t, err)
	return m
}

func part(t *testing.T, name string, connections ...string) operate.Partition {
	in := month(t, name).In(time.UTC)
	return operate.Partition{Name: name, From: in.Start, To: in.End, Events: 10, Bodies: 10, Bytes: 1000, Connections: connections}
}

// year is the contract of "acme" from a month on, with its first n months finished.
func year(t *testing.T, first string, n int) operate.Year {
	y := operate.Year{AccountID: "acme", ConnectionID: "acme", FirstPeriod: month(t, first), Zone: time.UTC, Final: map[string]bool{}, AttributionDays: 90, CloseLagDays: 3}
	for i := range n {
		y.Final[y.FirstPeriod.Add(i).String()] = true
		if i%12 == 11 {
			y.Final[y.FirstPeriod.Add(i).Settlement().String()] = true
		}
	}
	return y
}

func apply(t *testing.T, s *shelf, now time.Time, months int) map[string]string {
	t.Helper()
	steps, err := (&operate.Retention{Archive: s, Clock: clock.Fixed(now)}).Apply(t.Context(), anna, months, true)
	require.NoError(t, err)
	require.Empty(t, s.erased, "a dry run changes nothing")
	out := map[string]string{}
	for _, step := range steps {
		out[step.Name] = step.Why
		if step.Erase {
			out[step.Name] = "erase"
		}
	}
	return out
}

// Bodies are kept for their age, while a contract year that they belong to is open, and
// while somebody has to look at them.
func TestRetention(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time { return month(t, s).In(time.UTC).Start.AddDate(0, 0, 14) }
	parts := []operate.Partition{part(t, "2024-12", "acme"), part(t, "2025-01", "acme"), part(t, "2025-12", "acme"), part(t, "2026-01", "acme"), part(t, "2026-06", "acme")}
	require.Equal(t, "everything is kept", apply(t, &shelf{parts: parts}, at("2030-01"), 0)["2024-12"])

	// The contract began in January 2025; its first year is settled in April 2026.
	for _, c := range []struct {
		now    string
		done   int
		months int
		erase  []string
	}{
		{"2026-03", 12, 1, []string{"2024-12"}},
		{"2026-05", 12, 1, []string{"2024-12", "2025-01", "2025-12"}},
		{"2026-05", 11, 1, []string{"2024-12"}},
		{"2026-05", 12, 6, []string{"2024-12", "2025-01"}},
		{"2027-01", 24, 1, []string{"2024-12", "2025-01", "2025-12"}},
		{"2027-05", 24, 1, []string{"2024-12", "2025-01", "2025-12", "2026-01", "2026-06"}},
	} {
		got := apply(t, &shelf{parts: parts, years: []operate.Year{year(t, "2025-01", c.done)}}, at(c.now), c.months)
		var erase []string
		for _, p := range parts {
			if got[p.Name] == "erase" {
				erase = append(erase, p.Name)
			}
		}
		require.Equal(t, c.erase, erase, "%+v: %v", c, got)
	}

	shared := part(t, "2025-01", "acme", "other")
	open := year(t, "2025-01", 0)
	open.ConnectionID = "other"
	require.Contains(t, apply(t, &shelf{parts: []operate.Partition{shared}, years: []operate.Year{year(t, "2025-01", 12), open}}, at("2026-05"), 1)["2025-01"],
		"contract year of connection other")

	waiting, empty, attention := part(t, "2020-01"), part(t, "2020-02"), part(t, "2020-03")
	waiting.Waiting, empty.Bodies, attention.Attention = 1, 0, 10
	got := apply(t, &shelf{parts: []operate.Partition{waiting, empty, attention}}, at("2026-05"), 1)
	require.Contains(t, got["2020-01"], "not classified yet")
	require.Equal(t, "nothing is left to erase", got["2020-02"])
	require.Equal(t, "nothing is left to erase", got["2020-03"])
}

func TestRetentionIsLogged(t *testing.T) {
	t.Parallel()
	s := &shelf{parts: []operate.Partition{part(t, "2020-01"), part(t, "2020-02"), part(t, "2026-04")}}
	r := &operate.Retention{Archive: s, Clock: clock.Fixed(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))}
	steps, err := r.Apply(t.Context(), anna, 1, false)
	require.NoError(t, err)
	require.Equal(t, []string{"2020-01", "2020-02"}, s.logged, "April is one month old in June")
	require.Equal(t, s.logged, s.noted)
	require.EqualValues(t, 10, steps[0].Erased)
	s.broken = fault.New(fault.Unavailable, "database_unavailable", "in use")
	_, err = r.Apply(t.Context(), anna, 1, false)
	require.True(t, fault.Is(err, fault.Unavailable))
	require.Len(t, s.logged, 2)
	_, err = r.Apply(t.Context(), anna, -1, false)
	require.Equal(t, "months_range", fault.CodeOf(err))
	live := anna
	live.Scope.Environments = []account.Environment{account.Live}
	_, err = r.Apply(t.Context(), live, 1, false)
	require.Equal(t, access.CodeScope, fault.CodeOf(err), "a month holds the events of every account")
	_, err = r.Apply(t.Context(), access.Principal{Roles: access.Roles{access.Viewer}, Scope: access.Everything()}, 1, false)
	require.Equal(t, access.CodePermission, fault.CodeOf(err))
}
