package ope

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
)

// GramDigests are the checksums of the sums that the outcome models are fitted on: for
// every fold the lower-case hex SHA-256 of the number of its units, the sums of z and
// the upper triangle of the sum of z z' (z as in the ridge: the centred features, then
// the outcome), each as eight big-endian bytes, floats by their bits. When a result
// cannot be reproduced they tell whether the data or the fit differs, and in which fold.
func (t *Table) GramDigests(workers int) []string {
	grams := t.foldGrams(t.centre(), workers)
	out := make([]string, len(grams))
	for k := range grams {
		out[k] = grams[k].digest()
	}
	return out
}

func (g *gram) digest() string {
	buf := make([]byte, 0, 8*(1+len(g.sum)+len(g.sq)))
	buf = binary.BigEndian.AppendUint64(buf, uint64(g.n)) //nolint:gosec // a count
	for _, part := range [][]float64{g.sum, g.sq} {
		for _, v := range part {
			buf = binary.BigEndian.AppendUint64(buf, math.Float64bits(v))
		}
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:])
}
