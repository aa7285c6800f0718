// Package fault is the one error vocabulary of liftbill.
//
// Every error that a person or a program may have to act on is a *Error with a
// Kind (what class of problem it is, which decides retries and HTTP status), a
// stable Code, the Field it is about and the Remedy. Anything else is internal
// and is never shown to a caller.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind classifies an error by what the caller can do about it.
type Kind string

// The kinds, from the caller's point of view.
const (
	// Invalid: the input is wrong; the same input will never work.
	Invalid Kind = "invalid"
	// NotFound: the named thing does not exist (in this environment).
	NotFound Kind = "not_found"
	// Conflict: the input contradicts what is already stored.
	Conflict Kind = "conflict"
	// Forbidden: the caller, the key or the environment may not do this.
	Forbidden Kind = "forbidden"
	// Unauthenticated: the caller did not say who it is, or could not prove it.
	Unauthenticated Kind = "unauthenticated"
	// Unavailable: a dependency did not answer; retrying may help.
	Unavailable Kind = "unavailable"
	// Indeterminate: an effect may or may not have happened; look before retrying.
	Indeterminate Kind = "indeterminate"
	// RateLimited: a dependency asked us to slow down, or we ask the caller to.
	RateLimited Kind = "rate_limited"
	// Internal: a bug or a broken invariant; never explained to a caller.
	Internal Kind = "internal"
)

// Error is an error with a class, a stable code and, where they exist, the field
// it is about and the remedy. Messages never hold secrets or third-party bodies.
type Error struct {
	Kind   Kind
	Code   string
	Msg    string
	Field  string
	Remedy string
	Cause  error
}

// New makes an error of a kind with a stable, snake_case code.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Msg: fmt.Sprintf(format, args...)}
}

// Wrap makes an error of a kind around a cause, which errors.Is and As still see.
func Wrap(cause error, kind Kind, code, format string, args ...any) *Error {
	e := New(kind, code, format, args...)
	e.Cause = cause
	return e
}

// InvalidField is the common case: one field of the input is wrong.
func InvalidField(field, code, format string, args ...any) *Error {
	return New(Invalid, code, format, args...).On(field)
}

// On names the field that the error is about.
func (e *Error) On(field string) *Error {
	e.Field = field
	return e
}

// Fix says what to do about it, in one imperative sentence.
func (e *Error) Fix(format string, args ...any) *Error {
	e.Remedy = fmt.Sprintf(format, args...)
	return e
}

// Error is one line: field, message, remedy.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Msg)
	if e.Remedy != "" {
		b.WriteString(". " + e.Remedy)
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// KindOf returns the kind of the first *Error in err's chain, Internal when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// CodeOf returns the code of the first *Error in err's chain, "internal" when there is none.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return "internal"
}

// Is reports whether err is of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
