// Package campaign puts the write-back through seeded schedules of faults, crashes,
// second workers, operators and clocks, and lets an independent auditor look at what
// Stripe has in the end.
//
// The use case, its Stripe client and the SDK are the real ones. Stripe is a stateful
// stand-in in the same process; the ledger is in memory, held to the same contract as
// the one in PostgreSQL, which takes its place in a sample.
package campaign
