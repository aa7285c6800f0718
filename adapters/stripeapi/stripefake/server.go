package stripefake

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// APIVersion is the version of Stripe's API that the server speaks.
const APIVersion = "2023-10-16"

var errBackwards = errors.New("stripefake: the clock only moves forward")

// Server is a stateful stand-in for Stripe's API. It is an http.Handler.
type Server struct {
	// URL is the base address; set by Start, or by the owner of the listener.
	URL string
	// Client reaches it over connections that are nobody else's; set by Start.
	Client *http.Client
	// Clock is the time of every object, event and signature.
	Clock *Clock

	opts      Options
	deliverer *deliverer
	faults    *faultBook
	log       *requestLog
	control   http.Handler
	stop      chan struct{}
	stopped   sync.WaitGroup
	closeOnce sync.Once
	requests  atomic.Uint64

	mu       sync.RWMutex
	rng      *rand.Rand
	accounts map[string]*account
	order    []*account
	keys     map[string]*apiKey
}

type account struct {
	spec    AccountSpec
	created int64
	realms  map[bool]*realm
}

// New makes a server. Close stops its background work.
func New(o Options) *Server {
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if o.Clock == nil {
		o.Clock = NewClock(o.Start)
	}
	s := &Server{
		Clock: o.Clock, opts: o, rng: rand.New(rand.NewPCG(o.Seed, 1)),
		accounts: map[string]*account{}, keys: map[string]*apiKey{}, stop: make(chan struct{}),
		log: newRequestLog(o.RequestLogLimit),
	}
	s.faults = newFaultBook(o.Seed, o.SeededFaults)
	s.deliverer = newDeliverer(s, o)
	s.control = s.controlRoutes()
	for _, a := range o.Accounts {
		if _, err := s.AddAccount(a); err != nil {
			panic(err.Error()) // a wrong literal in a test or a program: nothing could go on
		}
	}
	s.stopped.Add(1)
	go s.background()
	return s
}

// Close stops deliveries and background work. It does not wait for receivers.
func (s *Server) Close() {
	s.closeOnce.Do(func() { close(s.stop) })
	s.deliverer.close()
	s.stopped.Wait()
}

// background lets time-driven steps happen when the clock runs by itself or is
// moved by another process, even if no request comes.
func (s *Server) background() {
	defer s.stopped.Done()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			now := s.Clock.Now().Unix()
			for _, r := range s.realms() {
				r.mu.Lock()
				r.runDue(now)
				r.mu.Unlock()
			}
			s.deliverer.wake()
		}
	}
}

func (s *Server) realms() []*realm {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*realm, 0, 2*len(s.order))
	for _, a := range s.order {
		out = append(out, a.realms[true], a.realms[false])
	}
	return out
}

func (s *Server) realm(acct, mode string) (*realm, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := s.accounts[acct]
	if a == nil {
		return nil, fmt.Errorf("stripefake: no account %q", acct)
	}
	if mode != Live && mode != Test {
		return nil, fmt.Errorf("stripefake: mode %q is neither live nor test", mode)
	}
	return a.realms[mode == Live], nil
}

// AddAccount creates a Stripe account and its keys.
func (s *Server) AddAccount(spec AccountSpec) (*Account, error) {
	s.mu.Lock()
	if spec.ID == "" {
		spec.ID = "acct_1" + randomString(s.rng, 15)
	}
	if s.accounts[spec.ID] != nil {
		s.mu.Unlock()
		return nil, fmt.Errorf("stripefake: account %s exists", spec.ID)
	}
	if spec.Country == "" {
		spec.Country = "US"
	}
	if spec.Currency == "" {
		spec.Currency = "usd"
	}
	if spec.DunningEnd == "" {
		spec.DunningEnd = "cancel"
	}
	a := &account{spec: spec, created: s.Clock.Now().Unix()}
	a.realms = map[bool]*realm{true: newRealm(s, a, true, s.rng.Uint64()), false: newRealm(s, a, false, s.rng.Uint64())}
	s.accounts[spec.ID] = a
	s.order = append(s.order, a)
	s.mu.Unlock()

	out := &Account{ID: spec.ID, Keys: []Key{}}
	for _, k := range spec.Keys {
		k.Account = spec.ID
		key, err := s.AddKey(k)
		if err != nil {
			return nil, err
		}
		out.Keys = append(out.Keys, *key)
	}
	return out, nil
}

// MustAccount is AddAccount for tests and programs with fixed literals.
func (s *Server) MustAccount(spec AccountSpec) *Account {
	a, err := s.AddAccount(spec)
	if err != nil {
		panic(err.Error())
	}
	return a
}

// ServeHTTP answers Stripe's API under /v1 and the control API under /_fake.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if strings.HasPrefix(req.URL.Path, "/_fake/") {
		s.control.ServeHTTP(w, req)
		return
	}
	s.serveAPI(w, req)
}
