package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"io"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/idempotency"
)

// Idempotency keeps the answers to keys; *idempotency.Service is it.
type Idempotency interface {
	Begin(ctx context.Context, u idempotency.Use, attempt string) (*idempotency.Attempt, error)
	Replay(a *idempotency.Attempt, bodySHA256 []byte) (idempotency.Answer, error)
	Finish(ctx context.Context, a *idempotency.Attempt, bodySHA256 []byte, answer idempotency.Answer) error
	Abandon(ctx context.Context, a *idempotency.Attempt) error
}

// The headers of keyed requests.
const (
	keyHeader    = "Idempotency-Key"
	replayHeader = "Idempotency-Replayed"
)

// idempotent carries a request with a key out once. The body is hashed as it streams
// by, so that an upload of any length may have a key.
func (s *Server) idempotent(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.Header.Get(keyHeader) == "" {
			return next(c)
		}
		ctx := r.Context()
		use := idempotency.Use{Principal: access.From(ctx).ID, Key: r.Header.Get(keyHeader), Route: r.Method + " " + r.URL.RequestURI()}
		attempt, err := s.Idempotency.Begin(ctx, use, rand.Text())
		if err != nil {
			return err
		}
		body := &hashedBody{ReadCloser: r.Body, sum: sha256.New()}
		r.Body = body
		if attempt.Replayed() {
			return s.replay(c, attempt, body)
		}
		copied := &copiedResponse{ResponseWriter: c.Response().Writer}
		c.Response().Writer = copied
		kept := false
		defer func() {
			if kept {
				return
			}
			if err := s.Idempotency.Abandon(context.WithoutCancel(ctx), attempt); err != nil {
				s.keyFailed(c, err)
			}
		}()
		if err := next(c); err != nil || c.Response().Status >= http.StatusBadRequest {
			return err
		}
		kept = true // what happened, happened: the key stays taken also when its answer cannot be stored
		sum, err := body.rest()
		if err == nil {
			err = s.Idempotency.Finish(context.WithoutCancel(ctx), attempt, sum, idempotency.Answer{
				Status: c.Response().Status, Header: map[string]string{echo.HeaderContentType: c.Response().Header().Get(echo.HeaderContentType)}, Body: copied.body.Bytes(),
			})
		}
		if err != nil {
			s.keyFailed(c, err)
		}
		return nil
	}
}

func (s *Server) keyFailed(c echo.Context, err error) {
	s.log.LogAttrs(c.Request().Context(), slog.LevelError, "an idempotency key could not be stored",
		slog.String("request_id", c.Response().Header().Get(echo.HeaderXRequestID)), slog.Any("error", err))
}

func (s *Server) replay(c echo.Context, attempt *idempotency.Attempt, body *hashedBody) error {
	sum, err := body.rest()
	if err != nil {
		return err
	}
	answer, err := s.Idempotency.Replay(attempt, sum)
	if err != nil {
		return err
	}
	c.Response().Header().Set(replayHeader, "true")
	return c.Blob(answer.Status, answer.Header[echo.HeaderContentType], answer.Body)
}

// hashedBody hashes what is read of a body.
type hashedBody struct {
	io.ReadCloser
	sum hash.Hash
}

func (b *hashedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sum.Write(p[:n])
	return n, err
}

// rest reads what nobody has read and returns the hash of the whole body.
func (b *hashedBody) rest() ([]byte, error) {
	if _, err := io.Copy(io.Discard, b); err != nil {
		return nil, err
	}
	return b.sum.Sum(nil), nil
}

// copiedResponse keeps a copy of the answer; those of POST are small.
type copiedResponse struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (w *copiedResponse) Write(p []byte) (int, error) {
	w.body.Write(p)
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find the writer below.
func (w *copiedResponse) Unwrap() http.ResponseWriter { return w.ResponseWriter }
