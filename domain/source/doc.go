// Package source holds the rules by which a Stripe account is kept in step without
// trusting that its webhooks arrive: which window of its events is due, how often to
// look, how much may be read, and which part of the past is told by events and which
// by lists.
//
// It knows no Stripe and no storage: a State goes in with a time, and a State or a
// window comes out. All intervals are half-open, in UTC.
package source
