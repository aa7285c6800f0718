package system_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/clock"
)

var (
	_ clock.Clock = system.Clock{}
	_ clock.Clock = (*system.FileClock)(nil)
)

func TestMachineClockIsUTC(t *testing.T) {
	t.Parallel()
	before := time.Now()
	now := system.Clock{}.Now()
	require.Equal(t, time.UTC, now.Location())
	require.False(t, now.Before(before.Add(-time.Second)))
}

func TestFileClockStandsStillAndRuns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clock")
	at := time.Date(2026, 10, 3, 12, 0, 0, 5, time.FixedZone("x", 3600))
	require.NoError(t, system.WriteClockFile(path, at, false))
	c, err := system.OpenFileClock(path)
	require.NoError(t, err)
	require.Equal(t, at.UTC(), c.Now())
	require.Equal(t, at.UTC(), c.Now())

	began := time.Now()
	require.NoError(t, c.Set(at, true))
	shown := c.Now().Sub(at)
	require.GreaterOrEqual(t, shown, time.Duration(0))
	require.LessOrEqual(t, shown, time.Since(began))
	require.False(t, c.Now().Before(at.Add(shown)), "a running clock does not go back")

	other, err := system.OpenFileClock(path)
	require.NoError(t, err)
	require.NoError(t, other.Set(at.AddDate(0, 1, 0), false))
	require.Equal(t, at.AddDate(0, 1, 0).UTC(), c.Now(), "every process sees the new time")
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file stays")
}

// A reader never sees half a file, however often it is replaced.
func TestFileClockIsReplacedInOneStep(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clock")
	at := time.Date(2026, 10, 3, 12, 0, 0, 0, time.UTC)
	require.NoError(t, system.WriteClockFile(path, at, false))
	c, err := system.OpenFileClock(path)
	require.NoError(t, err)
	errs := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			if err := c.Set(at.Add(time.Duration(i)*time.Hour), false); err != nil {
				errs <- err
				return
			}
		}
	})
	for range 500 {
		now := c.Now() // panics on a broken file
		require.Zero(t, now.Sub(at)%time.Hour)
	}
	wg.Wait()
	require.Empty(t, errs)
}

func TestFileClockRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := system.OpenFileClock(filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, content := range []string{"", "{}", "yesterday", `{"at":"0001-01-01T00:00:00Z"}`} {
		path := filepath.Join(dir, "broken")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := system.OpenFileClock(path)
		require.ErrorContains(t, err, "does not hold a time", content)
	}
	require.Error(t, system.WriteClockFile(filepath.Join(dir, "missing", "clock"), time.Now(), false))

	path := filepath.Join(dir, "clock")
	require.NoError(t, system.WriteClockFile(path, time.Unix(1, 0), false))
	c, err := system.OpenFileClock(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	require.Panics(t, func() { c.Now() }, "a wrong time would book wrong facts")
}
