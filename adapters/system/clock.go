// Package system is the only place that reads the machine's clock, its entropy
// and the deployment's keys.
package system

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Clock is the machine's clock in UTC.
type Clock struct{}

// Now returns the time of the machine.
func (Clock) Now() time.Time { return time.Now().UTC() }

// clockState is the content of a clock file. The clock shows At while it stands
// still, and At plus the time that has passed since Wall while it runs.
type clockState struct {
	At      time.Time `json:"at"`
	Wall    time.Time `json:"wall"`
	Running bool      `json:"running"`
}

// FileClock is an injected clock that several processes share through a file: the
// demo replays a month on it. A file that is missing or unreadable stops the
// process that relies on it, because a wrong time would book wrong facts.
type FileClock struct{ path string }

// OpenFileClock checks that the file shows a time.
func OpenFileClock(path string) (*FileClock, error) {
	c := &FileClock{path: path}
	if _, err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *FileClock) read() (time.Time, error) {
	raw, err := os.ReadFile(c.path)
	if err != nil {
		return time.Time{}, fmt.Errorf("clock file: %w", err)
	}
	var s clockState
	if err := json.Unmarshal(raw, &s); err != nil || s.At.IsZero() {
		return time.Time{}, fmt.Errorf("clock file %s does not hold a time", c.path)
	}
	if !s.Running {
		return s.At.UTC(), nil
	}
	return s.At.Add(time.Since(s.Wall)).UTC(), nil
}

// Now returns the injected time.
func (c *FileClock) Now() time.Time {
	t, err := c.read()
	if err != nil {
		panic(err) // see the type's comment
	}
	return t
}

// Set makes the clock stand still at t, or run from t, for every process that
// reads the file. The file is replaced in one step.
func (c *FileClock) Set(t time.Time, running bool) error { return WriteClockFile(c.path, t, running) }

// WriteClockFile creates or replaces a clock file in one step.
func WriteClockFile(path string, t time.Time, running bool) error {
	raw, err := json.Marshal(clockState{At: t.UTC(), Wall: time.Now().UTC(), Running: running})
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".clock-*")
	if err != nil {
		return fmt.Errorf("clock file: %w", err)
	}
	_, err = tmp.Write(raw)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		if rmErr := os.Remove(tmp.Name()); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
		return fmt.Errorf("clock file: %w", err)
	}
	return nil
}
