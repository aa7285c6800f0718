package lift

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
)

// Arm is the side of the experiment that a unit is on.
type Arm string

// The two arms.
const (
	// ArmPolicy units get the policy's decisions.
	ArmPolicy Arm = "policy"
	// ArmHoldout units get the baseline.
	ArmHoldout Arm = "holdout"
)

// Probability is an exact probability strictly between 0 and 1.
type Probability struct {
	text string
	// ceiling is the smallest integer not below p * 2^64: u < p * 2^64 holds for
	// an integer u exactly when u < ceiling.
	ceiling uint64
	value   float64
}

// maxProbabilityPlaces keeps p * 2^64 rounded up below 2^64.
const maxProbabilityPlaces = 12

// ParseProbability reads a decimal such as "0.1", exactly.
func ParseProbability(s string) (Probability, error) {
	bad := func() (Probability, error) {
		return Probability{}, fault.InvalidField("holdout_probability", "probability_malformed", "%q is not a probability between 0 and 1", s).
			Fix(`Write a decimal with at most %d places such as "0.1"`, maxProbabilityPlaces)
	}
	if len(s) > 32 {
		return bad()
	}
	d, err := decimal.NewFromString(s)
	if err != nil || strings.ContainsAny(s, "eE+_") || d.Exponent() < -maxProbabilityPlaces || !d.IsPositive() || !d.LessThan(decimal.NewFromInt(1)) {
		return bad()
	}
	r := d.Rat()
	scaled := new(big.Int).Lsh(r.Num(), 64)
	quo, rem := new(big.Int).QuoRem(scaled, r.Denom(), new(big.Int))
	if rem.Sign() > 0 {
		quo.Add(quo, big.NewInt(1))
	}
	value, _ := r.Float64()
	return Probability{text: d.String(), ceiling: quo.Uint64(), value: value}, nil
}

// String is the decimal.
func (p Probability) String() string { return p.text }

// Float is the nearest float64, for the estimator's weights.
func (p Probability) Float() float64 { return p.value }

// ArmOf recomputes the arm of a unit from the revealed salt. The hashed bytes
// are, in this order and with nothing else: the raw bytes of the salt, one byte
// 0x7C ("|"), the UTF-8 bytes of unit_id. The first eight bytes of the SHA-256,
// read as an unsigned big-endian integer u, put the unit into the holdout
// exactly when u < h * 2^64, compared in integers.
func ArmOf(salt []byte, unitID string, h Probability) Arm {
	msg := make([]byte, 0, len(salt)+1+len(unitID))
	msg = append(append(append(msg, salt...), '|'), unitID...)
	sum := sha256.Sum256(msg)
	if binary.BigEndian.Uint64(sum[:8]) < h.ceiling {
		return ArmHoldout
	}
	return ArmPolicy
}

// SaltCommitment is the lower-case hex SHA-256 of the salt's raw bytes. A plan
// holds it from the start; the salt is revealed at the close.
func SaltCommitment(salt []byte) string {
	sum := sha256.Sum256(salt)
	return hex.EncodeToString(sum[:])
}

// ArmMismatches counts the exposures whose logged arm is not the recomputed one.
func ArmMismatches(salt []byte, h Probability, exposures []Exposure) int {
	n := 0
	for i := range exposures {
		if ArmOf(salt, exposures[i].UnitID, h) != exposures[i].Arm {
			n++
		}
	}
	return n
}
