package ope

import (
	"math"
	"sync"
)

// gram holds the sums of one fold of one bucket over z = (x_1-c_1 … x_d-c_d, y).
type gram struct {
	n   int
	sum []float64 // d+1: sums of z
	sq  []float64 // (d+1)(d+2)/2: upper triangle of the sum of z z', row by row
	lo  []float64 // d: smallest value of each feature
	hi  []float64 // d: largest value of each feature
}

func newGram(d int) gram {
	g := gram{sum: make([]float64, d+1), sq: make([]float64, (d+1)*(d+2)/2), lo: make([]float64, d), hi: make([]float64, d)}
	for j := range d {
		g.lo[j], g.hi[j] = math.Inf(1), math.Inf(-1)
	}
	return g
}

// add accumulates one unit. z has d+1 entries.
func (g *gram) add(z []float64) {
	g.n++
	for j := range g.lo {
		if z[j] < g.lo[j] {
			g.lo[j] = z[j]
		}
		if z[j] > g.hi[j] {
			g.hi[j] = z[j]
		}
	}
	sq := g.sq
	for i, zi := range z {
		g.sum[i] += zi
		right := z[i:]
		row := sq[:len(right)]
		for j, zj := range right {
			row[j] += float64(zi * zj)
		}
		sq = sq[len(right):]
	}
}

// merge adds another gram; the caller fixes the order.
func (g *gram) merge(o *gram) {
	g.n += o.n
	for i, v := range o.sum {
		g.sum[i] += v
	}
	for i, v := range o.sq {
		g.sq[i] += v
	}
	for j := range o.lo {
		g.lo[j], g.hi[j] = math.Min(g.lo[j], o.lo[j]), math.Max(g.hi[j], o.hi[j])
	}
}

// centre is the mean of each feature over the first bucket that has units. The
// ridge with a free intercept does not depend on it; subtracting it keeps large
// offsets (a date as a number) from cancelling digits in the Gram matrix.
func (t *Table) centre() []float64 {
	c := make([]float64, t.d)
	for b := range Buckets {
		from, to := t.start[b], t.start[b+1]
		if from == to {
			continue
		}
		for i := from; i < to; i++ {
			for j, v := range t.x[i*t.d : (i+1)*t.d] {
				c[j] += v
			}
		}
		for j := range c {
			c[j] /= float64(to - from)
		}
		break
	}
	return c
}

// foldGrams are the grams of every fold over the whole table.
func (t *Table) foldGrams(centre []float64, workers int) []gram {
	parts := make([][]gram, Buckets)
	t.eachBucket(workers, func(b, from, to int) {
		part := make([]gram, t.folds)
		for k := range part {
			part[k] = newGram(t.d)
		}
		z := make([]float64, t.d+1)
		for i := from; i < to; i++ {
			for j, v := range t.x[i*t.d : (i+1)*t.d] {
				z[j] = v - centre[j]
			}
			z[t.d] = t.y[i]
			part[t.fold[i]].add(z)
		}
		parts[b] = part
	})
	total := make([]gram, t.folds)
	for k := range total {
		total[k] = newGram(t.d)
	}
	for _, part := range parts {
		for k := range part {
			total[k].merge(&part[k])
		}
	}
	return total
}

// eachBucket runs fn once per non-empty bucket on up to workers goroutines. fn
// writes only to the slot of its bucket, so the schedule cannot reach a result.
func (t *Table) eachBucket(workers int, fn func(b, from, to int)) {
	workers = min(max(workers, 1), Buckets)
	run := func(worker int) {
		for b := worker; b < Buckets; b += workers {
			if t.start[b] < t.start[b+1] {
				fn(b, t.start[b], t.start[b+1])
			}
		}
	}
	if workers == 1 {
		run(0)
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() { defer wg.Done(); run(w) }()
	}
	wg.Wait()
}
