package source

import (
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// Pull says when the events of a source are fetched.
type Pull string

// The choices.
const (
	// PullAuto fetches while the connection has no webhook endpoint. With one, the hourly
	// and daily checks fetch what did not arrive.
	PullAuto Pull = "auto"
	// PullAlways fetches beside an endpoint too, for endpoints that are sent a few types only.
	PullAlways Pull = "always"
)

// Bounds of the interval.
const (
	DefaultInterval = 5 * time.Minute
	MinInterval     = time.Minute
	MaxInterval     = 24 * time.Hour
)

// Settings is what a person decides about a source.
type Settings struct {
	// Enabled is false while nothing is fetched and nothing is checked.
	Enabled bool
	Pull    Pull
	// Interval is the pause between two fetches; an idle source is asked less often.
	Interval time.Duration
}

// DefaultSettings are those of a new connection. At five minutes a month has 8,640
// fetches, which the smallest allowance bears.
func DefaultSettings() Settings {
	return Settings{Enabled: true, Pull: PullAuto, Interval: DefaultInterval}
}

// Validate names the field that is wrong.
func (s Settings) Validate() error {
	if s.Pull != PullAuto && s.Pull != PullAlways {
		return fault.InvalidField("pull", "pull_unknown", "%q is not a way to pull", s.Pull).Fix("Use auto or always")
	}
	if s.Interval < MinInterval || s.Interval > MaxInterval || s.Interval%time.Second != 0 {
		return fault.InvalidField("interval_seconds", "interval_out_of_range", "an interval of %s is not allowed", s.Interval).
			Fix("Use whole seconds from %d to %d", int(MinInterval.Seconds()), int(MaxInterval.Seconds()))
	}
	return nil
}
