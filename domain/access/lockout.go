package access

import "time"

// Lockout is what is remembered of the attempts of one e-mail address or one client.
// An attempt is counted before the password is looked at, so that many attempts at
// once are many attempts.
type Lockout struct {
	Failures int
	LastAt   time.Time
	// Until is when the next attempt is heard; zero when nothing is locked.
	Until time.Time
}

// LockPolicy says how many attempts are free and how long one waits then: First
// after the last free one, twice as long after each further one, at most Longest.
// After Forget without an attempt everything is forgotten.
type LockPolicy struct {
	Free                   int
	First, Longest, Forget time.Duration
}

// The policies of sign-in. Several people share a client's address.
var (
	EmailLock  = LockPolicy{Free: 5, First: time.Minute, Longest: time.Hour, Forget: 24 * time.Hour}
	ClientLock = LockPolicy{Free: 30, First: time.Minute, Longest: time.Hour, Forget: time.Hour}
)

// Locked reports whether an attempt at the given time is not heard.
func (l Lockout) Locked(now time.Time) bool { return now.Before(l.Until) }

// Attempt counts an attempt that is heard.
func (p LockPolicy) Attempt(l Lockout, now time.Time) Lockout {
	if now.Sub(l.LastAt) >= p.Forget {
		l = Lockout{}
	}
	l.Failures++
	l.LastAt = now
	l.Until = time.Time{}
	if over := l.Failures - p.Free; over >= 0 {
		wait := p.Longest
		if over < 20 { // beyond it the shift would leave the range of a duration
			wait = min(p.First<<over, p.Longest)
		}
		l.Until = now.Add(wait)
	}
	return l
}

// Succeeded takes the attempt back that turned out to be right.
func (l Lockout) Succeeded() Lockout {
	l.Failures = max(l.Failures-1, 0)
	l.Until = time.Time{}
	return l
}
