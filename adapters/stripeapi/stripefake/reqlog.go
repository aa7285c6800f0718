package stripefake

import (
	"strings"
	"sync"
	"time"
)

// Request is one line of the request log.
type Request struct {
	ID             string    `json:"id"`
	Time           time.Time `json:"time"`
	Method         string    `json:"method"`
	Path           string    `json:"path"`
	Params         string    `json:"params"` // form-encoded query and body
	Account        string    `json:"account"`
	Mode           string    `json:"mode"`
	KeyKind        string    `json:"key_kind"`
	KeyID          string    `json:"key_id"`
	IdempotencyKey string    `json:"idempotency_key,omitempty"`
	APIVersion     string    `json:"api_version,omitempty"`
	Status         int       `json:"status"` // 0: the connection was dropped before execution
	Replayed       bool      `json:"replayed"`
	Fault          string    `json:"fault,omitempty"`
}

// RequestFilter selects from the request log; empty fields select all.
type RequestFilter struct {
	Account, Mode string
	// Method is one method, or "write" for everything but GET.
	Method string
	// Path is a prefix.
	Path string
	// Status is an exact status.
	Status int
	// IdempotencyKey is an exact key.
	IdempotencyKey string
	// Limit keeps the last n; 0 means all.
	Limit int
}

func (f RequestFilter) match(r *Request) bool {
	return (f.Account == "" || f.Account == r.Account) &&
		(f.Mode == "" || f.Mode == r.Mode) &&
		(f.Method == "" || strings.EqualFold(f.Method, r.Method) || (f.Method == "write" && r.Method != "GET")) &&
		strings.HasPrefix(r.Path, f.Path) &&
		(f.Status == 0 || f.Status == r.Status) &&
		(f.IdempotencyKey == "" || f.IdempotencyKey == r.IdempotencyKey)
}

// requestLog is a ring of the latest requests.
type requestLog struct {
	mu    sync.Mutex
	limit int
	ring  []Request
	next  int
}

func newRequestLog(limit int) *requestLog {
	if limit <= 0 {
		limit = 200_000
	}
	return &requestLog{limit: limit}
}

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) < l.limit {
		l.ring = append(l.ring, r)
		return
	}
	l.ring[l.next] = r
	l.next = (l.next + 1) % l.limit
}

// Requests returns the logged requests that match, in order of arrival.
func (s *Server) Requests(f RequestFilter) []Request {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Request{}
	for i := range l.ring {
		r := &l.ring[(l.next+i)%len(l.ring)]
		if f.match(r) {
			out = append(out, *r)
		}
	}
	if f.Limit > 0 && len(out) > f.Limit {
		out = out[len(out)-f.Limit:]
	}
	return out
}

// ResetRequests empties the request log.
func (s *Server) ResetRequests() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.ring, s.log.next = nil, 0
}
