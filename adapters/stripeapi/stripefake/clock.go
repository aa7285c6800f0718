package stripefake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ClockState is the content of a clock file: the time is At when the clock
// stands still, and At plus the wall time passed since Wall when it runs.
type ClockState struct {
	At      time.Time `json:"at"`
	Wall    time.Time `json:"wall"`
	Running bool      `json:"running"`
}

// Clock is the server's settable clock. Backed by a file, it is shared with
// every other process that reads or writes that file.
type Clock struct {
	mu    sync.Mutex
	state ClockState
	path  string
	seen  os.FileInfo
}

// NewClock returns a clock that stands still at the given time.
func NewClock(at time.Time) *Clock {
	return &Clock{state: ClockState{At: at.UTC(), Wall: wallNow()}}
}

// NewRunningClock returns a clock that starts at the given time and runs; the
// zero time means the present.
func NewRunningClock(at time.Time) *Clock {
	if at.IsZero() {
		at = wallNow()
	}
	return &Clock{state: ClockState{At: at.UTC(), Wall: wallNow(), Running: true}}
}

// NewFileClock returns a clock kept in a JSON file. A missing file is created
// standing still at the given time (running from the present if it is zero).
func NewFileClock(path string, at time.Time) (*Clock, error) {
	c := NewClock(at)
	if at.IsZero() {
		c = NewRunningClock(at)
	}
	c.path = path
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return c, c.write()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

func wallNow() time.Time {
	return time.Now() //nolint:forbidigo // the one place where the fake looks at the wall clock: running clocks measure elapsed time with it
}

// Now returns the current time of the clock in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refresh()
	return c.state.now()
}

func (s ClockState) now() time.Time {
	if s.Running {
		return s.At.Add(wallNow().Sub(s.Wall)).UTC()
	}
	return s.At.UTC()
}

// State returns the clock's state, as the file would hold it.
func (c *Clock) State() ClockState {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refresh()
	return c.state
}

// Set moves the clock to t and keeps whether it runs.
func (c *Clock) Set(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refresh()
	c.state.At, c.state.Wall = t.UTC(), wallNow()
	return c.write()
}

// Run starts or stops the clock at its current time.
func (c *Clock) Run(running bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refresh()
	c.state = ClockState{At: c.state.now(), Wall: wallNow(), Running: running}
	return c.write()
}

// refresh reads the file again if another process replaced it. A file that is
// missing or unreadable for a moment keeps the last known state.
func (c *Clock) refresh() {
	if c.path == "" {
		return
	}
	info, err := os.Stat(c.path)
	if err != nil {
		return
	}
	if c.seen != nil && os.SameFile(info, c.seen) && info.ModTime().Equal(c.seen.ModTime()) && info.Size() == c.seen.Size() {
		return
	}
	_ = c.read()
}

func (c *Clock) read() error {
	info, err := os.Stat(c.path)
	if err != nil {
		return fmt.Errorf("clock file: %w", err)
	}
	raw, err := os.ReadFile(c.path)
	if err != nil {
		return fmt.Errorf("clock file: %w", err)
	}
	var s ClockState
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("clock file %s: %w", c.path, err)
	}
	c.state, c.seen = s, info
	return nil
}

// write replaces the file atomically: readers see the old or the new state.
func (c *Clock) write() error {
	if c.path == "" {
		return nil
	}
	raw, err := json.Marshal(c.state)
	if err != nil {
		return fmt.Errorf("clock file: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(c.path), ".clock-*")
	if err != nil {
		return fmt.Errorf("clock file: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if _, err := tmp.Write(raw); err != nil {
		_ = tmp.Close()
		return fmt.Errorf("clock file: %w", err)
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("clock file: %w", err)
	}
	if err := os.Rename(tmp.Name(), c.path); err != nil {
		return fmt.Errorf("clock file: %w", err)
	}
	c.seen, err = os.Stat(c.path)
	if err != nil {
		return fmt.Errorf("clock file: %w", err)
	}
	return nil
}
