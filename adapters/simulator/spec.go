package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
)

// SnapshotSpec is one policy snapshot and the users who meet it each month.
type SnapshotSpec struct {
	ID   string
	Name string
	// Units are the new units of every month.
	Units int
	// BaselineConversion and PolicyConversion are the shares of units that become
	// payers; their difference is the true effect.
	BaselineConversion float64
	PolicyConversion   float64
}

// Disturbance says how often webhooks go astray. Each value is a probability per
// event; none is lost unless Lost says so.
type Disturbance struct {
	Duplicate float64
	Reorder   float64
	Late      float64
	Lost      float64
	// LateBy is how much later on the clock a late webhook arrives.
	LateBy time.Duration
}

// Spec describes a business completely; two businesses with the same Spec behave
// the same.
type Spec struct {
	Seed int64
	// Account is a label for people; no draw depends on it.
	Account string
	// Months are the months with new users, ascending.
	Months []period.Month
	// Zone is the zone of the months; nil means UTC.
	Zone     *time.Location
	Currency money.Currency
	// HoldoutProbability is the h of lift.ArmOf, a decimal.
	HoldoutProbability string
	// Salt is the secret of the arms, revealed at the close.
	Salt      []byte
	Snapshots []SnapshotSpec
	// Prices are the monthly plans in minor units, cheapest first.
	Prices []int64
	// Unmapped is how many paying customers without a user id begin each month.
	Unmapped int
	// Outside is how many mapped customers without any decision begin in the first month.
	Outside int
	// Tail is how many trials begin in the days after the last month, so that the
	// sources do not fall silent while the month is being closed.
	Tail int
	// Dispute makes the card of one payer of the first month dispute its payment.
	Dispute bool
	// AttributionDays is the window of the measurement plan, for the truth.
	AttributionDays int
	// CloseLag is how long after a period's end the world lives on.
	CloseLag time.Duration
	Webhooks Disturbance
}

// DefaultSpec is the demo's business: a positive, a null and a slightly harmful
// snapshot, sized so that the first month proves the positive one.
func DefaultSpec(label string, seed int64, months ...period.Month) Spec {
	return Spec{
		Seed: seed, Account: label, Months: months, Zone: time.UTC, Currency: "usd",
		HoldoutProbability: "0.5", Salt: saltOf(seed),
		Snapshots: []SnapshotSpec{
			{ID: "trial-offer-v3", Name: "Trial offer v3", Units: 3600, BaselineConversion: 0.12, PolicyConversion: 0.22},
			{ID: "paywall-copy-v2", Name: "Paywall copy v2", Units: 2150, BaselineConversion: 0.14, PolicyConversion: 0.14},
			{ID: "upsell-timing-v1", Name: "Upsell timing v1", Units: 2150, BaselineConversion: 0.14, PolicyConversion: 0.135},
		},
		Prices: []int64{2900, 5900, 9900}, Unmapped: 5, Outside: 1, Tail: 12, Dispute: true,
		AttributionDays: lift.DefaultAttributionDays, CloseLag: 72 * time.Hour,
		Webhooks: Disturbance{Duplicate: 0.03, Reorder: 0.02, Late: 0.02, LateBy: 5 * time.Hour},
	}
}

// saltOf gives each seed a salt of its own.
func saltOf(seed int64) []byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("liftbill/simulator/salt/v1|"), uint64(seed))) //nolint:gosec // the bits of the seed, not its value
	return sum[:]
}

// Scale multiplies the numbers of units, for smaller and larger worlds.
func (s Spec) Scale(factor float64) Spec {
	scaled := func(n int) int { return max(1, int(math.Round(float64(n)*factor))) }
	snapshots := make([]SnapshotSpec, len(s.Snapshots))
	for i, sn := range s.Snapshots {
		sn.Units = scaled(sn.Units)
		snapshots[i] = sn
	}
	s.Snapshots = snapshots
	if s.Unmapped > 0 {
		s.Unmapped = scaled(s.Unmapped)
	}
	if s.Tail > 0 {
		s.Tail = scaled(s.Tail)
	}
	return s
}

// settle is how long after the close lag the world still lives, so that every
// source has been read after the lag was over.
const settle = 6 * time.Hour

// Start is when the business opens: the start of its first month.
func (s Spec) Start() time.Time { return s.Months[0].In(s.zone()).Start }

// FreshAt is the instant until which a World should run before the month is
// closed: its end, the close lag and a few hours.
func (s Spec) FreshAt(m period.Month) time.Time { return m.In(s.zone()).End.Add(s.CloseLag + settle) }

func (s Spec) zone() *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}

// yearStart is the start of the contract year that a month belongs to.
func (s Spec) yearStart(m period.Month) period.Month {
	n := m.Sub(s.Months[0])
	return s.Months[0].Add(n - n%lift.PeriodsPerYear)
}

func (s Spec) validate() (lift.Probability, error) {
	h, err := lift.ParseProbability(s.HoldoutProbability)
	if err != nil {
		return h, err
	}
	if _, ok := s.Currency.Exponent(); !ok {
		_, err := money.ParseCurrency(string(s.Currency))
		return h, err
	}
	bad := func(field, format string, a ...any) (lift.Probability, error) {
		return h, fault.InvalidField(field, "simulation_malformed", format, a...)
	}
	switch {
	case len(s.Months) == 0:
		return bad("months", "a business needs at least one month")
	case len(s.Salt) == 0:
		return bad("salt", "the arms need a salt")
	case len(s.Prices) == 0:
		return bad("prices", "a business needs at least one price")
	case s.AttributionDays <= 0:
		return bad("attribution_days", "%d is no attribution window", s.AttributionDays)
	}
	for i := 1; i < len(s.Months); i++ {
		if !s.Months[i-1].Before(s.Months[i]) {
			return bad("months", "%s does not come after %s", s.Months[i], s.Months[i-1])
		}
	}
	return h, s.checkSnapshots()
}

func (s Spec) checkSnapshots() error {
	seen := map[string]bool{}
	for _, sn := range s.Snapshots {
		if err := account.CheckID("snapshot_id", sn.ID); err != nil {
			return err
		}
		if seen[sn.ID] || sn.ID == lift.SnapshotPooled {
			return fault.InvalidField("snapshot_id", "simulation_malformed", "the snapshot id %q is taken", sn.ID)
		}
		seen[sn.ID] = true
		for _, p := range []float64{sn.BaselineConversion, sn.PolicyConversion} {
			if !(p >= 0 && p <= 1) {
				return fault.InvalidField("conversion", "simulation_malformed", "%v is no share of units", p)
			}
		}
	}
	return nil
}
