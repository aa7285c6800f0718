package tabular

import (
	"errors"
	"io"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/ope/evaluate"
)

// logColumns are the places of a decision in a row.
type logColumns struct {
	row                        int // -1 where the log does not number its rows
	unit, action, reward, p    int
	policy, baseline, forecast []int
}

// ReadLog reads a decision log: unit_id, action, reward, pscore, and for every
// action k from 0 the columns pi_k, base_k and q_k. Where there is a column row its
// numbers must be distinct, so that no decision counts twice. Any other column,
// such as position, fold or x0, is left alone: the estimators do not use it.
func ReadLog(r io.Reader) (*evaluate.Log, error) {
	t, err := open(r, MaxBytes)
	if err != nil {
		return nil, err
	}
	c, err := t.logColumns()
	if err != nil {
		return nil, err
	}
	log, err := evaluate.NewLog(len(c.policy))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, codeHeader, "the header")
	}
	d := evaluate.Decision{
		Policy: make([]float64, len(c.policy)), Baseline: make([]float64, len(c.policy)), Predicted: make([]float64, len(c.policy)),
	}
	seen := map[int64]struct{}{}
	for {
		ok, err := t.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if err := t.distinct(c.row, seen); err != nil {
			return nil, err
		}
		if err := t.decision(&c, &d); err != nil {
			return nil, err
		}
		if err := log.Add(d); err != nil {
			return nil, t.located(err)
		}
	}
	if log.Rows() == 0 {
		return nil, fault.New(fault.Invalid, evaluate.RefusedEmpty, "the log has a header and no rows")
	}
	return log, nil
}

// located adds the line of the file to a refusal of the log.
func (t *table) located(err error) error {
	var r *evaluate.Refusal
	if !errors.As(err, &r) {
		return err
	}
	return t.refuse(r.Code, r.Column, r.Reason)
}

func (t *table) logColumns() (c logColumns, err error) {
	c.row = -1
	if i, ok := t.column["row"]; ok {
		c.row = i
	}
	for _, f := range []struct {
		name string
		into *int
	}{{"unit_id", &c.unit}, {"action", &c.action}, {"reward", &c.reward}, {"pscore", &c.p}} {
		if *f.into, err = t.require(f.name); err != nil {
			return c, err
		}
	}
	for _, f := range []struct {
		prefix string
		into   *[]int
	}{{"pi_", &c.policy}, {"base_", &c.baseline}, {"q_", &c.forecast}} {
		if *f.into, err = t.family(f.prefix, 0); err != nil {
			return c, err
		}
		if len(*f.into) == 0 {
			return c, fault.New(fault.Invalid, codeHeader, "the column is missing").On(f.prefix + "0")
		}
		if len(*f.into) != len(c.policy) {
			return c, fault.New(fault.Invalid, codeHeader, "there are %d columns %s… and %d columns pi_…; every action needs one of each",
				len(*f.into), f.prefix, len(c.policy)).On(f.prefix + "0")
		}
	}
	return c, nil
}

// distinct refuses a row number that was there before.
func (t *table) distinct(column int, seen map[int64]struct{}) error {
	if column < 0 {
		return nil
	}
	n, err := t.integer(column)
	if err != nil {
		return err
	}
	if _, twice := seen[n]; twice {
		return t.bad("row", "the row number %d appears twice", n)
	}
	seen[n] = struct{}{}
	return nil
}

// decision reads the current row into d.
func (t *table) decision(c *logColumns, d *evaluate.Decision) error {
	d.UnitID = t.fields[c.unit]
	action, err := t.integer(c.action)
	if err != nil {
		return err
	}
	if action < 0 || action >= int64(len(c.policy)) {
		return t.bad("action", "%d is not an action between 0 and %d", action, len(c.policy)-1)
	}
	d.Action = int(action)
	if d.Reward, err = t.float(c.reward); err != nil {
		return err
	}
	if d.Propensity, err = t.float(c.p); err != nil {
		return err
	}
	for _, f := range []struct {
		from []int
		into []float64
	}{{c.policy, d.Policy}, {c.baseline, d.Baseline}, {c.forecast, d.Predicted}} {
		for k, i := range f.from {
			if f.into[k], err = t.float(i); err != nil {
				return err
			}
		}
	}
	return nil
}
