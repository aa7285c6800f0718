package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"github.com/liftbill/liftbill/domain/period"
)

// identity is the name of a unit or of another customer: a hash of the seed, of
// what it is and of its index, never of a label.
func identity(seed int64, kind string, group int, m period.Month, index int) string {
	var b []byte
	for _, v := range []int64{seed, int64(group), int64(m.Sub(period.Month{})), int64(index)} {
		b = binary.BigEndian.AppendUint64(b, uint64(v)) //nolint:gosec // the bits, not the value
	}
	sum := sha256.Sum256(append(b, kind...))
	return kind + "_" + hex.EncodeToString(sum[:8])
}

// draws is the random stream of one purpose of one identity. Purposes have their
// own streams so that a draw added to one never shifts another.
func draws(seed int64, id, purpose string) *rand.Rand {
	b := binary.BigEndian.AppendUint64(nil, uint64(seed)) //nolint:gosec // the bits, not the value
	sum := sha256.Sum256(append(append(b, purpose...), "|"+id...))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16]))) //nolint:gosec // a simulation must be repeatable
}

// slots are the local hours at which the business acts. Few of them keep the
// number of clock moves small; what Stripe does by itself happens in between.
var slots = [...]int{8, 13, 19}

// slotAfter is the first slot strictly after t.
func slotAfter(t time.Time, zone *time.Location) time.Time {
	l := t.In(zone)
	for day := 0; ; day++ {
		for _, hour := range slots {
			at := time.Date(l.Year(), l.Month(), l.Day()+day, hour, 0, 0, 0, zone)
			if at.After(t) {
				return at.UTC()
			}
		}
	}
}

// days is a random duration in [0, n) days.
func days(rng *rand.Rand, n float64) time.Duration {
	return time.Duration(rng.Float64() * n * float64(24*time.Hour)).Truncate(time.Second)
}

// addMonths is how Stripe counts billing periods: from the anchor, in UTC, the
// last day of a short month standing in for the days it lacks.
func addMonths(anchor time.Time, n int) time.Time {
	t := anchor.UTC()
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}
