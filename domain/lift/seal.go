package lift

import (
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// SealedPlan is a plan that can no longer change: its canonical JSON, the
// SHA-256 of it and the instant of sealing. Only Seal and RestoreSealed make one.
type SealedPlan struct {
	plan Plan
	json []byte
	hash string
	at   time.Time
}

// Seal validates the plan and fixes it.
func (p Plan) Seal(at time.Time) (SealedPlan, error) {
	if at.IsZero() {
		return SealedPlan{}, fault.InvalidField("sealed_at", "sealed_at_missing", "a plan is sealed at an instant")
	}
	if p.Features == nil {
		p.Features = []string{}
	}
	if err := p.Validate(); err != nil {
		return SealedPlan{}, err
	}
	raw, err := Canonical(p)
	if err != nil {
		return SealedPlan{}, err
	}
	return SealedPlan{plan: p.clone(), json: raw, hash: Digest256(raw), at: at.UTC()}, nil
}

// RestoreSealed rebuilds a sealed plan from storage. It refuses a text that does
// not have the hash, that is not canonical, or that is not a valid plan.
func RestoreSealed(canonical []byte, hash string, sealedAt time.Time) (SealedPlan, error) {
	if got := Digest256(canonical); got != hash {
		return SealedPlan{}, fault.New(fault.Conflict, "plan_hash_mismatch", "the stored plan has the hash %s, not %s", got, hash)
	}
	var p Plan
	if err := strictUnmarshal(canonical, &p); err != nil {
		return SealedPlan{}, err
	}
	s, err := p.Seal(sealedAt)
	if err != nil {
		return SealedPlan{}, err
	}
	if s.hash != hash {
		return SealedPlan{}, fault.New(fault.Conflict, "plan_hash_mismatch", "the stored plan is not in canonical form")
	}
	return s, nil
}

// clone copies what a caller could still change.
func (p Plan) clone() Plan {
	p.Features = append([]string{}, p.Features...)
	if p.Reward.CapMinor != nil {
		v := *p.Reward.CapMinor
		p.Reward.CapMinor = &v
	}
	return p
}

// Plan is a copy of the plan.
func (s SealedPlan) Plan() Plan { return s.plan.clone() }

// JSON is a copy of the canonical text.
func (s SealedPlan) JSON() []byte { return append([]byte(nil), s.json...) }

// Hash is the lower-case hex SHA-256 of the canonical text.
func (s SealedPlan) Hash() string { return s.hash }

// At is the instant of sealing, UTC.
func (s SealedPlan) At() time.Time { return s.at }

// IsZero reports whether the plan was never sealed.
func (s SealedPlan) IsZero() bool { return s.hash == "" }
