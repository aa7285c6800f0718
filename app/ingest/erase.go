package ingest

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// Eraser removes the raw bodies of everything that Stripe told about one customer. The
// digests of the bodies, the facts and a record of the erasure stay.
type Eraser struct {
	Bodies     Bodies
	Classifier *Classifier
	Box        secret.Box
	Clock      clock.Clock
}

// EventRef names a stored event.
type EventRef struct {
	ConnectionID string
	EventID      string
	Created      time.Time
}

// StoredBody is an event with its sealed body, empty when it was erased before.
type StoredBody struct {
	EventRef
	SealedBody []byte
	Pending    bool
}

// ErasureRequest says whose bodies are to go, and why, for the record.
type ErasureRequest struct {
	ConnectionID string
	Environment  account.Environment
	CustomerID   string
	Reason       string
	At           time.Time
}

// Bodies holds the stored bodies of events.
type Bodies interface {
	// ConnectionEnvironment is NotFound for an unknown connection.
	ConnectionEnvironment(ctx context.Context, connectionID string) (account.Environment, error)
	// StoredBodies lists the events of a connection behind the given one, by time and ID.
	StoredBodies(ctx context.Context, after EventRef, limit int) ([]StoredBody, error)
	// OpenErasure writes the record of a request, and the note in the same transaction, and
	// returns its number.
	OpenErasure(ctx context.Context, r ErasureRequest, note audit.Entry) (int64, error)
	// EraseBodies empties bodies and records each, in one transaction.
	EraseBodies(ctx context.Context, erasure int64, events []EventRef, at time.Time) error
	// Reclaim makes the database give up what it still holds of the bodies that an erasure
	// has emptied.
	Reclaim(ctx context.Context, erasure int64) error
}

// Erasure is what an erasure did.
type Erasure struct {
	// ID is the number of its record; 0 when nothing was there to erase.
	ID       int64 `json:"erasure_id"`
	Searched int   `json:"bodies_searched"`
	Erased   int   `json:"bodies_erased"`
	// Pending events about the customer are not classified yet, so their bodies are still
	// needed; erase again when they are.
	Pending int `json:"pending"`
	// Unreadable bodies could not be searched: they were sealed with another key.
	Unreadable int `json:"unreadable"`
}

// Complete reports whether nothing about the customer can be left.
func (e Erasure) Complete() bool { return e.Pending == 0 && e.Unreadable == 0 }

// pageBodies bounds what is held in memory at once.
const pageBodies = 200

// stripeID is the form of Stripe's identifiers. What has another form could be an ordinary
// word, and is looked for as the customer of an object only.
var stripeID = regexp.MustCompile(`^[a-z]{2,12}_[A-Za-z0-9]{8,}$`)

// Erase empties the bodies of all events about a customer: those whose body names the
// customer or an object of theirs (a dispute names the charge, not the customer). It
// classifies what is pending first, because facts come from bodies. Erasing again finds
// what has come since.
func (s *Eraser) Erase(ctx context.Context, by access.Principal, connectionID, customerID, reason string) (Erasure, error) {
	var out Erasure
	customerID, reason = strings.TrimSpace(customerID), strings.TrimSpace(reason)
	switch {
	case customerID == "":
		return out, fault.InvalidField("customer", "customer_missing", "whose bodies are to be erased?").Fix("Give the customer's ID at Stripe (cus_…)")
	case reason == "":
		return out, fault.InvalidField("reason", "reason_missing", "the record of an erasure needs a reason").Fix("Name the request, for example: erasure request of 2026-10-02")
	}
	if err := access.RequirePermission(by, access.WriteSetup); err != nil {
		return out, err
	}
	env, err := s.Bodies.ConnectionEnvironment(ctx, connectionID)
	if err != nil {
		return out, err
	}
	if !by.Scope.Reaches(env) {
		return out, access.Hidden(access.Connection, connectionID)
	}
	if _, err := s.Classifier.Drain(ctx); err != nil {
		return out, err
	}
	about := subjects{customer: customerID, ids: map[string]bool{}}
	if stripeID.MatchString(customerID) {
		about.ids[customerID] = true
	}
	// The first pass learns which objects are the customer's.
	err = s.each(ctx, connectionID, &Erasure{}, func(_ StoredBody, body []byte) bool {
		about.learn(body)
		return false
	}, nil)
	if err != nil {
		return out, err
	}
	request := ErasureRequest{ConnectionID: connectionID, Environment: env, CustomerID: customerID, Reason: reason, At: s.Clock.Now()}
	err = s.each(ctx, connectionID, &out, func(b StoredBody, body []byte) bool {
		found := about.in(body)
		if found && b.Pending {
			out.Pending++
		}
		return found && !b.Pending
	}, func(found []EventRef) error { return s.erase(ctx, by, request, found, &out) })
	if err != nil || out.ID == 0 {
		return out, err
	}
	return out, s.Bodies.Reclaim(ctx, out.ID)
}

// erase empties the bodies of a page; the first one writes the record.
func (s *Eraser) erase(ctx context.Context, by access.Principal, r ErasureRequest, found []EventRef, out *Erasure) error {
	if out.ID == 0 {
		id, err := s.Bodies.OpenErasure(ctx, r, audit.New(by, r.At, audit.CustomerErased, "connection", r.ConnectionID).In("", r.Environment).Because(r.Reason))
		if err != nil {
			return err
		}
		out.ID = id
	}
	if err := s.Bodies.EraseBodies(ctx, out.ID, found, r.At); err != nil {
		return err
	}
	out.Erased += len(found)
	return nil
}

// each opens the bodies of a connection, page by page, and hands what want has chosen of
// a page to take. Erased ones are passed over.
func (s *Eraser) each(ctx context.Context, connectionID string, count *Erasure, want func(StoredBody, []byte) bool, take func([]EventRef) error) error {
	after := EventRef{ConnectionID: connectionID}
	for {
		page, err := s.Bodies.StoredBodies(ctx, after, pageBodies)
		if err != nil || len(page) == 0 {
			return err
		}
		var chosen []EventRef
		for _, b := range page {
			after = b.EventRef
			if len(b.SealedBody) == 0 {
				continue
			}
			count.Searched++
			body, err := s.Box.Open(BodyContext(connectionID), b.SealedBody)
			switch {
			case err != nil:
				count.Unreadable++
			case want(b, body):
				chosen = append(chosen, b.EventRef)
			}
		}
		if len(chosen) > 0 {
			if err := take(chosen); err != nil {
				return err
			}
		}
	}
}

// subjects are a customer and what is known to be the customer's.
type subjects struct {
	customer string
	ids      map[string]bool
}

// personal are the kinds of objects that belong to one customer. Prices, products, coupons
// and tax rates are shared, and are nobody's.
var personal = map[string]bool{
	"ba": true, "card": true, "ch": true, "cn": true, "cs": true, "di": true, "dp": true, "du": true, "ii": true, "il": true, "in": true, "mandate": true,
	"pi": true, "pm": true, "py": true, "pyr": true, "re": true, "seti": true, "si": true, "src": true, "sub": true,
}

// learn notes what an object of the customer's names: a dispute names the charge that the
// invoice names, and not the customer.
func (s subjects) learn(body []byte) {
	env, err := reward.ParseEnvelope(body)
	if err != nil || env.Customer != s.customer {
		return
	}
	words(body, func(word []byte) bool {
		kind, _, _ := bytes.Cut(word, []byte("_"))
		if personal[string(kind)] && stripeID.Match(word) {
			s.ids[string(word)] = true
		}
		return false
	})
}

// in reports whether a body is about the customer.
func (s subjects) in(body []byte) bool {
	if words(body, func(word []byte) bool { return s.ids[string(word)] }) {
		return true
	}
	if s.ids[s.customer] {
		return false
	}
	env, err := reward.ParseEnvelope(body)
	return err == nil && env.Customer == s.customer
}

// words visits the words of a text that have an underscore in them, whatever place and
// quoting they stand in, until visit returns true.
func words(text []byte, visit func(word []byte) bool) bool {
	for {
		at := bytes.IndexByte(text, '_')
		if at < 0 {
			return false
		}
		from, to := at, at+1
		for from > 0 && isWord(text[from-1]) {
			from--
		}
		for to < len(text) && isWord(text[to]) {
			to++
		}
		// An escape before the word (\n, \t) seems to lend it its letter.
		if visit(text[from:to]) || (from > 0 && text[from-1] == '\\' && from < at && visit(text[from+1:to])) {
			return true
		}
		text = text[to:]
	}
}

func isWord(c byte) bool {
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}
