package ope

import (
	"crypto/sha256"
	"encoding/hex"
)

// Digests are the checksums of the moments that everything is computed from: for every
// fold the lower-case hex SHA-256 of its sums, kind by kind (the layout's cells), each
// float as its eight bytes, big-endian. When a result cannot be reproduced they tell
// whether the data or the arithmetic differs, and in which fold.
func (m *Moments) Digests() []string {
	l := m.total.layout
	size := l.kinds() * l.cellSize()
	out := make([]string, l.Folds)
	for k := range out {
		buf := make([]byte, 0, 8*size)
		for _, v := range m.total.cells[k*size : (k+1)*size] {
			buf = appendFloat(buf, v)
		}
		sum := sha256.Sum256(buf)
		out[k] = hex.EncodeToString(sum[:])
	}
	return out
}
