// Package idempotency keeps the answers of requests that carried an Idempotency-Key:
// the same key with the same body gets the same answer, with another body a conflict.
//
// Answers of requests that changed nothing are not kept, so that a corrected request
// may use its key again. Answers are sealed, because one may show a new token.
package idempotency

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"regexp"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/domain/fault"
)

// Times of a key.
const (
	// Life is how long an answer is kept.
	Life = 24 * time.Hour
	// Lease is how long a request may take before another one may try again with its key.
	Lease = 10 * time.Minute
)

// Answer is a stored answer.
type Answer struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   []byte            `json:"body"`
}

// Use is one use of a key.
type Use struct {
	Principal string
	Key       string
	// Route is the method and the address with its values: a key belongs to one.
	Route string
}

// Row is what is stored of a use.
type Row struct {
	Use
	// Attempt names the request that may write the answer.
	Attempt    string
	LeaseUntil time.Time
	BodySHA256 []byte // nil while the request is under way
	Answer     []byte // sealed; nil while the request is under way
	CreatedAt  time.Time
	ExpiresAt  time.Time
}

// Store keeps uses.
type Store interface {
	// Take stores the row when the key is free, expired or left behind by a request
	// whose lease is over, and otherwise returns the row that is there.
	Take(ctx context.Context, r Row, now time.Time) (existing *Row, err error)
	// Answer completes the row of an attempt.
	Answer(ctx context.Context, r Row) error
	// Release removes the row of an attempt that is not to be kept.
	Release(ctx context.Context, u Use, attempt string) error
}

// Service is the use case.
type Service struct {
	Store Store
	Box   secret.Box
	Clock clock.Clock
}

// keyRE is what a key may be: any visible text that fits.
var keyRE = regexp.MustCompile(`^[!-~]{1,255}$`)

// Attempt is a request that may go on, or the answer that it gets instead.
type Attempt struct {
	row    Row
	stored *Row
}

// Begin claims a key for a request. While another request with the key is under way it
// is refused.
func (s *Service) Begin(ctx context.Context, u Use, attempt string) (*Attempt, error) {
	if !keyRE.MatchString(u.Key) {
		return nil, fault.InvalidField("Idempotency-Key", "idempotency_key_malformed", "this cannot be an idempotency key").Fix("Use 1 to 255 visible ASCII characters, for example a UUID")
	}
	now := s.Clock.Now()
	row := Row{Use: u, Attempt: attempt, LeaseUntil: now.Add(Lease), CreatedAt: now, ExpiresAt: now.Add(Life)}
	existing, err := s.Store.Take(ctx, row, now)
	switch {
	case err != nil:
		return nil, err
	case existing == nil:
		return &Attempt{row: row}, nil
	case existing.Route != u.Route:
		return nil, reused()
	case existing.Answer == nil:
		return nil, fault.New(fault.Conflict, "idempotency_key_in_use", "a request with this key is under way").Fix("Send it again in a moment")
	}
	return &Attempt{row: row, stored: existing}, nil
}

func reused() error {
	return fault.New(fault.Conflict, "idempotency_key_reused", "this key was used for another request").On("Idempotency-Key").Fix("Take a new key for a new request; send the same body to get the same answer")
}

// Replayed reports whether the answer is there already, so that the request must not
// be carried out.
func (a *Attempt) Replayed() bool { return a.stored != nil }

// Replay is the stored answer, for the body that it was given to.
func (s *Service) Replay(a *Attempt, bodySHA256 []byte) (Answer, error) {
	var out Answer
	if subtle.ConstantTimeCompare(a.stored.BodySHA256, bodySHA256) != 1 {
		return out, reused()
	}
	raw, err := s.Box.Open(a.stored.context(), a.stored.Answer)
	if err != nil {
		return out, err
	}
	err = json.Unmarshal(raw, &out)
	return out, err
}

// context binds a sealed answer to its use.
func (r Row) context() string {
	return "idempotent-answer:" + r.Principal + "\x00" + r.Key + "\x00" + r.Route
}

// Finish keeps the answer of an attempt that changed something.
func (s *Service) Finish(ctx context.Context, a *Attempt, bodySHA256 []byte, answer Answer) error {
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	if a.row.Answer, err = s.Box.Seal(a.row.context(), raw); err != nil {
		return err
	}
	a.row.BodySHA256 = bodySHA256
	return s.Store.Answer(ctx, a.row)
}

// Abandon frees the key of an attempt that changed nothing.
func (s *Service) Abandon(ctx context.Context, a *Attempt) error {
	return s.Store.Release(ctx, a.row.Use, a.row.Attempt)
}
