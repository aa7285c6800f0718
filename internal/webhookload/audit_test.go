package webhookload

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	want := map[string]bool{"a": true, "b": true, "c": true}
	there, missing, double, unexpected := compare(want, map[string]int{"a": 1, "b": 2, "x": 1})
	require.Equal(t, [4]int{3, 1, 1, 1}, [4]int{there, missing, double, unexpected})
	require.True(t, KillReport{}.Held())
	for _, a := range []Audit{{MissingEvents: 1}, {DoubleEvents: 1}, {UnexpectedEvents: 1}, {Pending: 1}, {SetAside: 1}, {MissingFacts: 1}, {DoubleFacts: 1}, {UnexpectedFacts: 1}} {
		require.False(t, KillReport{Audit: a}.Held())
	}
}

// An event is owed until it is answered 200, and no longer.
func TestBook(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	b := newBook(KillOptions{Rate: 10})
	b.begun = begun
	first, ok := b.take(begun)
	require.True(t, ok)
	_, ok = b.take(begun)
	require.False(t, ok, "the next is not due")
	second, ok := b.take(begun.Add(150 * time.Millisecond))
	require.True(t, ok)
	require.Equal(t, []int{0, 1}, []int{first.event, second.event})
	b.note(first, 503, nil, begun)
	b.note(second, 200, nil, begun)
	b.noMore()
	_, ok = b.take(begun.Add(redeliverAfter / 2))
	require.False(t, ok)
	again, ok := b.take(begun.Add(redeliverAfter))
	require.True(t, ok)
	require.Zero(t, again.event)
	b.note(again, 0, errors.New("connection reset"), begun)
	require.Empty(t, b.told)
	again, ok = b.take(begun.Add(redeliverAfter))
	require.True(t, ok)
	b.note(again, 200, nil, begun)
	require.NoError(t, b.settled(t.Context()))
	b.repeat(200, nil)
	require.Equal(t, Deliveries{Events: 2, Redelivered: 1, Sent: 5, OK: 3, Busy: 1, Failed: 1}, b.totals())
}

func TestReportTakesMedians(t *testing.T) {
	t.Parallel()
	var r Report
	for i, rate := range []float64{100, 900, 300} {
		r.add(Round{
			Floor: Floor{PerSecond: float64(i), CPU: 1}, Own: Figures{PerSecond: rate, CPU: 1 / rate, P99: time.Duration(rate)},
			Peers: []Peer{{"fast", Figures{PerSecond: 150, CPU: 0.5}}, {"frugal", Figures{PerSecond: 50, CPU: 0.1}}},
		})
	}
	r.summarise()
	require.Equal(t, Figures{PerSecond: 300, CPU: 1.0 / 300, P99: 300}, r.Median)
	require.Equal(t, 1.0, r.Floor.PerSecond)
	require.Equal(t, &Ratios{PerSecond: 2, CPU: 1.0 / 300 / 0.1}, r.Ratios)
}

// Only a folder of its own is emptied.
func TestEmptyDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, emptyDir(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "left"), nil, 0o600))
	require.NoError(t, emptyDir(dir))
	require.NoFileExists(t, filepath.Join(dir, "left"))
	foreign := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "thesis.txt"), nil, 0o600))
	require.True(t, fault.Is(emptyDir(foreign), fault.Invalid))
	require.FileExists(t, filepath.Join(foreign, "thesis.txt"))
}

func TestProcessFigures(t *testing.T) {
	t.Parallel()
	before, err := treeCPU(os.Getpid())
	require.NoError(t, err)
	x := 0
	for i := range 200_000_000 {
		x += i
	}
	after, err := cpuOf(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, x)
	require.Greater(t, after, before)
	now, peak, err := memory(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, now)
	require.GreaterOrEqual(t, peak, now)
	_, err = cpuOf(1 << 30)
	require.Error(t, err)
}
