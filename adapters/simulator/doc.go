// Package simulator is the demo business: a seeded software-as-a-service company
// whose users are randomised between a policy and a holdout, with a known true
// lift for every policy snapshot.
//
// Every unit draws one uniform number u. It becomes a payer under the baseline
// exactly when u lies below the baseline's conversion, and under the policy exactly
// when u lies below the policy's (common random numbers); plan, dates, refunds and
// churn are the same in both worlds. So the model knows, unit by unit, what the
// baseline would have brought, and with it the realised lift to the minor unit.
//
// The business lives on a Stripe stand-in: it creates customers and subscriptions
// through Stripe's public API with a secret key, on a clock that a World moves.
// Verify holds the model's ledger against what the stand-in really booked.
//
// Arms come from lift.ArmOf alone. All other draws are hashes of the seed and of
// the unit's index, so nothing depends on labels, on the order of execution or on
// the other units.
package simulator
