package reward

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Natural keys. Each is derived from the object and never from the event, so that
// every way of learning the same thing ends in the same row.

// KeyOf joins a kind and its identifying parts: "refund:re_1".
func KeyOf(kind Kind, parts ...string) string {
	return string(kind) + ":" + strings.Join(parts, ":")
}

// ConversionKey names the one conversion of a subscription: at the end of its
// trial, or directly at its start.
func ConversionKey(s SubscriptionState) string {
	if !s.TrialEnd.IsZero() {
		return KeyOf(Conversion, s.ID, "trial", unix(s.TrialEnd))
	}
	return KeyOf(Conversion, s.ID, "direct", unix(s.StartDate))
}

// undoKey names the fact that takes back an earlier one of the same object.
func undoKey(kind Kind, id string) string { return KeyOf(kind, id, "undone") }

// occasion identifies a moment in the life of a subscription that has no time of
// its own: by the invoice it turns on, else by the period, else by the event.
func occasion(s SubscriptionState, at time.Time) string {
	if s.LatestInvoice != "" {
		return s.LatestInvoice
	}
	return unix(firstTime(s.PeriodStart, at))
}

// periodOccasion is the same for moments that turn on no invoice.
func periodOccasion(s SubscriptionState, at time.Time) string {
	return unix(firstTime(s.PeriodStart, at))
}

// changeKey names a plan change: from one set of prices and quantities to another.
func changeKey(kind Kind, id, from, to string, at time.Time) string {
	return KeyOf(kind, id, digest(from)+">"+digest(to)+"@"+unix(at))
}

func digest(sig string) string {
	sum := sha256.Sum256([]byte(sig))
	return hex.EncodeToString(sum[:6])
}
