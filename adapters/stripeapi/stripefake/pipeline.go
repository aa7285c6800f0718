package stripefake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// call is one request on its way through the server.
type call struct {
	s      *Server
	r      *realm
	args   args
	ids    []string // path parameters
	path   string
	idem   string
	reqID  string
	expand []string
}

// id returns the first path parameter.
func (c *call) id() string { return c.ids[0] }

// action is the execution of a request, under the realm's lock. What it
// returns is rendered before the lock is released.
type action func() (any, error)

// handler reads and validates the parameters and returns the execution.
type handler func(c *call) action

// response is a finished answer, as the idempotency layer keeps it.
type response struct {
	status int
	body   []byte
	header map[string]string
}

const maxBody = 1 << 20

func (s *Server) serveAPI(w http.ResponseWriter, req *http.Request) {
	entry := &Request{
		ID:     fmt.Sprintf("req_%014d", s.requests.Add(1)),
		Time:   s.Clock.Now(),
		Method: req.Method, Path: normalPath(req.URL.Path),
		IdempotencyKey: strings.TrimSpace(req.Header.Get("Idempotency-Key")),
		APIVersion:     req.Header.Get("Stripe-Version"),
	}
	raw := req.URL.RawQuery
	if req.Body != nil {
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
		if err != nil {
			s.answer(w, entry, errorResponse(invalid("", "", "Request body too large or unreadable."), entry.ID), nil)
			return
		}
		if len(body) > 0 {
			raw = strings.TrimPrefix(raw+"&"+string(body), "&")
		}
	}
	entry.Params = raw
	key, aerr := s.authenticate(req)
	if aerr != nil {
		s.answer(w, entry, errorResponse(aerr, entry.ID), nil)
		return
	}
	entry.Account, entry.Mode, entry.KeyKind, entry.KeyID = key.acct.spec.ID, modeName(key.live), key.kind(), key.id
	fault := s.faults.pick(entry)
	if fault != nil {
		entry.Fault = string(fault.Kind)
		if s.faultBefore(w, entry, fault) {
			return
		}
	}
	s.answer(w, entry, s.process(entry, key, fault), fault)
}

func modeName(live bool) string {
	if live {
		return Live
	}
	return Test
}

// normalPath treats "/v1/invoices/" like Stripe does: as the list.
func normalPath(p string) string {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	return p
}

// process takes an authenticated request to its answer.
func (s *Server) process(entry *Request, key *apiKey, fault *FaultRule) *response {
	rt, ids := findRoute(entry.Method, entry.Path)
	if rt == nil {
		e := invalid("", "", "Unrecognized request URL (%s: %s). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.", entry.Method, entry.Path)
		e.status = http.StatusNotFound
		return errorResponse(e, entry.ID)
	}
	if e := key.allow(rt.resource, entry.Method != http.MethodGet); e != nil {
		return errorResponse(e, entry.ID)
	}
	if len(entry.IdempotencyKey) > 255 {
		return errorResponse(invalid("", "", "Idempotency keys may be at most 255 characters long."), entry.ID)
	}
	tree, e := parseForm(entry.Params)
	if e != nil {
		return errorResponse(e, entry.ID)
	}
	c := &call{
		s: s, r: key.acct.realms[key.live], args: newArgs(tree), ids: ids, path: entry.Path, reqID: entry.ID,
	}
	if entry.Method != http.MethodPost || entry.IdempotencyKey == "" {
		resp, _ := c.execute(rt.handle, fault)
		return resp
	}
	c.idem = entry.IdempotencyKey
	return c.idempotent(tree, rt.handle, fault)
}

// execute validates and runs; executed is false when validation refused.
func (c *call) execute(h handler, fault *FaultRule) (resp *response, executed bool) {
	c.expand = c.args.strings("expand")
	run := h(c)
	if e := c.args.finish(); e != nil {
		return errorResponse(e, c.reqID), false
	}
	r := c.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enter()
	if fault != nil {
		switch fault.Kind {
		case Fault500Before:
			return errorResponse(serverError(), c.reqID), true
		case Fault500Late:
			r.postpone(c, run, fault)
			return errorResponse(serverError(), c.reqID), true
		default: // it struck before, or strikes afterwards
		}
	}
	resp = c.run(run)
	if fault != nil && fault.Kind == Fault500After {
		return errorResponse(serverError(), c.reqID), true
	}
	return resp, true
}

// run executes an action under the lock and renders its result.
func (c *call) run(run action) *response {
	c.r.current = c
	defer func() { c.r.current = nil }()
	out, err := run()
	if err != nil {
		var e *apiError
		if !errors.As(err, &e) {
			e = serverError()
			e.message = err.Error()
		}
		return errorResponse(e, c.reqID)
	}
	body := render(out)
	if len(c.expand) > 0 {
		expanded, e := c.r.expandAll(body, c.expand)
		if e != nil {
			return errorResponse(e, c.reqID)
		}
		body = expanded
	}
	return &response{status: http.StatusOK, body: body}
}

// enter brings the realm up to the present before a request is executed.
func (r *realm) enter() {
	r.runDue(r.s.Clock.Now().Unix())
	for len(r.late) > 0 {
		run := r.late[0]
		r.late = r.late[1:]
		_, _ = run() // rolled forward behind the client's back: nobody is there to hear of an error
	}
}

// postpone keeps an effect for later: after the fault's delay on the clock, or
// just before the next request.
func (r *realm) postpone(c *call, run action, f *FaultRule) {
	late := func() (any, error) {
		r.current = c
		defer func() { r.current = nil }()
		return run()
	}
	if f.Delay > 0 {
		r.at(r.now+int64(f.Delay/time.Second), func() { _, _ = late() })
		return
	}
	r.late = append(r.late, late)
}

func errorResponse(e *apiError, reqID string) *response {
	body, err := json.Marshal(e.body(reqID))
	if err != nil {
		panic("stripefake: " + err.Error())
	}
	resp := &response{status: e.status, body: body, header: map[string]string{}}
	if e.reason != "" {
		resp.header["Stripe-Rate-Limited-Reason"] = e.reason
	}
	if e.noRequestID {
		resp.header["Request-Id"] = ""
	}
	return resp
}

// answer writes the response, logs the request and applies what a fault does
// to an answer on the wire.
func (s *Server) answer(w http.ResponseWriter, entry *Request, resp *response, fault *FaultRule) {
	entry.Status = resp.status
	if resp.header["Idempotent-Replayed"] != "" {
		entry.Replayed = true
	}
	s.log.add(*entry)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Request-Id", entry.ID)
	h.Set("Stripe-Version", APIVersion)
	if entry.IdempotencyKey != "" {
		h.Set("Idempotency-Key", entry.IdempotencyKey)
	}
	for k, v := range resp.header {
		if v == "" {
			h.Del(k)
			continue
		}
		h.Set(k, v)
	}
	if fault != nil && fault.Kind == FaultDropAfter {
		hangUp(w)
		return
	}
	if fault != nil && fault.Kind == FaultTruncate && resp.status < 300 {
		truncate(w, resp)
		return
	}
	w.WriteHeader(resp.status)
	_, _ = w.Write(resp.body) // the client may have gone away
}
