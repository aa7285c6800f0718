package reward

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// maxUserID is the longest metadata value that Stripe stores.
const maxUserID = 500

func customerCreated(b *builder, obj, _ node) {
	user := b.userID(obj)
	if user == "" {
		b.ignore(ignoredNoMapping)
		return
	}
	b.mapped(obj, user, "", KeyOf(CustomerMapping, obj.own(), user))
}

// customerUpdated books a mapping only when the key moved. A mapping that was set,
// changed and set back is three statements, so these keys carry the change and its time.
func customerUpdated(b *builder, obj, prev node) {
	user, was := b.userID(obj), b.userID(prev)
	if !b.userMoved(prev) || user == was {
		b.ignore(ignoredNoMapping)
		return
	}
	b.mapped(obj, user, was, mappingKey(obj.own(), was+">"+user, b.at))
}

// userMoved reports whether previous attributes name the key, or say that there were no
// metadata at all.
func (b *builder) userMoved(prev node) bool {
	was := prev.obj("metadata")
	return was.has(b.userIDKey()) || prev.has("metadata") && len(was) == 0
}

func (b *builder) userID(n node) string {
	return strings.TrimSpace(n.obj("metadata").str(b.userIDKey()))
}

// maxKeyText keeps a key within what an index holds.
const maxKeyText = 2000

func mappingKey(id, change string, at time.Time) string {
	if len(change) > maxKeyText {
		sum := sha256.Sum256([]byte(change))
		change = hex.EncodeToString(sum[:])
	}
	return KeyOf(CustomerMapping, id, change+"@"+unix(at))
}

func (b *builder) mapped(obj node, user, was, key string) {
	id := obj.own()
	// A longer value cannot come from Stripe, and a cut one would name another user.
	if len([]rune(user)) > maxUserID {
		b.anomaly(anomalyUserID, "customer", id)
		return
	}
	f := Fact{Kind: CustomerMapping, Key: key, ObjectID: id, Customer: id, UserID: user, PreviousUserID: was}
	if was == "" && !b.isUpdate() {
		f.EffectiveAt = obj.when("created")
	}
	if user == "" {
		b.fact(f) // the link ends: a fact, but no event to show
		return
	}
	b.both(f, Signal{UserID: user})
}

func (b *builder) isUpdate() bool { return b.out.Envelope.Type == "customer.updated" }

// customerDeleted closes the link. Churn comes from the subscriptions, whose own
// events follow.
func customerDeleted(b *builder, obj, _ node) {
	id := obj.own()
	b.fact(Fact{Kind: CustomerDeleted, Key: KeyOf(CustomerDeleted, id), ObjectID: id, Customer: id})
}
