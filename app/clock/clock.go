// Package clock is the port to the time of day. Use cases never read the
// machine's clock themselves, so that a demo, a test and a replay run on theirs.
package clock

import "time"

// Clock tells the time in UTC.
type Clock interface {
	Now() time.Time
}

// Fixed is a clock that stands still, for tests and replays.
type Fixed time.Time

// Now returns the fixed instant in UTC.
func (f Fixed) Now() time.Time { return time.Time(f).UTC() }
