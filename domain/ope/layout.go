package ope

import "math"

// CentreRows is how many units at the front of the canonical order fix the centre
// of the moments. It bounds what has to be read before a pass can begin.
const CentreRows = 1024

// Layout says what moments are made of. Partial moments can be merged only when
// their layouts are the same.
type Layout struct {
	// Features is d, the number of features without the intercept.
	Features int
	// Folds is K of the cross-fitting.
	Folds int
	// Cap caps the outcome from above in minor units, 0 is no cap. With a cap the
	// outcome without it is kept beside it.
	Cap int64
	// P is the probability of the baseline that all units share, 0 when every unit
	// has its own. With a shared one the weights are factors of whole sums.
	P float64
	// Centre is subtracted from the features and Level from the outcomes before
	// anything is multiplied. Neither changes what is estimated (the intercept is
	// free); both keep large offsets from cancelling digits.
	Centre []float64
	Level  int64
}

// NewLayout fixes the centre by the first units of the canonical order: the mean
// features of at most CentreRows of them, and their mean outcome, cut to an
// integer so that integer outcomes stay exact.
func NewLayout(features, folds int, capMinor int64, p float64, head []Unit) (Layout, error) {
	l := Layout{Features: features, Folds: folds, Cap: capMinor, P: p, Centre: make([]float64, max(features, 0))}
	if err := l.check(); err != nil {
		return Layout{}, err
	}
	head = head[:min(len(head), CentreRows)]
	level := 0.0
	for i := range head {
		if err := checkUnit(&head[i], i, features); err != nil {
			return Layout{}, err
		}
		level += float64(l.capped(head[i].Y))
		for j, v := range head[i].X {
			l.Centre[j] += v
		}
	}
	if n := float64(len(head)); n > 0 {
		for j := range l.Centre {
			l.Centre[j] /= n
		}
		l.Level = int64(level / n)
	}
	return l, nil
}

func (l Layout) check() error {
	switch {
	case l.Folds < 2 || l.Folds > MaxFolds:
		return refuse(RefusedOptions, "the number of folds is %d, not between 2 and %d", l.Folds, MaxFolds)
	case l.Features < 0 || l.Features > MaxFeatures || len(l.Centre) != l.Features:
		return refuse(RefusedFeatures, "%d features, at most %d are allowed", l.Features, MaxFeatures)
	case l.Cap < 0 || l.Cap > MaxOutcome || l.Level > MaxOutcome || l.Level < -MaxOutcome:
		return refuse(RefusedOptions, "the cap %d and the level %d are not within 2^53 minor units", l.Cap, l.Level)
	case l.P != 0 && !(l.P > 0 && l.P < 1): // the negation also catches NaN
		return refuse(RefusedOverlap, "the probability of the baseline is %s, not between 0 and 1", inWords(l.P))
	}
	for j, v := range l.Centre {
		if math.IsNaN(v) || math.Abs(v) > MaxFeature {
			return refuse(RefusedFeature, "the centre of feature %d is %s, not a finite number within ±%g", j+1, inWords(v), float64(MaxFeature))
		}
	}
	return nil
}

// Equal reports whether moments of both layouts can be merged.
func (l Layout) Equal(o Layout) bool {
	if l.Features != o.Features || l.Folds != o.Folds || l.Cap != o.Cap || l.P != o.P || l.Level != o.Level || len(l.Centre) != len(o.Centre) {
		return false
	}
	for j, v := range l.Centre {
		if math.Float64bits(v) != math.Float64bits(o.Centre[j]) {
			return false
		}
	}
	return true
}

func (l Layout) capped(y int64) int64 {
	if l.Cap > 0 {
		return min(y, l.Cap)
	}
	return y
}

// Columns of z: the d features, the outcome, and, with a cap, the outcome without it.
func (l Layout) width() int {
	if l.Cap > 0 {
		return l.Features + 2
	}
	return l.Features + 1
}

// The kinds of sums that one fold has. A shared probability needs the first two;
// otherwise the rest carry the weights w, w^2 and c = 1/p - 1 of each unit.
const (
	cellTreated = iota
	cellHeld
	cellHeldW
	cellHeldW2
	cellAllC
	sharedKinds  = 2
	varyingKinds = 5
)

func (l Layout) kinds() int {
	if l.P > 0 {
		return sharedKinds
	}
	return varyingKinds
}

// cellSize is one sum of weights, the sums of z and the upper triangle of the sums of z z'.
func (l Layout) cellSize() int { m := l.width(); return 1 + m + m*(m+1)/2 }

// cell is a view of the sums of one kind of one fold.
type cell struct {
	n   *float64
	sum []float64
	sq  []float64
}

func (l Layout) cell(cells []float64, fold, kind int) cell {
	m, size := l.width(), l.cellSize()
	at := (fold*l.kinds() + kind) * size
	return cell{n: &cells[at], sum: cells[at+1 : at+1+m], sq: cells[at+1+m : at+size]}
}

// at is the position of row i, column j (i <= j) in an upper triangle over m columns.
func at(i, j, m int) int { return i*m - i*(i-1)/2 + j - i }
