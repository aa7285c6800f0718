package evaluate

import "math"

// Name is the name of an estimator.
type Name string

// The estimators.
const (
	IPW      Name = "ipw"
	SNIPW    Name = "snipw"
	DM       Name = "dm"
	DR       Name = "dr"
	SNDR     Name = "sndr"
	SwitchDR Name = "switch_dr"
	DRos     Name = "dros"
	DRClip   Name = "dr_clip"
	IPWClip  Name = "ipw_clip"
)

// Names lists every estimator in the order in which they are shown.
func Names() []Name {
	return []Name{IPW, SNIPW, DM, DR, SNDR, SwitchDR, DRos, DRClip, IPWClip}
}

// Params are the constants of the estimators that shrink weights.
type Params struct {
	// Clip is the largest weight of dr_clip and ipw_clip.
	Clip float64 `json:"clip_lambda"`
	// Switch is the largest weight with which switch_dr corrects the prediction.
	Switch float64 `json:"switch_dr_lambda"`
	// DRos is lambda of the optimistic shrinkage.
	DRos float64 `json:"dros_lambda"`
}

// DefaultParams are clip 10, switch 5 and dros 10.
func DefaultParams() Params { return Params{Clip: 10, Switch: 5, DRos: 10} }

// check refuses a constant that is not positive and finite.
func (p Params) check() error {
	for _, c := range []struct {
		name  string
		value float64
	}{{"clip", p.Clip}, {"switch", p.Switch}, {"dros", p.DRos}} {
		if !(c.value > 0 && c.value <= maxParam) {
			return &Refusal{Code: RefusedParams, Row: -1, Column: c.name, Reason: "the constant must be above 0 and at most 1e18"}
		}
	}
	return nil
}

// scored is one estimator on one side of the log.
type scored struct {
	value float64
	// z are the scores whose mean is the value.
	z []float64
	// psi are the centred scores; for snipw and sndr those of the delta method,
	// in which mean(w) is random too.
	psi []float64
}

// score computes the scores of one estimator.
func (l *Log) score(name Name, s *side, p Params) scored {
	n := l.Rows()
	out := scored{z: make([]float64, n)}
	normal := 1.0
	if name == SNIPW || name == SNDR {
		normal = mean(s.weight)
	}
	for i := range out.z {
		out.z[i] = l.rowScore(name, i, s, p, normal)
	}
	out.value = mean(out.z)
	switch name {
	case SNIPW:
		out.psi = make([]float64, n)
		for i := range out.psi {
			out.psi[i] = float64(s.weight[i]*(l.reward[i]-out.value)) / normal
		}
	case SNDR:
		out.psi = l.deltaSNDR(s, normal)
	default:
		out.psi = centred(out.z)
	}
	return out
}

// rowScore is the score of row i, as obp's _estimate_round_rewards has it.
func (l *Log) rowScore(name Name, i int, s *side, p Params, normal float64) float64 {
	w, direct, r, residual := s.weight[i], s.direct[i], l.reward[i], l.residual[i]
	switch name {
	case IPW:
		return float64(w * r)
	case SNIPW:
		return float64(w*r) / normal
	case DM:
		return direct
	case DR:
		return direct + float64(w*residual)
	case SNDR:
		return direct + float64(w*residual)/normal
	case SwitchDR:
		if w > p.Switch {
			return direct
		}
		return direct + float64(w*residual)
	case DRos:
		shrunk := float64(p.DRos*w) / (float64(w*w) + p.DRos)
		return direct + float64(shrunk*residual)
	case DRClip:
		return direct + float64(math.Min(w, p.Clip)*residual)
	default: // IPWClip
		return float64(math.Min(w, p.Clip) * r)
	}
}

// deltaSNDR is D - mean(D) + w (r - q - c)/mean(w) with c = sum w (r - q) / sum w.
func (l *Log) deltaSNDR(s *side, normal float64) []float64 {
	correction := make([]float64, l.Rows())
	for i, w := range s.weight {
		correction[i] = float64(w * l.residual[i])
	}
	c := mean(correction) / normal
	psi := centred(s.direct)
	for i, w := range s.weight {
		psi[i] += float64(w*(l.residual[i]-c)) / normal
	}
	return psi
}
