package postgres

import (
	"fmt"
	"strings"

	"github.com/liftbill/liftbill/domain/projection"
)

// form is how a column travels: as which array to PostgreSQL, and by which expressions
// there and back.
type form int

const (
	asText   form = iota
	asInt         // never null
	asAmount      // nullable bigint
	asBool
	asTime   // Unix seconds, 0 is null
	asNumber // exact decimal text, empty is null
	asJSON   // text, empty is null
	asList   // text joined by listMark
)

// listMark separates the elements of a list on its way; no identifier holds it.
const listMark = "\x1f"

// travels says as which array a form is sent, and how a value is written and read there.
func (f form) travels() (array, write, read string) {
	switch f {
	case asInt, asAmount:
		return "bigint[]", "%s", "%s"
	case asBool:
		return "boolean[]", "%s", "%s"
	case asTime:
		return "bigint[]", "to_timestamp(nullif(%s, 0))", "coalesce(date_part('epoch', %s)::bigint, 0)"
	case asNumber:
		return "text[]", "nullif(%s, '')::numeric", "coalesce(%s::text, '')"
	case asJSON:
		return "text[]", "nullif(%s, '')::json", "coalesce(%s::text, '')"
	case asList:
		return "text[]", "string_to_array(%s, chr(31))", "array_to_string(%s, chr(31))"
	default:
		return "text[]", "%s", "%s"
	}
}

// column is one column of a projection table and the field that it holds.
type column[V projection.View] struct {
	name  string
	form  form
	field func(r *projected[V]) any // pointer to a string, int64, *int64 or bool
}

// projectionTable says how one kind of object is stored.
type projectionTable[V projection.View] struct {
	name    string // the table
	object  string // Stripe's name of the object
	of      func(*projection.Set) map[string]*projection.Object[V]
	keys    []projection.Key
	columns []column[V]
	// customer is whose the object is; restore puts it back into the view. Both are nil
	// for objects that belong to no customer.
	customer func(V) string
	restore  func(r *projected[V])
	// lists and unlist write and read what is no plain column; nil when there is nothing.
	lists  func(r *projected[V], o *projection.Object[V]) error
	unlist func(r *projected[V], o *projection.Object[V]) error
	// steady is what a newer version may not change if it is to replace a row unseen.
	steady []string

	sql projectionSQL
}

// projectionSQL are the statements of a table.
type projectionSQL struct{ offer, look, write string }

// key columns and the columns that every table ends with.
func (t *projectionTable[V]) complete() *projectionTable[V] {
	for i, key := range t.keys {
		t.columns = append(t.columns, column[V]{knownColumn(key), knownForm(key), func(r *projected[V]) any { return &r.known[i] }})
	}
	t.columns = append([]column[V]{
		{"connection_id", asText, func(r *projected[V]) any { return &r.connection }},
		{"id", asText, func(r *projected[V]) any { return &r.id }},
	}, append(t.columns,
		column[V]{"deleted_at", asTime, func(r *projected[V]) any { return &r.deletedAt }},
		column[V]{"undecided", asBool, func(r *projected[V]) any { return &r.undecided }},
		column[V]{"said_rank", asInt, func(r *projected[V]) any { return &r.rank }},
		column[V]{"said_at", asInt, func(r *projected[V]) any { return &r.at }},
		column[V]{"said_later", asBool, func(r *projected[V]) any { return &r.later }},
		column[V]{"replaced", asInt, func(r *projected[V]) any { return &r.replaced }},
		column[V]{"read_at", asInt, func(r *projected[V]) any { return &r.readAt }},
		column[V]{"knows", asInt, func(r *projected[V]) any { return &r.knows }},
		column[V]{"same", asInt, func(r *projected[V]) any { return &r.same }},
		column[V]{"simple", asBool, func(r *projected[V]) any { return &r.simple }},
		column[V]{"extra", asJSON, func(r *projected[V]) any { return &r.extra }},
	)...)
	return t.named(t.name)
}

func knownColumn(key projection.Key) string {
	switch key {
	case projection.KeyCharge, projection.KeyInvoice:
		return string(key) + "_id"
	default:
		return string(key)
	}
}

func knownForm(key projection.Key) form {
	if key == projection.KeyCashBalance {
		return asJSON
	}
	return asText
}

// named is the same layout in a table of another name.
func (t *projectionTable[V]) named(name string) *projectionTable[V] {
	out := *t
	out.name, out.sql = name, t.statements(name)
	return &out
}

// ofTimeline reports whether a column is left alone by a version that changes no status.
func ofTimeline(column string) bool {
	switch column {
	case "timeline", "points", "stands", "since":
		return true
	default:
		return false
	}
}

// statements:
//
// offer inserts rows in the order of their keys, and replaces a row at once when the
// new one is plainly newer. Whatever it conflicts with is locked, in that order, so that
// concurrent batches wait for each other and never for a cycle. It returns the rows that
// it wrote.
//
// look reads the rows that offer did not write and that may have something to join;
// a row that already holds what was offered, or something newer that states as much, has not.
//
// write stores joined rows, which are locked.
func (t *projectionTable[V]) statements(name string) projectionSQL {
	var names, arrays, values, sets, steadySets []string
	for i, c := range t.columns {
		array, write, _ := c.form.travels()
		names = append(names, c.name)
		arrays = append(arrays, fmt.Sprintf("$%d::%s", i+1, array))
		values = append(values, strings.Replace(write, "%s", "u."+c.name, 1))
		if c.name == "connection_id" || c.name == "id" {
			continue
		}
		set := c.name + " = excluded." + c.name
		sets = append(sets, set)
		if !ofTimeline(c.name) {
			steadySets = append(steadySets, set)
		}
	}
	insert := fmt.Sprintf("INSERT INTO %s AS t (%s) SELECT %s FROM unnest(%s) AS u(%s) ORDER BY u.connection_id COLLATE \"C\", u.id COLLATE \"C\" ON CONFLICT (connection_id, id) DO UPDATE SET ",
		name, strings.Join(names, ", "), strings.Join(values, ", "), strings.Join(arrays, ", "), strings.Join(names, ", "))
	plain := "t.simple AND excluded.simple AND t.said_rank <= excluded.said_rank AND (t.said_at, t.said_later) < (excluded.said_at, excluded.said_later) AND t.knows & ~excluded.knows = 0"
	nothing := "t.simple AND k.simple AND (k.same = t.same OR (k.said_rank <= t.said_rank AND (k.said_at, k.said_later) < (t.said_at, t.said_later) AND k.knows & ~t.knows = 0))"
	for _, c := range t.steady {
		plain += fmt.Sprintf(" AND t.%s IS NOT DISTINCT FROM excluded.%s", c, c)
	}
	extra, extraColumns := "", ""
	if t.has("customer_id") {
		extra, extraColumns = ", $9::text[]", ", customer_id"
		nothing += " AND k.customer_id = t.customer_id"
	}
	if t.has("points") {
		plain += " AND excluded.points = 0"
		nothing += " AND k.points = 0"
		extra, extraColumns = extra+", $10::bigint[]", extraColumns+", points"
	}
	return projectionSQL{
		offer: insert + strings.Join(steadySets, ", ") + " WHERE " + plain + " RETURNING t.connection_id, t.id, xmax = 0",
		look: fmt.Sprintf(`SELECT %s FROM unnest($1::text[], $2::text[], $3::boolean[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[], $8::bigint[]%s)
			AS k(connection_id, id, simple, same, said_rank, said_at, said_later, knows%s)
			JOIN LATERAL (SELECT * FROM %s t WHERE t.connection_id = k.connection_id AND t.id = k.id LIMIT 1) t ON NOT (%s)`,
			strings.Join(t.reads(), ", "), extra, extraColumns, name, nothing),
		write: insert + strings.Join(sets, ", "),
	}
}

func (t *projectionTable[V]) has(name string) bool {
	for _, c := range t.columns {
		if c.name == name {
			return true
		}
	}
	return false
}

// reads are the columns of a table t as fields takes them.
func (t *projectionTable[V]) reads() []string {
	out := make([]string, len(t.columns))
	for i, c := range t.columns {
		_, _, read := c.form.travels()
		out[i] = strings.Replace(read, "%s", "t."+c.name, 1)
	}
	return out
}

// names are the columns.
func (t *projectionTable[V]) names() []string {
	out := make([]string, len(t.columns))
	for i, c := range t.columns {
		out[i] = c.name
	}
	return out
}

// fields are pointers to what the columns hold, in their order.
func (t *projectionTable[V]) fields(r *projected[V]) []any {
	out := make([]any, len(t.columns))
	for i, c := range t.columns {
		out[i] = c.field(r)
	}
	return out
}

// arrays are the arguments of offer and write: one array per column.
func (t *projectionTable[V]) arrays(rows []*projected[V]) []any {
	out := make([]any, len(t.columns))
	for i, c := range t.columns {
		switch c.form {
		case asInt, asTime:
			out[i] = gather(rows, func(r *projected[V]) int64 { return *c.field(r).(*int64) })
		case asAmount:
			out[i] = gather(rows, func(r *projected[V]) *int64 { return *c.field(r).(**int64) })
		case asBool:
			out[i] = gather(rows, func(r *projected[V]) bool { return *c.field(r).(*bool) })
		default:
			out[i] = gather(rows, func(r *projected[V]) string { return *c.field(r).(*string) })
		}
	}
	return out
}

// probes are the arguments of look.
func (t *projectionTable[V]) probes(rows []*projected[V]) []any {
	out := []any{
		gather(rows, func(r *projected[V]) string { return r.connection }), gather(rows, func(r *projected[V]) string { return r.id }),
		gather(rows, func(r *projected[V]) bool { return r.simple }), gather(rows, func(r *projected[V]) int64 { return r.same }),
		gather(rows, func(r *projected[V]) int64 { return r.rank }), gather(rows, func(r *projected[V]) int64 { return r.at }),
		gather(rows, func(r *projected[V]) bool { return r.later }), gather(rows, func(r *projected[V]) int64 { return r.knows }),
	}
	if t.has("customer_id") {
		out = append(out, gather(rows, func(r *projected[V]) string { return r.customer }))
	}
	if t.has("points") {
		out = append(out, gather(rows, func(r *projected[V]) int64 { return r.points }))
	}
	return out
}

func gather[V projection.View, T any](rows []*projected[V], field func(*projected[V]) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = field(r)
	}
	return out
}
