package tabular

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// MaxBytes is the largest table that is read, after unpacking.
const MaxBytes int64 = 16 << 30

// Codes of refusals that are not about one value.
const (
	codeUnreadable = "table_unreadable"
	codeHeader     = "table_header"
	codeRow        = "table_row"
	codeValue      = "table_value"
)

// table is a CSV with a header, read row by row.
type table struct {
	csv    *csv.Reader
	budget *io.LimitedReader
	header []string
	column map[string]int
	row    int      // zero-based number of the current row, -1 before the first
	fields []string // of the current row
}

// open finds out whether the input is gzipped and reads the header.
func open(r io.Reader, limit int64) (*table, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var plain io.Reader = in
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, codeUnreadable, "the gzip header cannot be read")
		}
		plain = z
	}
	budget := &io.LimitedReader{R: plain, N: limit}
	text := bufio.NewReaderSize(budget, 1<<16)
	if bom, err := text.Peek(3); err == nil && bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		if _, err := text.Discard(len(bom)); err != nil {
			return nil, fault.Wrap(err, fault.Invalid, codeUnreadable, "the table cannot be read")
		}
	}
	t := &table{csv: csv.NewReader(text), budget: budget, column: map[string]int{}, row: -1}
	t.csv.ReuseRecord = true
	header, err := t.csv.Read()
	if err != nil {
		return nil, t.broken(err)
	}
	for i, name := range header {
		if _, twice := t.column[name]; twice {
			return nil, fault.New(fault.Invalid, codeHeader, "the header names the column twice").On(name)
		}
		name = strings.Clone(name)
		t.column[name] = i
		t.header = append(t.header, name)
	}
	return t, nil
}

// next reads a row; false is the end of the table.
func (t *table) next() (bool, error) {
	fields, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		if t.budget.N <= 0 {
			return false, t.broken(err)
		}
		return false, nil
	}
	t.row++
	if err != nil {
		return false, t.broken(err)
	}
	t.fields = fields
	return true, nil
}

// broken says why the table cannot be read on.
func (t *table) broken(err error) error {
	var p *csv.ParseError
	switch {
	case t.budget.N <= 0:
		return fault.New(fault.Invalid, codeUnreadable, "the table holds too many bytes, counted after unpacking")
	case errors.Is(err, io.EOF):
		return fault.New(fault.Invalid, codeHeader, "the table is empty, not even a header is there")
	case errors.As(err, &p) && t.row >= 0:
		return fault.Wrap(p.Err, fault.Invalid, codeRow, "row %d (line %d), column %d of the text", t.row, p.Line, p.Column)
	default:
		return fault.Wrap(err, fault.Invalid, codeUnreadable, "the table cannot be read")
	}
}

// require finds a column that must be there.
func (t *table) require(name string) (int, error) {
	i, ok := t.column[name]
	if !ok {
		return 0, fault.New(fault.Invalid, codeHeader, "the column is missing").On(name)
	}
	return i, nil
}

// family finds the columns prefix+first, prefix+(first+1), … and refuses a gap, a
// number such as 01, and anything else that begins with the prefix.
func (t *table) family(prefix string, first int) ([]int, error) {
	var out []int
	for {
		i, ok := t.column[prefix+strconv.Itoa(first+len(out))]
		if !ok {
			break
		}
		out = append(out, i)
	}
	for _, name := range t.header {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(rest); err != nil || n < first || n >= first+len(out) || strconv.Itoa(n) != rest {
			return nil, fault.New(fault.Invalid, codeHeader, "the columns %s… must be numbered from %d without a gap", prefix, first).On(name)
		}
	}
	return out, nil
}

// bad refuses the value in a column of the current row.
func (t *table) bad(column, format string, args ...any) error {
	return t.refuse(codeValue, column, fmt.Sprintf(format, args...))
}

// refuse names the current row, its line and a column.
func (t *table) refuse(code, column, reason string) error {
	at := 0
	if i, ok := t.column[column]; ok {
		at = i
	}
	line, _ := t.csv.FieldPos(at)
	return fault.New(fault.Invalid, code, "row %d (line %d): %s", t.row, line, reason).On(column)
}

// float reads a decimal number. NaN, infinities, hexadecimal digits and
// underscores, which ParseFloat takes, are refused.
func (t *table) float(i int) (float64, error) {
	s := t.fields[i]
	for j := range len(s) {
		if c := s[j]; (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, t.bad(t.header[i], "%s is not a decimal number", quote(s))
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		reason := "is not a decimal number"
		if errors.Is(err, strconv.ErrRange) {
			reason = "is beyond the range of a float64"
		}
		return 0, t.bad(t.header[i], "%s %s", quote(s), reason)
	}
	return v, nil
}

// integer reads a whole number in plain digits.
func (t *table) integer(i int) (int64, error) {
	s := t.fields[i]
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strings.HasPrefix(s, "+") {
		return 0, t.bad(t.header[i], "%s is not a whole number of at most 64 bits", quote(s))
	}
	return v, nil
}

// quote writes a value into a sentence, cut where it is long.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
