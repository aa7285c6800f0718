package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/liftbill/liftbill/adapters/localstack"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/httpclient"
)

// answerWithin bounds how long a child may take to answer.
const answerWithin = 30 * time.Second

// answer waits until a child answers, or has ended.
func (s *stack) answer(ctx context.Context, child *localstack.Process, url string) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		if res, err := demoHTTP.Do(req); err == nil {
			ok := res.StatusCode == http.StatusOK
			if err := res.Body.Close(); err == nil && ok {
				return nil
			}
		}
		select {
		case <-child.Done():
			s.failing = child
			return fault.New(fault.Unavailable, "child_ended", "a part of the demo ended while it started")
		case <-ctx.Done():
			s.failing = child
			return fault.New(fault.Unavailable, "child_silent", "%s does not answer", url)
		case <-tick.C:
		}
	}
}

// demoHTTP bounds every request of the demo; an upload of a month takes seconds.
var demoHTTP = httpclient.New(2 * time.Minute)

// call sends a request to the stand-in's control address and decodes the answer.
func call(ctx context.Context, method, url string, in, out any) error {
	return callAs(ctx, "", method, url, in, out)
}

// callAs sends a request to the API with a token and decodes the answer.
func callAs(ctx context.Context, token, method, url string, in, out any) error {
	var body io.Reader = http.NoBody
	kind := "application/json"
	switch v := in.(type) {
	case nil:
	case io.Reader:
		body, kind = v, "application/x-ndjson"
	default:
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := demoHTTP.Do(req)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "request_failed", "%s %s", method, url)
	}
	defer res.Body.Close() //nolint:errcheck // it was read to its end
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fault.New(fault.Internal, "request_refused", "%s %s answers %d: %s", method, url, res.StatusCode, strings.TrimSpace(string(raw)))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}
