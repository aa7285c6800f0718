package stripefake

import (
	"encoding/json"
	"sort"
)

// head is what every stored object begins with.
type head struct {
	ID     string `json:"id"`
	Object string `json:"object"`

	seq  int64 // order of creation within a collection
	born int64 // creation time, for created ranges
	gone bool  // deleted: hidden from lists
}

func (h *head) header() *head { return h }

type record interface{ header() *head }

// collection keeps the objects of one kind in creation order, with indexes by
// the ids they refer to, so that no request scans the whole of it.
type collection[T record] struct {
	byID map[string]T
	all  []T
	refs map[string][]T
	seq  int64
}

func newCollection[T record]() *collection[T] {
	return &collection[T]{byID: map[string]T{}, refs: map[string][]T{}}
}

func (c *collection[T]) add(o T, born int64, refs ...string) {
	h := o.header()
	c.seq++
	h.seq, h.born = c.seq, born
	c.byID[h.ID] = o
	c.all = append(c.all, o)
	for _, ref := range refs {
		c.link(o, ref)
	}
}

// link indexes o under ref and keeps the index in creation order.
func (c *collection[T]) link(o T, ref string) {
	if ref == "" {
		return
	}
	list, seq := c.refs[ref], o.header().seq
	i := sort.Search(len(list), func(i int) bool { return list[i].header().seq >= seq })
	if i < len(list) && list[i].header().seq == seq {
		return
	}
	list = append(list, o)
	copy(list[i+1:], list[i:])
	list[i] = o
	c.refs[ref] = list
}

func (c *collection[T]) unlink(o T, ref string) {
	list := c.refs[ref]
	for i := range list {
		if list[i].header() == o.header() {
			c.refs[ref] = append(list[:i:i], list[i+1:]...)
			return
		}
	}
}

// remove forgets an object: it is neither listed nor found any more.
func (c *collection[T]) remove(o T) {
	h := o.header()
	h.gone = true
	delete(c.byID, h.ID)
}

func (c *collection[T]) get(id string) (T, bool) {
	o, ok := c.byID[id]
	return o, ok
}

// of returns the objects that refer to ref, oldest first.
func (c *collection[T]) of(ref string) []T { return c.refs[ref] }

// list is Stripe's envelope of a page.
type list struct {
	Object  string `json:"object"`
	Data    []any  `json:"data"`
	HasMore bool   `json:"has_more"`
	URL     string `json:"url"`
}

// paging are the parameters common to all lists.
type paging struct {
	limit         int
	after, before string
	created       timeRange
}

type timeRange struct{ gt, gte, lt, lte *int64 }

func (a args) paging() paging {
	p := paging{limit: 10, after: a.text("starting_after"), before: a.text("ending_before")}
	if l := a.integer("limit"); l != nil {
		if *l < 1 || *l > 100 {
			a.fail(invalid("", "limit", "Invalid limit: must be between 1 and 100"))
		}
		p.limit = int(*l)
	}
	if p.after != "" && p.before != "" {
		a.fail(invalid("", "ending_before", "You can only pass one of these parameters: starting_after, ending_before."))
	}
	return p
}

func (a args) created(key string) timeRange {
	c := a.n.children[key]
	if c == nil {
		return timeRange{}
	}
	if c.leaf {
		at := a.integer(key)
		return timeRange{gte: at, lte: at}
	}
	o, _, _ := a.object(key)
	return timeRange{gt: o.integer("gt"), gte: o.integer("gte"), lt: o.integer("lt"), lte: o.integer("lte")}
}

func (t timeRange) below(at int64) bool {
	return (t.gt != nil && at <= *t.gt) || (t.gte != nil && at < *t.gte)
}

func (t timeRange) above(at int64) bool {
	return (t.lt != nil && at >= *t.lt) || (t.lte != nil && at > *t.lte)
}

// page cuts one page, newest first, out of objects in creation order.
func page[T record](c *collection[T], from []T, p paging, url, kind string, match func(T) bool) (*list, error) {
	ok := func(o T) bool {
		h := o.header()
		return !h.gone && !p.created.above(h.born) && !p.created.below(h.born) && (match == nil || match(o))
	}
	out := &list{Object: "list", Data: []any{}, URL: url}
	if p.before != "" {
		cursor, found := c.get(p.before)
		if !found {
			return nil, missingParam(kind, p.before, "ending_before")
		}
		pageBackwards(from, cursor.header().seq, p.limit, out, ok)
		return out, nil
	}
	i := sort.Search(len(from), func(i int) bool { return p.created.above(from[i].header().born) })
	if p.after != "" {
		cursor, found := c.get(p.after)
		if !found {
			return nil, missingParam(kind, p.after, "starting_after")
		}
		i = min(i, sort.Search(len(from), func(i int) bool { return from[i].header().seq >= cursor.header().seq }))
	}
	for i--; i >= 0; i-- {
		if p.created.below(from[i].header().born) {
			break
		}
		if !ok(from[i]) {
			continue
		}
		if len(out.Data) == p.limit {
			out.HasMore = true
			break
		}
		out.Data = append(out.Data, from[i])
	}
	return out, nil
}

func pageBackwards[T record](from []T, seq int64, limit int, out *list, ok func(T) bool) {
	i := sort.Search(len(from), func(i int) bool { return from[i].header().seq > seq })
	for ; i < len(from); i++ {
		if !ok(from[i]) {
			continue
		}
		if len(out.Data) == limit {
			out.HasMore = true
			break
		}
		out.Data = append(out.Data, from[i])
	}
	for a, b := 0, len(out.Data)-1; a < b; a, b = a+1, b-1 {
		out.Data[a], out.Data[b] = out.Data[b], out.Data[a]
	}
}

// render turns an object into the JSON that answers and events carry.
func render(o any) json.RawMessage {
	raw, err := json.Marshal(o)
	if err != nil {
		panic("stripefake: object cannot be rendered: " + err.Error())
	}
	return raw
}
