package evaluate

import "math"

// lift compares the two sides row by row: d = z_policy - z_baseline. For snipw and
// sndr the errors use the difference of the delta psi.
func (l *Log) lift(name Name, policy, baseline *scored) LiftEstimate {
	n := float64(l.Rows())
	raw := difference(policy.z, baseline.z)
	dev := raw
	if name == SNIPW || name == SNDR {
		dev = difference(policy.psi, baseline.psi)
	}
	dev = centred(dev)
	value, se1 := mean(raw), rowSE(dev, n-1)
	cr0, cr1 := l.clusterSE(dev)
	e := LiftEstimate{
		Value: number(value), SE1: number(se1), SE0: number(rowSE(dev, n)), NormalRow: interval(value, se1),
		CR0: number(cr0), CR1: number(cr1), NormalCluster: interval(value, cr1),
		Total: number(n * value), TotalSERow: number(n * se1), TotalSECluster: number(n * cr1),
		// Without any spread z is infinite and undefined, but its tail is 0 or 1.
		Z: number(value / se1), P: number(upperTail(value / se1)),
	}
	g := float64(l.Units())
	unitsIID := l.cr1(math.Sqrt(squares(centred(l.perUnit(raw)))))
	e.TotalSEUnits, e.PerUnit, e.PerUnitSE = number(unitsIID), number(float64(n*value)/g), number(unitsIID/g)

	// d(value/V_b) = d_c/V_b - value/V_b^2 psi_b
	vb := baseline.value
	relative := value / vb
	influence := make([]float64, len(dev))
	for i, d := range dev {
		influence[i] = d/vb - float64(relative/vb*baseline.psi[i])
	}
	_, relativeCR := l.clusterSE(influence)
	e.Relative, e.RelativeSE, e.RelativeCR = number(relative), number(rowSE(influence, n-1)), number(relativeCR)
	return e
}

func difference(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

// weightDifference says on how much of the log the two sides disagree.
func (l *Log) weightDifference() WeightDifference {
	gap := difference(l.policy.weight, l.baseline.weight)
	top, nonzero := 0.0, 0.0
	for i, g := range gap {
		gap[i] = math.Abs(g)
		top = math.Max(top, gap[i])
		if g != 0 {
			nonzero++
		}
	}
	return WeightDifference{ESS: number(ess(gap)), Max: number(top), ShareNonzero: number(nonzero / float64(len(gap)))}
}
