package operate

import (
	"strings"
)

// Action is what a person can do about an event that went nowhere.
type Action struct {
	// Code is stable; programs may act on it.
	Code string
	// Means says what happened.
	Means string
	// Do is the next step, in one sentence.
	Do string
}

// The codes of actions.
const (
	FixEndpoint = "fix_endpoint" // something at Stripe points to the wrong place
	RestoreKey  = "restore_key"  // the encryption key is not the one that sealed the body
	Upgrade     = "upgrade"      // a newer version may understand it: then classify again
	FixMetadata = "fix_metadata" // the data at Stripe is wrong
	LookAtBody  = "look_at_body" // nobody can tell from here
	Nothing     = "nothing"
)

// actions by reason. Every reason with which an event can be dead or quarantined is here,
// and in docs/operations.md.
var actions = map[string]Action{
	"livemode_mismatch": {FixEndpoint, "the event belongs to the other mode than its connection",
		"Point the endpoint of that mode to its own connection in the Stripe Dashboard; this event stays out on purpose and is never classified"},
	"account_mismatch": {FixEndpoint, "the event belongs to another Stripe account than its connection",
		"Take the connected account off this endpoint in the Stripe Dashboard, or connect it by itself; this event is never classified"},
	"not_json": {LookAtBody, "a correctly signed body is no event",
		"Compare the digest with the delivery in the Stripe Dashboard and have the event sent again from there"},
	"thin_event": {Nothing, "a version 2 event names its object and carries nothing", "Nothing; the version 1 endpoint delivers what is needed"},
	"body_unreadable": {RestoreKey, "the stored body cannot be decrypted",
		"Start with the encryption key that was used when the event came, then classify it again"},
	"value_refused":       {Upgrade, "the event holds a value that the database cannot store", "Upgrade liftbill, then classify it again"},
	"event_not_json":      {LookAtBody, "the stored body is no JSON", "Have the event sent again from the Stripe Dashboard"},
	"event_not_an_object": {LookAtBody, "the stored body is JSON but no object", "Have the event sent again from the Stripe Dashboard"},
	"event_malformed":     {LookAtBody, "the stored body has no event ID or no type", "Have the event sent again from the Stripe Dashboard"},
	"object_missing":      {Upgrade, "the event carries no object", "Upgrade liftbill, then classify it again"},
	"object_incomplete":   {Upgrade, "the event's object has no ID, or one that is too long", "Upgrade liftbill, then classify it again"},
	"status_unknown":      {Upgrade, "a subscription has a status that this version does not know", "Upgrade liftbill, then classify it again; the subscription is read from Stripe meanwhile"},
	"currency_unknown":    {Upgrade, "the amount is in a currency whose minor unit this version does not know", "Upgrade liftbill, then classify it again"},
	"amount_missing":      {Upgrade, "the object states no amount", "Upgrade liftbill, then classify it again; the object is read from Stripe meanwhile"},
	"time_missing":        {Upgrade, "neither the event nor its object says when", "Upgrade liftbill, then classify it again"},
	"user_id_too_long":    {FixMetadata, "the user ID in the metadata is longer than Stripe stores", "Correct the customer's metadata at Stripe; the correction comes as an event of its own"},
	"status_transition_impossible": {LookAtBody, "a subscription went from one status to another in a way that Stripe does not document",
		"Look at the subscription in the Stripe Dashboard; it is read again meanwhile, and classified again after an upgrade"},
}

// ActionOf is the next action for a reason; a reason may be followed by a colon and details.
func ActionOf(reason string) Action {
	code, _, _ := strings.Cut(reason, ":")
	if a, ok := actions[code]; ok {
		return a
	}
	return Action{LookAtBody, "an event was set aside for a reason that this version does not know", "Upgrade liftbill, then classify it again"}
}

// Reasons lists every reason that has an action of its own.
func Reasons() map[string]Action {
	out := make(map[string]Action, len(actions))
	for r, a := range actions {
		out[r] = a
	}
	return out
}
