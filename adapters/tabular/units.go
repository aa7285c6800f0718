package tabular

import (
	"errors"
	"io"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/ope"
)

// Units is a unit table.
type Units struct {
	// Rows are the units in the order of the file.
	Rows []ope.Unit
	// Features names the columns x_1, x_2, …
	Features []string
}

// ReadUnits reads a unit table: unit_id, holdout (0 or 1), y_minor (whole minor
// units) and the features x_1, x_2, …, and nothing else: a misspelt feature must
// not vanish. Every unit gets the holdout probability h, in (0,1).
func ReadUnits(r io.Reader, h float64) (Units, error) {
	t, err := open(r, MaxBytes)
	if err != nil {
		return Units{}, err
	}
	places, err := t.unitColumns()
	if err != nil {
		return Units{}, err
	}
	features, err := t.family("x_", 1)
	if err != nil {
		return Units{}, err
	}
	if extra := len(t.header) - len(places) - len(features); extra > 0 {
		return Units{}, t.unknownColumn()
	}
	out := Units{Features: make([]string, len(features))}
	for j, i := range features {
		out.Features[j] = t.header[i]
	}
	for {
		ok, err := t.next()
		if err != nil {
			return Units{}, err
		}
		if !ok {
			return out, nil
		}
		u, err := t.unit(places, features)
		if err != nil {
			return Units{}, err
		}
		u.P = h
		out.Rows = append(out.Rows, u)
	}
}

// Refused writes a refusal of the estimator as the fault that a reader of the file
// can act on. Other errors stay what they are.
func Refused(err error) error {
	var r *ope.Refusal
	if !errors.As(err, &r) {
		return err
	}
	if r.Row < 0 {
		return fault.New(fault.Invalid, r.Code, "%s", r.Reason)
	}
	return fault.New(fault.Invalid, r.Code, "row %d (unit %q): %s", r.Row, r.UnitID, r.Reason).On(r.Column)
}

func (t *table) unitColumns() ([3]int, error) {
	var out [3]int
	for j, name := range []string{"unit_id", "holdout", "y_minor"} {
		i, err := t.require(name)
		if err != nil {
			return out, err
		}
		out[j] = i
	}
	return out, nil
}

// unknownColumn names the first column that a unit table does not have.
func (t *table) unknownColumn() error {
	for _, name := range t.header {
		if name != "unit_id" && name != "holdout" && name != "y_minor" && !strings.HasPrefix(name, "x_") {
			return fault.New(fault.Invalid, codeHeader, "a unit table has no such column").On(name).
				Fix("Use unit_id, holdout, y_minor and the features x_1, x_2, …")
		}
	}
	return nil
}

// unit reads the current row.
func (t *table) unit(places [3]int, features []int) (ope.Unit, error) {
	u := ope.Unit{ID: strings.Clone(t.fields[places[0]]), X: make([]float64, len(features))}
	switch held := t.fields[places[1]]; held {
	case "0":
	case "1":
		u.Holdout = true
	default:
		return u, t.bad("holdout", "%s is neither 0 nor 1", quote(held))
	}
	var err error
	if u.Y, err = t.integer(places[2]); err != nil {
		return u, err
	}
	for j, i := range features {
		if u.X[j], err = t.float(i); err != nil {
			return u, err
		}
	}
	return u, nil
}
