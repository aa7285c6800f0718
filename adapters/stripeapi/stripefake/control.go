package stripefake

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// controlRoutes is the control API, see the README for its requests.
func (s *Server) controlRoutes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			out, err := h(req)
			w.Header().Set("Content-Type", "application/json")
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				out = map[string]string{"error": err.Error()}
			}
			_, _ = w.Write(append(render(out), '\n')) // the client may have gone away
		})
	}
	handle("GET /_fake/health", func(*http.Request) (any, error) { return map[string]string{"status": "ok"}, nil })
	handle("POST /_fake/accounts", s.controlAddAccount)
	handle("GET /_fake/accounts", s.controlAccounts)
	handle("POST /_fake/keys", s.controlAddKey)
	handle("POST /_fake/keys/revoke", s.controlRevokeKey)
	handle("GET /_fake/clock", func(*http.Request) (any, error) { return s.clockView(), nil })
	handle("POST /_fake/clock", s.controlClock)
	handle("GET /_fake/faults", s.controlFaults)
	handle("POST /_fake/faults", s.controlAddFault)
	handle("POST /_fake/faults/seeded", s.controlSeededFaults)
	handle("DELETE /_fake/faults", func(*http.Request) (any, error) { s.ClearFaults(); return map[string]bool{"cleared": true}, nil })
	handle("GET /_fake/requests", s.controlRequests)
	handle("DELETE /_fake/requests", func(*http.Request) (any, error) { s.ResetRequests(); return map[string]bool{"cleared": true}, nil })
	handle("GET /_fake/webhooks", func(*http.Request) (any, error) { return s.Webhooks(), nil })
	handle("POST /_fake/webhooks/flush", s.controlFlush)
	handle("POST /_fake/webhooks/roll", s.controlRoll)
	handle("POST /_fake/disputes", s.controlDispute)
	handle("POST /_fake/disputes/close", s.controlCloseDispute)
	handle("POST /_fake/checkout/complete", s.controlCompleteCheckout)
	handle("POST /_fake/refunds", s.controlRefund)
	handle("GET /_fake/state", s.controlState)
	return mux
}

func decode[T any](req *http.Request) (T, error) {
	var v T
	dec := json.NewDecoder(req.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return v, errors.New("body: " + err.Error())
	}
	return v, nil
}

func (s *Server) controlAddAccount(req *http.Request) (any, error) {
	spec, err := decode[AccountSpec](req)
	if err != nil {
		return nil, err
	}
	return s.AddAccount(spec)
}

func (s *Server) controlAccounts(*http.Request) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []map[string]string{}
	for _, a := range s.order {
		out = append(out, map[string]string{"id": a.spec.ID, "name": a.spec.Name, "country": a.spec.Country, "currency": a.spec.Currency})
	}
	return map[string]any{"accounts": out}, nil
}

func (s *Server) controlAddKey(req *http.Request) (any, error) {
	spec, err := decode[KeySpec](req)
	if err != nil {
		return nil, err
	}
	return s.AddKey(spec)
}

func (s *Server) controlRevokeKey(req *http.Request) (any, error) {
	in, err := decode[struct {
		Secret string `json:"secret"`
	}](req)
	if err != nil {
		return nil, err
	}
	return map[string]bool{"revoked": true}, s.RevokeKey(in.Secret)
}

type clockView struct {
	Now     time.Time `json:"now"`
	Running bool      `json:"running"`
}

func (s *Server) clockView() clockView {
	return clockView{Now: s.Clock.Now(), Running: s.Clock.State().Running}
}

// controlClock moves the clock: {"at": …} or {"advance": "24h"}, and
// {"running": true|false} starts or stops it.
func (s *Server) controlClock(req *http.Request) (any, error) {
	in, err := decode[struct {
		At      *time.Time `json:"at"`
		Advance string     `json:"advance"`
		Running *bool      `json:"running"`
	}](req)
	if err != nil {
		return nil, err
	}
	if in.Running != nil {
		if err := s.Clock.Run(*in.Running); err != nil {
			return nil, err
		}
	}
	switch {
	case in.At != nil:
		err = s.SetTime(*in.At)
	case in.Advance != "":
		var d time.Duration
		if d, err = time.ParseDuration(in.Advance); err == nil {
			err = s.Advance(d)
		}
	}
	return s.clockView(), err
}

func (s *Server) controlFaults(*http.Request) (any, error) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	rules := []faultView{}
	for _, f := range s.faults.rules {
		rules = append(rules, faultView{FaultRule: *f, Delay: f.Delay.String(), Hits: f.hits})
	}
	return map[string]any{"rules": rules, "seeded": s.faults.seeded}, nil
}

// faultView is a rule with its delay as text ("30s") instead of nanoseconds.
type faultView struct {
	FaultRule
	Delay string `json:"delay,omitempty"`
	Hits  int    `json:"hits"`
}

func (s *Server) controlAddFault(req *http.Request) (any, error) {
	in, err := decode[faultView](req)
	if err != nil {
		return nil, err
	}
	if in.Delay != "" {
		if in.FaultRule.Delay, err = time.ParseDuration(in.Delay); err != nil {
			return nil, err
		}
	}
	return map[string]bool{"added": true}, s.AddFault(in.FaultRule)
}

func (s *Server) controlSeededFaults(req *http.Request) (any, error) {
	in, err := decode[SeededFaults](req)
	if err != nil {
		return nil, err
	}
	s.SetSeededFaults(&in)
	return map[string]bool{"set": true}, nil
}

func (s *Server) controlRequests(req *http.Request) (any, error) {
	q := req.URL.Query()
	f := RequestFilter{
		Account: q.Get("account"), Mode: q.Get("mode"), Method: q.Get("method"), Path: q.Get("path"), IdempotencyKey: q.Get("idempotency_key"),
	}
	for name, to := range map[string]*int{"status": &f.Status, "limit": &f.Limit} {
		if v := q.Get(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return nil, errors.New(name + ": not a number")
			}
			*to = n
		}
	}
	found := s.Requests(f)
	return map[string]any{"requests": found, "count": len(found)}, nil
}

// controlFlush waits until no delivery is due; ?timeout=30s bounds it.
func (s *Server) controlFlush(req *http.Request) (any, error) {
	ctx := req.Context()
	if v := req.URL.Query().Get("timeout"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			return nil, err
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	if err := s.DeliverWebhooks(ctx); err != nil {
		return nil, err
	}
	return s.Webhooks(), nil
}
