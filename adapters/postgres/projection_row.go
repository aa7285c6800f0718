package postgres

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/liftbill/liftbill/domain/projection"
)

// projected is one row of a projection table: the object in columns. What columns
// cannot hold is in extra.
type projected[V projection.View] struct {
	connection, id string
	view           V
	// customer is who the object belongs to.
	customer string
	// items, discounts, prices, products and timeline are the lists of a subscription as
	// the row holds them.
	items, discounts, prices, products, timeline string
	points                                       int64
	// stands is the last status of the timeline, since its second.
	stands string
	since  int64
	// known are the fields of the table's keys, knows has a bit for each that the version
	// that counts states itself.
	known                            [maxKnown]string
	knows                            int64
	deletedAt                        int64
	undecided, simple, later         bool
	rank, at, replaced, readAt, same int64
	extra                            string
}

const maxKnown = 1

// rest is what a row holds beside its columns.
type rest[V projection.View] struct {
	Known    []projection.Known      `json:"known,omitempty"`
	Versions []projection.Version[V] `json:"versions,omitempty"`
}

// rowOfObject lays an object out.
func (t *projectionTable[V]) rowOfObject(connection string, o *projection.Object[V]) (*projected[V], error) {
	r := &projected[V]{
		connection: connection, id: o.ID, deletedAt: o.DeletedAt, undecided: o.Undecided,
		rank: int64(o.Stamp.Rank), at: o.Stamp.At, later: o.Stamp.Later,
	}
	var more rest[V]
	if len(o.Versions) > 0 {
		v := o.Versions[0]
		r.view, r.replaced, r.readAt = v.View, int64(v.Before), v.ReadAt //nolint:gosec // the bits, not the number
		more.Versions = o.Versions[1:]
		if t.customer != nil {
			r.customer = t.customer(v.View)
		}
	}
	for _, k := range o.Known {
		i := slices.Index(t.keys, k.Key)
		r.known[i] = k.Value
		if len(o.Versions) > 0 && k.Stamp.At == o.Stamp.At && k.Stamp.Later == o.Stamp.Later {
			r.knows |= 1 << i
			continue
		}
		more.Known = append(more.Known, k)
	}
	if len(more.Known)+len(more.Versions) > 0 {
		doc, err := json.Marshal(more)
		if err != nil {
			return nil, err
		}
		r.extra = string(doc)
	}
	r.simple = r.extra == "" && r.deletedAt == 0
	if t.lists != nil {
		if err := t.lists(r, o); err != nil {
			return nil, err
		}
	}
	r.fingerprint(o)
	return r, nil
}

// fingerprint identifies the version that counts with all that it states.
func (r *projected[V]) fingerprint(o *projection.Object[V]) {
	const prime = 1099511628211
	sum := uint64(r.replaced) ^ uint64(r.readAt)*prime ^ uint64(r.knows) //nolint:gosec // the bits, not the number
	if len(o.Versions) > 0 {
		sum = sum*prime ^ o.Versions[0].Digest
	}
	for _, k := range r.known {
		for i := range len(k) {
			sum = (sum ^ uint64(k[i])) * prime
		}
		sum = (sum ^ 0xff) * prime
	}
	sum = (sum ^ uint64(r.rank)) * prime //nolint:gosec // small and positive
	sum = (sum ^ uint64(r.at)) * prime   //nolint:gosec // the bits, not the number
	if r.later {
		sum = (sum ^ 1) * prime
	}
	r.same = int64(sum) //nolint:gosec // the bits, not the number
}

// objectOf is the way back.
func (t *projectionTable[V]) objectOf(r *projected[V]) (*projection.Object[V], error) {
	o := &projection.Object[V]{
		ID: r.id, DeletedAt: r.deletedAt, Undecided: r.undecided,
		Stamp: projection.Stamp{Rank: uint8(r.rank), At: r.at, Later: r.later}, //nolint:gosec // as it was stored
	}
	if t.restore != nil {
		t.restore(r)
	}
	if t.unlist != nil {
		if err := t.unlist(r, o); err != nil {
			return nil, err
		}
	}
	if r.rank != 0 {
		o.Versions = []projection.Version[V]{{View: r.view, Digest: projection.Digest(r.view), Before: uint64(r.replaced), ReadAt: r.readAt}} //nolint:gosec // the bits, not the number
	}
	var more rest[V]
	if r.extra != "" {
		if err := json.Unmarshal([]byte(r.extra), &more); err != nil {
			return nil, err
		}
	}
	o.Versions = append(o.Versions, more.Versions...)
	o.Known = more.Known
	for i, key := range t.keys {
		if r.knows&(1<<i) != 0 {
			o.Known = append(o.Known, projection.Known{Key: key, Stamp: projection.Stamp{Rank: 1, At: r.at, Later: r.later}, Value: r.known[i]})
		}
	}
	slices.SortFunc(o.Known, func(a, b projection.Known) int { return strings.Compare(string(a.Key), string(b.Key)) })
	return o, nil
}

// subscriptionLists writes the lists of a subscription.
func subscriptionLists(r *subscriptionRow, o *projection.Object[projection.Subscription]) error {
	entries := projection.Timeline(o)
	var items, discounts, timeline []byte
	var err error
	if items, err = json.Marshal(notNil(r.view.Items)); err != nil {
		return err
	}
	if discounts, err = json.Marshal(notNil(r.view.Discounts)); err != nil {
		return err
	}
	if timeline, err = json.Marshal(notNil(entries)); err != nil {
		return err
	}
	r.items, r.discounts, r.timeline = string(items), string(discounts), string(timeline)
	r.prices, r.products = strings.Join(r.view.PriceIDs, listMark), strings.Join(r.view.ProductIDs, listMark)
	r.points, r.since = int64(len(o.Points)), math.MaxInt64
	for _, e := range entries {
		if !e.Void {
			r.stands, r.since = e.Is, e.At
		}
	}
	r.simple = r.simple && projection.Settled(o, entries)
	return nil
}

// subscriptionOfLists reads them.
func subscriptionOfLists(r *subscriptionRow, o *projection.Object[projection.Subscription]) error {
	var entries []projection.Entry
	for _, part := range []struct {
		text string
		into any
	}{{r.items, &r.view.Items}, {r.discounts, &r.view.Discounts}, {r.timeline, &entries}} {
		if err := json.Unmarshal([]byte(part.text), part.into); err != nil {
			return err
		}
	}
	r.view.Items, r.view.Discounts = orNil(r.view.Items), orNil(r.view.Discounts)
	r.view.PriceIDs, r.view.ProductIDs = split(r.prices), split(r.products)
	o.Points = projection.PointsOf(entries)
	return nil
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, listMark)
}

// orNil reads an empty list as none, as the domain writes it.
func orNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// notNil writes an empty list as [].
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
