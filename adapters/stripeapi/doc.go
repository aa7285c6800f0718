// Package stripeapi is the only package that knows Stripe's API and its SDK.
//
// It owns how a request is built, which requests may leave at all, how an answer
// is read and what a failure means. It does not own the order of the write-back,
// what an event means, or any state: those are app/invoicing, domain/reward and
// the database.
//
// Three rules hold for everything here. Every request is made with a client of one
// connection, never with the SDK's package-level key. Money is read as integers
// from the raw JSON, never from the SDK's structs, which turn a missing field into
// zero and a decimal into a float. No error or log line carries a body of Stripe's
// or a secret.
//
// A test connection cannot write: Writers.Open demands a proof of live mode, the
// transport refuses whatever its role does not list and any key that is not live,
// and an answer of the wrong mode stops the writer. Each layer holds without the
// others. All times are Stripe's, in UTC, to the second.
package stripeapi
