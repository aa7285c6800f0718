package decisionlog

import (
	"github.com/liftbill/liftbill/domain/fault"
)

// unknownField refuses a field rather than losing what it says.
func unknownField(name string) error {
	err := fault.InvalidField(clip(name), "field_unknown", "%q is not a field of the decision log", clip(name))
	if near := nearest(name); near != "" {
		return err.Fix("Did you mean %s?", near)
	}
	return err.Fix("Leave it out, or put a number into features")
}

// nearest is the known field with the fewest edits, when there are few enough.
func nearest(name string) string {
	if len(name) > 40 {
		return ""
	}
	best, least := "", len(name)/2+1
	for _, known := range names {
		if d := distance(name, known); d < least {
			best, least = known, d
		}
	}
	return best
}

// distance counts insertions, deletions and replacements (Levenshtein 1965).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		corner := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := corner
			if a[i-1] != b[j-1] {
				cost++
			}
			corner = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
