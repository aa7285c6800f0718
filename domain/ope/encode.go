package ope

import (
	"bytes"
	"encoding/binary"
	"math"
)

// partialMagic begins the bytes of a Partial.
const partialMagic = "ope.moments/1\n"

// Bytes is the portable form of a bucket's moments, for a worker to leave for the
// one that merges: a magic line, the counts and sums, and every float as its
// big-endian IEEE 754 bits. The same moments are the same bytes on every machine.
func (p *Partial) Bytes() []byte { return p.appendTo([]byte(partialMagic)) }

func (p *Partial) appendTo(b []byte) []byte {
	for _, v := range []int64{p.units, p.held, p.payers, p.sumMinor, p.cappedSum} {
		b = binary.BigEndian.AppendUint64(b, uint64(v)) //nolint:gosec // the bits, whatever they mean
	}
	for _, f := range []float64{p.minP, p.maxW2, p.sumP, p.sumPQ} {
		b = appendFloat(b, f)
	}
	for _, flags := range [][]bool{p.seen, p.varied} {
		for _, v := range flags {
			if v {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		}
	}
	for _, fs := range [][]float64{p.first, p.cells} {
		for _, f := range fs {
			b = appendFloat(b, f)
		}
	}
	return b
}

// ParsePartial reads what Bytes wrote under the same layout and refuses anything else.
func ParsePartial(l Layout, raw []byte) (*Partial, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	p := newPartial(l)
	const fixed = 9 * 8
	want := len(partialMagic) + fixed + len(p.seen) + len(p.varied) + 8*(len(p.first)+len(p.cells))
	if len(raw) != want || !bytes.HasPrefix(raw, []byte(partialMagic)) {
		return nil, refuse(RefusedMoments, "%d bytes are not the moments of a bucket in this layout, which takes %d", len(raw), want)
	}
	raw = raw[len(partialMagic):]
	next := func() uint64 {
		v := binary.BigEndian.Uint64(raw)
		raw = raw[8:]
		return v
	}
	for _, at := range []*int64{&p.units, &p.held, &p.payers, &p.sumMinor, &p.cappedSum} {
		*at = int64(next()) //nolint:gosec // the bits, whatever they mean
	}
	for _, at := range []*float64{&p.minP, &p.maxW2, &p.sumP, &p.sumPQ} {
		*at = math.Float64frombits(next())
	}
	for _, flags := range [][]bool{p.seen, p.varied} {
		for i := range flags {
			flags[i] = raw[i] == 1
		}
		raw = raw[len(flags):]
	}
	for _, fs := range [][]float64{p.first, p.cells} {
		for i := range fs {
			fs[i] = math.Float64frombits(next())
		}
	}
	return p, nil
}
