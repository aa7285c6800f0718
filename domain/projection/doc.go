// Package projection follows Stripe's objects: what a customer, a subscription, an
// invoice, a charge, a dispute and a product are now, and which statuses a
// subscription went through.
//
// Every payload and every read is an observation, and an observation is a state of its
// own. States of one object join: Join is commutative, associative and idempotent, so
// that the same observations end in the same state, byte for byte, in whichever order,
// however often and from wherever they come. The package owns what an observation
// says, which of two versions counts, and the timeline. It knows no storage and no
// clock, and it keeps nothing that names a person.
package projection
