package campaign

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// Class is a family of schedules.
type Class string

// The classes, in the order of the report.
const (
	Single   Class = "one fault"
	Pair     Class = "two faults"
	Crash    Class = "crash"
	CrashToo Class = "crash and fault"
	Two      Class = "two workers"
	Operator Class = "operator"
	Chance   Class = "faults by chance"
	NotLive  Class = "not live"
)

// Classes lists them.
func Classes() []Class {
	return []Class{Single, Pair, Crash, CrashToo, Two, Operator, Chance, NotLive}
}

// Kinds are the faults of the stand-in's requests, except for the one that only waits.
func Kinds() []stripefake.FaultKind {
	return []stripefake.FaultKind{
		stripefake.FaultDropBefore, stripefake.FaultDropAfter, stripefake.Fault500Before, stripefake.Fault500After, stripefake.Fault500Late,
		stripefake.FaultRateLimit, stripefake.FaultLockTimeout, stripefake.FaultConflict, stripefake.FaultUnavailable, stripefake.FaultTruncate,
	}
}

// Fault is one fault at one request of ours, counted from 0.
type Fault struct {
	Kind  stripefake.FaultKind
	At    int
	Delay time.Duration // of a late effect, on Stripe's clock; 0 is before the next request
}

// Death is the end of a process at its n-th call to a port, counted from 1.
type Death struct {
	At   int
	Late bool // after the call
}

// Stall is a worker that stands still before its n-th call until the other one has made
// some calls, or has ended: a process that was paused, and does not know it.
type Stall struct{ At, Until int }

// Act is what an operator does at Stripe before the n-th request of ours.
type Act struct {
	What string
	At   int
}

// Schedule is one run of the campaign. Everything in it follows from seed and number.
type Schedule struct {
	Number   int
	Class    Class
	Lines    int
	Currency string
	Charge   bool // charged automatically instead of mailed
	Coupon   bool // the payer has a coupon
	Faults   []Fault
	Deaths   []Death
	Workers  int
	Stall    *Stall // of the second worker
	Act      *Act
	Chance   float64       // of a fault, per write
	Wait     time.Duration // between attempts, beside the back-off
	Unlabel  bool          // somebody clears our metadata between attempts
	Skew     bool          // our clock jumps between attempts
	Mode     string        // what is not live
	Seed     uint64
}

// String says in one line what happens.
func (s Schedule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %s: %d lines in %s", s.Number, s.Class, s.Lines, s.Currency)
	if s.Charge {
		b.WriteString(", charged")
	}
	if s.Coupon {
		b.WriteString(", coupon")
	}
	for _, f := range s.Faults {
		fmt.Fprintf(&b, ", %s at request %d", f.Kind, f.At)
		if f.Delay > 0 {
			fmt.Fprintf(&b, " (%s later)", f.Delay)
		}
	}
	for _, d := range s.Deaths {
		fmt.Fprintf(&b, ", process ends at call %d (late %v)", d.At, d.Late)
	}
	if s.Workers > 1 {
		fmt.Fprintf(&b, ", %d workers", s.Workers)
	}
	if s.Stall != nil {
		fmt.Fprintf(&b, ", one stands still at its call %d until the other has made %d", s.Stall.At, s.Stall.Until)
	}
	if s.Act != nil {
		fmt.Fprintf(&b, ", operator: %s before request %d", s.Act.What, s.Act.At)
	}
	if s.Chance > 0 {
		fmt.Fprintf(&b, ", %.2f of the writes fail", s.Chance)
	}
	if s.Wait > 0 {
		fmt.Fprintf(&b, ", %s between attempts", s.Wait)
	}
	if s.Unlabel {
		b.WriteString(", metadata cleared between attempts")
	}
	if s.Skew {
		b.WriteString(", our clock jumps")
	}
	if s.Mode != "" {
		b.WriteString(", " + s.Mode)
	}
	return b.String()
}

// The extent of an undisturbed run of two lines: requests on the wire, and calls to a
// port. A test holds them to what a run really makes.
const (
	baseRequests = 14
	baseCalls    = 25
)

// waits are the pauses between attempts: none, until Stripe has pruned the keys, and
// until it has forgotten the events too.
var waits = []time.Duration{0, 25 * time.Hour, 40 * 24 * time.Hour}

// Plan makes the schedules: first every fault at every request and the end of the
// process at every call, in every way to go on, then n in all by chance.
func Plan(seed uint64, n int) []Schedule {
	var out []Schedule
	add := func(s Schedule) {
		if len(out) < n {
			s.Number = len(out) + 1
			s.Seed = seed<<24 ^ uint64(s.Number) //nolint:gosec // a number is positive
			out = append(out, s)
		}
	}
	for at := range baseRequests {
		for _, kind := range Kinds() {
			for _, wait := range waits {
				add(plain(Single, Fault{Kind: kind, At: at}, wait))
			}
			s := plain(Single, Fault{Kind: kind, At: at}, 0)
			s.Unlabel = true
			add(s)
			if kind == stripefake.Fault500Late {
				add(plain(Single, Fault{Kind: kind, At: at, Delay: 6 * time.Hour}, 0))
			}
		}
	}
	for at := 1; at <= baseCalls; at++ {
		for _, late := range []bool{false, true} {
			for _, wait := range waits {
				s := Schedule{Class: Crash, Lines: 2, Currency: "usd", Workers: 1, Deaths: []Death{{at, late}}, Wait: wait}
				add(s)
			}
		}
		for _, wait := range waits[:2] {
			add(Schedule{Class: Two, Lines: 2, Currency: "usd", Workers: 2, Stall: &Stall{At: at, Until: baseCalls + 6}, Wait: wait})
		}
	}
	rng := rand.New(rand.NewPCG(seed, 0x6c696674)) //nolint:gosec // a schedule is drawn from a seed on purpose
	for len(out) < n {
		add(draw(rng))
	}
	return out
}

// Draw makes n schedules by chance only, for a short run that has something of everything.
func Draw(seed uint64, n int) []Schedule {
	rng := rand.New(rand.NewPCG(seed, 0x62696c6c)) //nolint:gosec // a schedule is drawn from a seed on purpose
	out := make([]Schedule, n)
	for i := range out {
		out[i] = draw(rng)
		out[i].Number, out[i].Seed = i+1, seed<<24^uint64(i+1)
	}
	return out
}

func plain(c Class, f Fault, wait time.Duration) Schedule {
	return Schedule{Class: c, Lines: 2, Currency: "usd", Workers: 1, Faults: []Fault{f}, Wait: wait}
}

// currencies of every kind of exponent, and those in which Stripe bills in steps.
var currencies = []string{"usd", "eur", "jpy", "isk", "ugx", "huf", "twd", "krw", "gbp"}

// draw makes one schedule by chance.
func draw(rng *rand.Rand) Schedule {
	s := Schedule{Lines: 1 + rng.IntN(4), Currency: "usd", Workers: 1, Wait: waits[rng.IntN(len(waits))]}
	if rng.IntN(4) == 0 {
		s.Currency = currencies[rng.IntN(len(currencies))]
	}
	s.Charge, s.Coupon, s.Skew = rng.IntN(4) == 0, rng.IntN(6) == 0, rng.IntN(5) == 0
	switch rng.IntN(300) {
	case 0:
		s.Lines = 101 // a second page of every list
	case 1, 2, 3:
		s.Lines = 12
	}
	requests := baseRequests - 2 + s.Lines
	switch x := rng.IntN(100); {
	case x < 40:
		s.Class = Pair
		first := anyFault(rng, requests)
		second := anyFault(rng, requests)
		second.At = first.At + 1 + rng.IntN(6)
		s.Faults = []Fault{first, second}
	case x < 52:
		s.Class = CrashToo
		s.Faults = []Fault{anyFault(rng, requests)}
		s.Deaths = []Death{{1 + rng.IntN(baseCalls+s.Lines), rng.IntN(2) == 0}}
		if rng.IntN(3) == 0 {
			s.Deaths = append(s.Deaths, Death{1 + rng.IntN(baseCalls), rng.IntN(2) == 0})
		}
	case x < 68:
		s.Class, s.Workers = Two, 2
		for range rng.IntN(3) {
			s.Faults = append(s.Faults, anyFault(rng, requests))
		}
		switch rng.IntN(4) {
		case 0:
			s.Deaths = []Death{{1 + rng.IntN(2*baseCalls), rng.IntN(2) == 0}}
		case 1, 2:
			s.Stall = &Stall{At: 1 + rng.IntN(baseCalls), Until: 1 + rng.IntN(baseCalls+6)}
		}
	case x < 88:
		s.Class = Operator
		s.Act = &Act{What: acts[rng.IntN(len(acts))].what, At: rng.IntN(requests)}
		for range rng.IntN(3) {
			s.Faults = append(s.Faults, anyFault(rng, requests))
		}
	case x < 97:
		s.Class, s.Chance = Chance, 0.05+0.25*rng.Float64()
		s.Unlabel = rng.IntN(8) == 0
	default:
		s.Class, s.Mode = NotLive, modes[rng.IntN(len(modes))]
	}
	return s
}

func anyFault(rng *rand.Rand, requests int) Fault {
	kinds := Kinds()
	f := Fault{Kind: kinds[rng.IntN(len(kinds))], At: rng.IntN(requests)}
	if f.Kind == stripefake.Fault500Late && rng.IntN(2) == 0 {
		f.Delay = []time.Duration{time.Minute, 20 * time.Minute, 6 * time.Hour, 30 * time.Hour}[rng.IntN(4)]
	}
	return f
}

// OnPostgres reports whether the schedule can run on the ledger in PostgreSQL, which
// does not even take the intent of a test account.
func (s Schedule) OnPostgres() bool { return s.Mode != modeTestAccount }

// EnoughForMutants is how many schedules of a plan it takes to catch every mutant, with
// room to spare.
const EnoughForMutants = 10_000

// Systematic is how many schedules of a plan are the same for every seed.
func Systematic() int {
	single := baseRequests * (len(Kinds())*(len(waits)+1) + 1)
	return single + baseCalls*(2*len(waits)+2)
}
