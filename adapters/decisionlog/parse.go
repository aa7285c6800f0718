// Package decisionlog reads decision logs that integrators upload.
//
// It turns NDJSON lines into decisions, or into the reason why a line is none:
// its number, the field and the remedy. A bad line never stops the lines after
// it. What a decision must satisfy is the domain's rule, not this package's.
package decisionlog

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/fault"
)

// MaxLine is the longest line that is read, without its line ending.
const MaxLine = 64 << 10

var bom = []byte("\xef\xbb\xbf")

// Parse reads one JSON object per line, as the lines arrive. A byte-order mark,
// CRLF and blank lines are tolerated; blank lines count for the numbers. When
// reading fails the last row says so.
func Parse(r io.Reader) iter.Seq[decisions.Row] {
	return func(yield func(decisions.Row) bool) {
		in := bufio.NewReaderSize(r, MaxLine+len("\r\n"))
		for number := 1; ; number++ {
			line, tooLong, err := readLine(in)
			if number == 1 {
				line = bytes.TrimPrefix(line, bom)
			}
			row := decisions.Row{Number: number}
			switch {
			case err != nil && !errors.Is(err, io.EOF):
				row.Err = fault.Wrap(err, fault.Unavailable, "log_cut", "the log broke off here").Fix("Send it again; rows that are stored are not stored twice")
				yield(row)
				return
			case tooLong:
				row.Err = fault.New(fault.Invalid, "line_too_long", "the line is longer than %d bytes", MaxLine).Fix("Send one decision per line, with at most %d features", decision.MaxFeatures)
			case len(bytes.TrimSpace(line)) == 0:
				if err != nil {
					return
				}
				continue
			default:
				row.Decision, row.Err = parseLine(line)
			}
			if !yield(row) || err != nil {
				return
			}
		}
	}
}

// readLine returns the next line without its ending, valid until the next call.
// The rest of a line that is too long is skipped.
func readLine(in *bufio.Reader) (line []byte, tooLong bool, err error) {
	line, err = in.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		_, err = in.ReadSlice('\n')
	}
	if tooLong {
		return nil, true, err
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	return line, len(line) > MaxLine, err
}

// parseLine reads a line. Beside the first thing that is wrong it returns which decision
// it was, where that can be read: one without its propensities is known to be missing.
func parseLine(line []byte) (decision.Decision, error) {
	var d decision.Decision
	if !utf8.Valid(line) {
		return d, fault.New(fault.Invalid, "utf8_malformed", "the line is not UTF-8").Fix("Write the log in UTF-8")
	}
	seen := make(map[string]bool, len(fields))
	var wrong error
	err := eachMember(line, func(name string, value []byte) error {
		if err := member(&d, seen, name, value); err != nil && wrong == nil {
			wrong = err
		}
		return nil
	})
	if err != nil {
		return decision.Decision{}, err
	}
	who := decision.Decision{ID: d.ID, UnitID: d.UnitID, At: d.At}
	if wrong != nil {
		return who, wrong
	}
	for _, name := range names {
		if !seen[name] && !optional[name] {
			return who, fault.InvalidField(name, "field_missing", "the field is missing").Fix("Log it for every decision")
		}
	}
	return d, nil
}

// member reads one field of a line.
func member(d *decision.Decision, seen map[string]bool, name string, value []byte) error {
	set, known := fields[name]
	if !known {
		return unknownField(name)
	}
	if seen[name] {
		return fault.InvalidField(name, "field_repeated", "the field appears twice").Fix("Write each field once")
	}
	seen[name] = true
	if string(value) == "null" {
		seen[name] = optional[name] // null is the same as leaving the field out
		return nil
	}
	return set(d, name, value)
}
