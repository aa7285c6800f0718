package apiclient

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/httpclient"
)

// Options say which API, and as whom.
type Options struct {
	// BaseURL is the address of the API, https beyond this machine.
	BaseURL string
	// Token is an API token (lb_live_… or lb_test_…); it is sent with every request.
	Token string
	// HTTP is the client that sends; nil is one that gives a long upload an hour.
	HTTP *http.Client
}

// New is a client of one API. An address that would carry the token in clear text beyond
// this machine is refused.
func New(o Options) (*ClientWithResponses, error) {
	u, err := url.Parse(o.BaseURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fault.InvalidField("api", "address_malformed", "%q is not the address of an API", o.BaseURL).Fix("Write it as https://billing.example.com")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fault.InvalidField("api", "address_not_secure", "%s would carry the token in clear text", o.BaseURL).Fix("Use https; http is for this machine only")
	}
	if o.Token == "" {
		return nil, fault.New(fault.Unauthenticated, "token_missing", "no token was given").Fix("Set LIFTBILL_TOKEN; liftbill token create makes one")
	}
	if o.HTTP == nil {
		o.HTTP = httpclient.New(time.Hour)
	}
	return NewClientWithResponses(strings.TrimRight(o.BaseURL, "/"), WithHTTPClient(o.HTTP), WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+o.Token)
		r.Header.Set("User-Agent", "liftbill")
		return nil
	}))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// kinds of the API's statuses.
var kinds = map[int]fault.Kind{
	http.StatusBadRequest: fault.Invalid, http.StatusUnprocessableEntity: fault.Invalid, http.StatusUnauthorized: fault.Unauthenticated,
	http.StatusForbidden: fault.Forbidden, http.StatusNotFound: fault.NotFound, http.StatusConflict: fault.Conflict, http.StatusTooManyRequests: fault.RateLimited,
}

// Refused is the problem that an answer of another status than 2xx carries, as an error
// with the API's code, field and remedy.
func Refused(status int, body []byte) error {
	if status >= 200 && status < 300 {
		return nil
	}
	kind, ok := kinds[status]
	if !ok {
		kind = fault.Unavailable
	}
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Code == "" {
		return fault.New(kind, "api_answer", "the API answered %d without a problem", status).Fix("Check the address: is it liftbill's API?")
	}
	e := fault.New(kind, p.Code, "%s", p.Detail)
	if p.Field != "" {
		e = e.On(p.Field)
	}
	if p.Remedy != "" {
		e = e.Fix("%s", p.Remedy)
	}
	return e
}
