package projection

import (
	"cmp"
	"slices"
)

// Key names a field that only some payloads state: by their API version, or because
// they carry an expanded object.
type Key string

// The fields of Known.
const (
	KeyTrialEndAction Key = "trial_end_action" // of a subscription: cancel, create_invoice or pause
	KeyCharge         Key = "charge"           // of an invoice
	KeyInvoice        Key = "invoice"          // of a charge
	KeyCashBalance    Key = "cash_balance"     // of a customer: JSON of minor units by currency
)

// Known is one such field, from the newest payload that states it.
type Known struct {
	Key   Key
	Stamp Stamp
	Value string
}

// Value is a field of Known; empty when nobody has stated it.
func (o *Object[V]) Value(key Key) string {
	for _, k := range o.Known {
		if k.Key == key {
			return k.Value
		}
	}
	return ""
}

// joinKnown keeps the newest of each field; of two in one second the greater value, so
// that everybody keeps the same.
func joinKnown(into *[]Known, from []Known) bool {
	changed := false
	for _, k := range from {
		i, found := slices.BinarySearchFunc(*into, k.Key, func(have Known, key Key) int { return cmp.Compare(have.Key, key) })
		if found && cmp.Or((*into)[i].Stamp.Compare(k.Stamp), cmp.Compare((*into)[i].Value, k.Value)) >= 0 {
			continue
		}
		if !changed {
			*into = slices.Clone(*into)
		}
		if found {
			(*into)[i] = k
		} else {
			*into = slices.Insert(*into, i, k)
		}
		changed = true
	}
	return changed
}
