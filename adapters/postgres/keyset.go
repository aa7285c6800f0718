package postgres

import (
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/money"
)

// sortType is how the key of an order is written in a cursor and read back.
type sortType string

const (
	byText   sortType = ""
	byNumber sortType = "bigint"
	byFloat  sortType = "float8"
	byTime   sortType = "timestamptz"
)

// check refuses a key that the database could not read.
func (s sortType) check(key string) error {
	var err error
	switch s {
	case byText:
	case byNumber:
		_, err = strconv.ParseInt(key, 10, 64)
	case byFloat:
		_, err = strconv.ParseFloat(key, 64)
	case byTime:
		_, err = time.Parse(time.RFC3339Nano, key)
	}
	return err
}

func (s sortType) placeholder() string {
	if s == byText {
		return "?"
	}
	return "?::" + string(s)
}

// sorting is one order of a list: a column that is never null, and its value in a row as
// a cursor holds it. Rows with equal values are told apart by the keyset's own identifier.
type sorting[R any] struct {
	column string
	kind   sortType
	value  func(R) string
}

// keyset pages a list by the key of the last row, so that a page costs what its rows cost
// however deep it lies, and rows that come meanwhile neither repeat nor hide another.
type keyset[R any] struct {
	// id is unique within the list, and id's value that of a row.
	id    string
	value func(R) string
	// first is the order that a list has when none is asked for: the greatest first.
	first string
	by    map[string]sorting[R]
}

// page adds the condition of a cursor to q, and says what to order by and how to write the
// cursor of a row. A sort is the name of an order, the greatest first, or that with "_asc".
// The use case has checked that it is one of the list's.
func (k keyset[R]) page(q *where, sort, after string) (order string, key func(R) string, err error) {
	name, ascending := strings.CutSuffix(sort, "_asc")
	if name == "" {
		name = k.first
	}
	s := k.by[name]
	direction, beyond := " DESC", "<"
	if ascending {
		direction, beyond = "", ">"
	}
	if after != "" {
		at, id, err := parseCursor(after)
		if err == nil {
			err = s.kind.check(at)
		}
		if err != nil {
			return "", nil, badCursor(after)
		}
		if s.kind == byTime { // what partitions are left out by
			q.add(s.column+" "+beyond+"= "+s.kind.placeholder(), at)
		}
		q.add("("+s.column+", "+k.id+") "+beyond+" ("+s.kind.placeholder()+", ?)", at, id)
	}
	return s.column + direction + ", " + k.id + direction, func(r R) string { return cursor(s.value(r), k.value(r)) }, nil
}

// reach bounds a page that is filtered: it looks at so many rows of the list behind the
// cursor, which rows tells the keys of, in order, the first behind an offset. With more
// behind them it adds the bound to q and returns the cursor at which a page that is not
// full goes on. The bound is found first, so that rows which come meanwhile lie inside.
func (k keyset[R]) reach(q *where, sort string, looked int, rows func(offset int) ([]R, error)) (next string, err error) {
	found, err := rows(looked - 1)
	if err != nil || len(found) < 2 {
		return "", err
	}
	name, ascending := strings.CutSuffix(sort, "_asc")
	if name == "" {
		name = k.first
	}
	s, within := k.by[name], ">="
	if ascending {
		within = "<="
	}
	last := found[0]
	if s.kind == byTime {
		q.add(s.column+" "+within+" "+s.kind.placeholder(), s.value(last))
	}
	q.add("("+s.column+", "+k.id+") "+within+" ("+s.kind.placeholder()+", ?)", s.value(last), k.value(last))
	return cursor(s.value(last), k.value(last)), nil
}

// inSteps collects a filtered page that may look at so many rows: a first look at a few of
// them fills most pages, and spares looking everything up that lies behind.
func inSteps[T any](limit, looked int, after string, page func(cursor string, limit, looked int) (reconcile.Page[T], error)) (reconcile.Page[T], error) {
	out := reconcile.Page[T]{NextCursor: after}
	for step := min(looked, 2*limit); ; step = looked {
		p, err := page(out.NextCursor, limit-len(out.Items), step)
		if err != nil {
			return out, err
		}
		out.Items, out.NextCursor = append(out.Items, p.Items...), p.NextCursor
		looked -= step
		if len(out.Items) == limit || out.NextCursor == "" || looked <= 0 {
			return out, nil
		}
	}
}

// decimals lists the currencies whose minor unit is not a hundredth.
var decimals = func() map[int32][]string {
	out := map[int32][]string{}
	for _, c := range money.Currencies() {
		if e, _ := c.Exponent(); e != 2 {
			out[e] = append(out[e], string(c))
		}
	}
	return out
}()

// major compares an amount column with an amount of major units, which is another number
// of minor units for currencies with other decimals.
func (w *where) major(column, currency, op string, amount decimal.Decimal) {
	bound := func(exp int32) string { return amount.Shift(exp).String() }
	w.add("("+column+" "+op+" CASE WHEN "+currency+" = ANY (?::text[]) THEN ?::numeric WHEN "+currency+" = ANY (?::text[]) THEN ?::numeric ELSE ?::numeric END)",
		words(decimals[0]), bound(0), words(decimals[3]), bound(3), bound(2))
}

// instantKey is a time as a cursor holds it.
func instantKey(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
