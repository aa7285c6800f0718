package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/fault"
)

// How long the cache trusts what it read. The first bounds how long a secret that was
// taken away is still accepted. A secret that was added needs no wait: a signature that
// does not fit makes Receive look past the cache, once per recheckAfter.
const (
	endpointTTL  = 5 * time.Second
	unknownTTL   = time.Second
	recheckAfter = time.Second
	// maxCached bounds the memory that made-up endpoint IDs can take.
	maxCached = 4096
)

// EndpointCache keeps endpoints for a few seconds, so that a delivery costs no query.
// It is safe for concurrent use; of many deliveries that find nothing fresh, one asks
// the store and the others wait for its answer.
type EndpointCache struct {
	store Endpoints
	// wall is the machine's clock: a replay's clock may stand still.
	wall clock.Clock

	mu    sync.Mutex
	slots map[string]*endpointSlot
}

type endpointSlot struct {
	mu       sync.Mutex
	endpoint Endpoint
	unknown  error // the NotFound error, when there is no such endpoint
	read     time.Time
}

// NewEndpointCache puts a cache before a store.
func NewEndpointCache(store Endpoints, wall clock.Clock) *EndpointCache {
	return &EndpointCache{store: store, wall: wall, slots: map[string]*endpointSlot{}}
}

// WebhookEndpoint is the store's answer, at most five seconds old.
func (c *EndpointCache) WebhookEndpoint(ctx context.Context, id string) (Endpoint, error) {
	s := c.slot(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	age := c.wall.Now().Sub(s.read)
	if fresh := age >= 0 && (age < unknownTTL || (s.unknown == nil && age < endpointTTL)); !fresh {
		if err := c.refresh(ctx, id, s); err != nil {
			return Endpoint{}, err
		}
	}
	return s.endpoint, s.unknown
}

// Recheck looks past the cache for an endpoint whose last reading is old enough to
// have missed something; ok is false when it is not.
func (c *EndpointCache) Recheck(ctx context.Context, id string) (e Endpoint, ok bool, err error) {
	s := c.slot(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := c.wall.Now().Sub(s.read); age >= 0 && age < recheckAfter {
		return Endpoint{}, false, nil
	}
	if err := c.refresh(ctx, id, s); err != nil {
		return Endpoint{}, false, err
	}
	return s.endpoint, s.unknown == nil, nil
}

// refresh reads the store. A store that does not answer leaves the slot as it was.
func (c *EndpointCache) refresh(ctx context.Context, id string, s *endpointSlot) error {
	at := c.wall.Now()
	e, err := c.store.WebhookEndpoint(ctx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	s.endpoint, s.unknown, s.read = e, err, at
	return nil
}

func (c *EndpointCache) slot(id string) *endpointSlot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slots[id]
	if s == nil {
		if len(c.slots) >= maxCached {
			clear(c.slots)
		}
		s = &endpointSlot{}
		c.slots[id] = s
	}
	return s
}
