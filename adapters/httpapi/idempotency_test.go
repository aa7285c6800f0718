package httpapi_test

import (
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

func keyed(r *http.Request, key string) *http.Request {
	r.Header.Set("Idempotency-Key", key)
	return r
}

// The same key with the same body is carried out once; with another body, or at
// another address, it is a conflict.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	calls := 0
	e := newServer(t, &fakes{connect: func(in onboard.ConnectionInput) (account.Connection, bool, error) {
		calls++
		return account.Connection{ID: in.ID, Environment: account.Live}, calls == 1, nil
	}})
	first, _ := serve(t, e, keyed(request(http.MethodPost, "/v1/connections", connection), "k-1"))
	require.Equal(t, http.StatusCreated, first.Code)
	again, _ := serve(t, e, keyed(request(http.MethodPost, "/v1/connections", connection), "k-1"))
	require.Equal(t, http.StatusCreated, again.Code, "the very answer, not a new one")
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, first.Header().Get("Content-Type"), again.Header().Get("Content-Type"))
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	require.Empty(t, first.Header().Get("Idempotency-Replayed"))
	require.Equal(t, 1, calls)

	for name, r := range map[string]*http.Request{
		"another body":    request(http.MethodPost, "/v1/connections", `{"id":"other","environment":"live","roles":["source"],"secret_key":"rk_live_verysecret"}`),
		"another address": request(http.MethodPost, "/v1/accounts", connection),
	} {
		w, body := serve(t, e, keyed(r, "k-1"))
		require.Equal(t, http.StatusConflict, w.Code, name)
		require.Equal(t, "idempotency_key_reused", body["code"], name)
	}
	r := keyed(request(http.MethodPost, "/v1/connections", connection), "k-1")
	r.Header.Set("Authorization", "Bearer "+viewerToken)
	w, _ := serve(t, e, r)
	require.Equal(t, http.StatusForbidden, w.Code, "a key opens nothing")
	w, body := serve(t, e, keyed(request(http.MethodPost, "/v1/connections", connection), "two words"))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, "Idempotency-Key", body["field"])
	require.Equal(t, 1, calls)
}

// What was refused, failed or panicked frees its key.
func TestIdempotencyKeyAfterAFailure(t *testing.T) {
	t.Parallel()
	outcome := errors.New("boom")
	e := newServer(t, &fakes{
		connect: func(in onboard.ConnectionInput) (account.Connection, bool, error) {
			if outcome == nil {
				return account.Connection{ID: in.ID}, true, nil
			}
			if fault.Is(outcome, fault.Internal) && fault.CodeOf(outcome) == "panic" {
				panic("boom")
			}
			return account.Connection{}, false, outcome
		},
		append: func(iter.Seq[decisions.Row]) (decisions.Result, error) { return decisions.Result{Rejected: 3}, nil },
	})
	for _, outcome = range []error{outcome, fault.New(fault.Internal, "panic", ""), fault.New(fault.Conflict, "connection_exists", "no"), nil} {
		w, _ := serve(t, e, keyed(request(http.MethodPost, "/v1/connections", connection), "k-2"))
		require.Equal(t, outcome == nil, w.Code == http.StatusCreated)
	}
	w, body := serve(t, e, keyed(upload("x\n"), "k-3"))
	require.Equal(t, 422, w.Code)
	require.Equal(t, "rows_rejected", body["code"])
	w, _ = serve(t, e, keyed(upload("x\ny\n"), "k-3"))
	require.Equal(t, 422, w.Code, "corrected rows may use the key")
}

// While a request is under way nobody else carries it out; an upload is hashed as it
// streams by, also the part that its reader leaves.
func TestIdempotencyKeyUnderWay(t *testing.T) {
	t.Parallel()
	inside, leave := make(chan struct{}), make(chan struct{})
	e := newServer(t, &fakes{append: func(rows iter.Seq[decisions.Row]) (decisions.Result, error) {
		for range rows {
			break // a reader that does not read to the end
		}
		inside <- struct{}{}
		<-leave
		return decisions.Result{Accepted: 1}, nil
	}})
	done := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, keyed(upload("x\ny\n"), "k-4"))
		done <- w.Code
	}()
	<-inside
	w, body := serve(t, e, keyed(upload("x\ny\n"), "k-4"))
	require.Equal(t, http.StatusConflict, w.Code)
	require.Equal(t, "idempotency_key_in_use", body["code"])
	leave <- struct{}{}
	require.Equal(t, http.StatusOK, <-done)
	w, _ = serve(t, e, keyed(upload("x\ny\n"), "k-4"))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
	w, _ = serve(t, e, keyed(upload("x\nz\n"), "k-4"))
	require.Equal(t, http.StatusConflict, w.Code)
}
