package preview

import (
	"cmp"
	"slices"
	"strings"
)

// Comparison is what changed between an earlier look and a later one.
type Comparison struct {
	// Equal: the same unit tables, buckets, lines and total.
	Equal bool `json:"equal"`
	// SameInputs, SameCases and SameInvoice compare the input digest, the case IDs and the
	// invoice hash; the latter two also hash the moment of the look.
	SameInputs  bool     `json:"same_inputs"`
	SameCases   bool     `json:"same_cases"`
	SameInvoice bool     `json:"same_invoice"`
	Changes     []Change `json:"changes"`
}

// Change is one thing that differs, with its count and amount before and after. Amounts
// are minor units; the count of a line is its units, that of a bucket its events.
type Change struct {
	What        string `json:"what"` // "bucket", "line" or "total"
	Name        string `json:"name"`
	Currency    string `json:"currency"`
	CountBefore int64  `json:"count_before"`
	CountAfter  int64  `json:"count_after"`
	MinorBefore int64  `json:"minor_before"`
	MinorAfter  int64  `json:"minor_after"`
}

// Compare says what changed from before to after.
func Compare(before, after Preview) Comparison {
	c := Comparison{
		Equal: before.digest() == after.digest(), SameInputs: before.InputDigest == after.InputDigest, SameInvoice: before.InvoiceHash == after.InvoiceHash,
		SameCases: slices.EqualFunc(before.Lines, after.Lines, func(a, b Line) bool { return a.SnapshotID == b.SnapshotID && a.CaseID == b.CaseID }), Changes: []Change{},
	}
	all := map[Change][2]figure{}
	add := func(side int, p Preview) {
		put := func(what, name, currency string, f figure) {
			key := Change{What: what, Name: name, Currency: currency}
			pair := all[key]
			pair[side] = f
			all[key] = pair
		}
		for _, b := range p.Buckets {
			put("bucket", strings.TrimSuffix(b.Bucket+" "+b.SnapshotID, " "), b.Currency, figure{int64(b.Events), b.AmountMinor, 0})
		}
		for _, l := range p.Lines {
			put("line", l.SnapshotID, p.Currency, figure{l.Units, l.FeeMinor, l.MeasuredMinor})
		}
		put("total", "invoice", p.Currency, figure{0, p.TotalMinor, 0})
	}
	add(0, before)
	add(1, after)
	for key, pair := range all {
		if pair[0] == pair[1] {
			continue
		}
		key.CountBefore, key.MinorBefore, key.CountAfter, key.MinorAfter = pair[0].count, pair[0].minor, pair[1].count, pair[1].minor
		c.Changes = append(c.Changes, key)
	}
	slices.SortFunc(c.Changes, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.What, b.What), strings.Compare(a.Name, b.Name), strings.Compare(a.Currency, b.Currency))
	})
	return c
}

// figure is what is compared of one thing; measured is not shown, only compared.
type figure struct{ count, minor, measured int64 }

func sorted(buckets []Bucket) []Bucket {
	out := slices.Clone(buckets)
	slices.SortFunc(out, func(a, b Bucket) int {
		return cmp.Or(strings.Compare(a.Bucket, b.Bucket), strings.Compare(a.SnapshotID, b.SnapshotID), strings.Compare(a.Currency, b.Currency))
	})
	return out
}
