package campaign

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// wire carries requests to a handler of the same process, and lets something happen
// before a request of the program's own key.
type wire struct {
	handler http.Handler
	ourKey  string

	mu     sync.Mutex
	n      int
	before func(n int)
	// change, when set, alters a request of ours: the defect of a mutant.
	change func(req *http.Request)
}

// RoundTrip implements http.RoundTripper. A handler that hangs up is a lost connection.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if strings.HasSuffix(req.Header.Get("Authorization"), w.ourKey) {
		w.mu.Lock()
		n, before := w.n, w.before
		w.n++
		w.mu.Unlock()
		if before != nil {
			before(n)
		}
		if w.change != nil {
			w.change(req)
		}
	}
	rec := &answer{header: http.Header{}, status: http.StatusOK}
	if !serve(w.handler, rec, req) {
		return nil, errLost
	}
	return &http.Response{
		StatusCode: rec.status, Status: http.StatusText(rec.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: rec.header, Body: io.NopCloser(&rec.body), ContentLength: int64(rec.body.Len()), Request: req,
	}, nil
}

var errLost = errors.New("the connection was lost")

func serve(h http.Handler, w http.ResponseWriter, req *http.Request) (answered bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // it is compared as net/http does
			panic(p)
		}
	}()
	h.ServeHTTP(w, req)
	return true
}

type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
