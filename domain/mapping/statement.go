// Package mapping decides whose a Stripe customer is.
//
// What is stored are statements: "from this instant on the customer is that user's",
// told by Stripe's metadata or made by a person. Nothing is ever changed or removed.
// The spans that follow from the statements are computed here, from all of them at
// once, so that the order in which they arrived cannot matter.
//
// It owns statements, spans, mapping aids and the rule of suggestions. It does not own
// storage, amounts or attribution to a policy.
package mapping

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// Source is where a statement comes from.
type Source string

// The sources. All but Metadata are a person's decisions.
const (
	// Metadata: the metadata of the Stripe object says so.
	Metadata Source = "metadata"
	// Email: a person accepted a suggestion by the hash of the e-mail address.
	Email Source = "email"
	// Domain: a person accepted a suggestion by the company's domain.
	Domain Source = "domain"
	// Manual: a person said so.
	Manual Source = "manual"
)

// ParseSource accepts the names of sources.
func ParseSource(s string) (Source, error) {
	switch src := Source(s); src {
	case Metadata, Email, Domain, Manual:
		return src, nil
	}
	return "", fault.InvalidField("source", "source_unknown", "%q is not a source of links", s).Fix("Use metadata, email, domain or manual")
}

// ByPerson reports whether a person decided, and not the metadata.
func (s Source) ByPerson() bool { return s != Metadata }

// MaxUserID is the longest user ID: the longest metadata value that Stripe stores.
const MaxUserID = 500

// Statement says whose a subject is from an instant on. The subject is a customer, or
// a subscription whose metadata names a user of its own.
type Statement struct {
	// ID is derived from what is said, so that the same statement told twice is one.
	ID      string
	Subject string
	// User is empty when the subject belongs to nobody from then on.
	User string
	// Previous is whose it was before, as far as the statement says; empty is unknown.
	Previous string
	Source   Source
	// Key is the name of the metadata entry, of a Metadata statement.
	Key string
	// From is the zero Time for "since the beginning".
	From    time.Time
	EventID string
	// Deleted: the customer was deleted at Stripe; User and Previous say nothing.
	Deleted bool
	// Seen: read off the object at about From. It says how things were, not that they
	// changed.
	Seen bool
	// Seq is the order of recording. Among statements of Stripe it decides nothing; a
	// person's decision knows of the statements that were recorded before it.
	Seq int64
}

// Instant is the time of a statement as it is stored: UTC, to the microsecond. The Unix
// epoch and whatever lies before it is the beginning of time, which is the zero Time.
func Instant(t time.Time) time.Time {
	if t.Unix() <= 0 {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// Identified returns the statement with its derived ID. Made again after it was
// retracted, a person's statement is another one: round counts the retractions.
func (s Statement) Identified(connectionID string, round int) Statement {
	s.From = Instant(s.From)
	s.ID = derive("link", connectionID, s.Subject, s.User, s.Previous, string(s.Source), s.Key, s.From.Format(time.RFC3339Nano),
		strconv.FormatBool(s.Deleted), strconv.FormatBool(s.Seen), strconv.Itoa(round))
	return s
}

// SuggestionID names the suggestion that a customer is a user's, by an aid.
func SuggestionID(connectionID, customer, user string, by Source) string {
	return derive("suggestion", connectionID, customer, user, string(by))
}

// derive is the lower-case base32 of the first 16 bytes of a SHA-256, as case IDs are.
func derive(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// CheckUserID returns the user ID without surrounding space and refuses what
// metadata could not hold.
func CheckUserID(field, user string) (string, error) {
	user = strings.TrimSpace(user)
	switch {
	case user == "":
		return "", fault.InvalidField(field, "user_missing", "a user ID is required").Fix("Use the user ID of the decision log")
	case len([]rune(user)) > MaxUserID:
		return "", fault.InvalidField(field, "user_id_too_long", "a user ID has at most %d characters", MaxUserID)
	case strings.ContainsRune(user, 0):
		return "", fault.InvalidField(field, "user_malformed", "a user ID cannot hold the character NUL")
	}
	return user, nil
}
