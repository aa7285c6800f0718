package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// Client says where the business's Stripe account lives and how to reach it.
type Client struct {
	// StripeURL is the base address of the API.
	StripeURL string
	// SecretKey may write customers, products, prices, subscriptions, charges.
	SecretKey string
	// ControlURL is the base address of the stand-in's control API: clock, disputes,
	// webhook disturbances, state.
	ControlURL string
	// StripeAccount and Mode ("live" or "test") name the account in the control API.
	StripeAccount string
	Mode          string
	// HTTP is the client to use; nil means one that keeps connections alive.
	HTTP *http.Client
}

// client is a plain form client of Stripe's API: no SDK, so that the business is an
// outsider to the code under demonstration.
type client struct {
	Client
	http *http.Client
}

func newClient(c Client) *client {
	if c.HTTP == nil {
		c.HTTP = &http.Client{
			Timeout:   time.Minute,
			Transport: &http.Transport{MaxIdleConnsPerHost: 16, MaxIdleConns: 32, IdleConnTimeout: time.Minute},
		}
	}
	return &client{Client: c, http: c.HTTP}
}

// created is what the business needs of any object that it made.
type created struct {
	ID       string            `json:"id"`
	Metadata map[string]string `json:"metadata"`
	Items    struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	} `json:"items"`
}

// requestKey is the metadata key under which an object carries the name of the
// request that made it, to be found again when the answer got lost.
const requestKey = "request"

// apiVersion is the version of Stripe's API that the business speaks.
const apiVersion = "2023-10-16"

const maxAttempts = 8

// failure is an answer that is no success.
type failure struct {
	status int
	body   string
}

// Error implements error.
func (f *failure) Error() string {
	return fmt.Sprintf("stripe answered %d: %s", f.status, strings.TrimSpace(f.body))
}

func statusOf(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return f.status
	}
	return 0
}

// create makes an object once. After an answer 500 the outcome is unknown and the
// key is spent: then the list says whether the object exists.
func (c *client) create(ctx context.Context, key, path string, form url.Values, list string, out *created) error {
	form = cloneForm(form)
	form.Set("metadata["+requestKey+"]", key)
	for n := range maxAttempts {
		err := c.post(ctx, key+"#"+strconv.Itoa(n), path, form, out)
		if statusOf(err) != http.StatusInternalServerError {
			return err
		}
		found, ferr := c.find(ctx, list, key)
		if ferr != nil {
			return ferr
		}
		if found != nil {
			*out = *found
			return nil
		}
	}
	return fault.New(fault.Unavailable, "simulation_stripe", "%s answered 500 again and again", path)
}

// ensure makes an object unless it exists from an earlier run.
func (c *client) ensure(ctx context.Context, key, path string, form url.Values, list string, out *created) error {
	found, err := c.find(ctx, list, key)
	if err != nil {
		return err
	}
	if found != nil {
		*out = *found
		return nil
	}
	return c.create(ctx, key, path, form, list, out)
}

// change does something that may as well happen twice, so a 500 is simply repeated
// under another key.
func (c *client) change(ctx context.Context, key, path string, form url.Values, out any) error {
	var err error
	for n := range maxAttempts {
		if err = c.post(ctx, key+"#"+strconv.Itoa(n), path, form, out); statusOf(err) != http.StatusInternalServerError {
			return err
		}
	}
	return err
}

// find looks for the object that a request made.
func (c *client) find(ctx context.Context, list, key string) (*created, error) {
	var page struct {
		Data []created `json:"data"`
	}
	if err := c.get(ctx, list, &page); err != nil {
		return nil, err
	}
	for i := range page.Data {
		if page.Data[i].Metadata[requestKey] == key {
			return &page.Data[i], nil
		}
	}
	return nil, nil
}

func (c *client) createPayer(ctx context.Context, name, email string) (string, error) {
	var made created
	form := url.Values{"name": {name}, "email": {email}, "invoice_settings[default_payment_method]": {cardGood}, "payment_method": {cardGood}}
	err := c.ensure(ctx, "payer:"+email, "/v1/customers", form, "/v1/customers?limit=100&email="+url.QueryEscape(email), &made)
	return made.ID, err
}

func (c *client) get(ctx context.Context, path string, out any) error {
	var err error
	for range maxAttempts {
		if err = c.send(ctx, http.MethodGet, c.StripeURL+path, "", "", out); statusOf(err) != http.StatusInternalServerError {
			return err
		}
	}
	return err
}

func (c *client) post(ctx context.Context, key, path string, form url.Values, out any) error {
	return c.send(ctx, http.MethodPost, c.StripeURL+path, "sim:"+key, form.Encode(), out)
}

// remove deletes; that the object is gone already is as good.
func (c *client) remove(ctx context.Context, path string) error {
	var err error
	for range maxAttempts {
		err = c.send(ctx, http.MethodDelete, c.StripeURL+path, "", "", nil)
		if s := statusOf(err); s != http.StatusInternalServerError {
			if s == http.StatusNotFound {
				return nil
			}
			return err
		}
	}
	return err
}

// control speaks to the stand-in itself; with a body it posts.
func (c *client) control(ctx context.Context, path string, body, out any) error {
	if c.ControlURL == "" {
		return fault.New(fault.Invalid, "control_url_missing", "the stand-in's control address is needed for %s", path).Fix("Set Client.ControlURL")
	}
	if body == nil {
		return c.roundTrip(ctx, http.MethodGet, c.ControlURL+path, nil, http.Header{}, out)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.roundTrip(ctx, http.MethodPost, c.ControlURL+path, raw, http.Header{"Content-Type": {"application/json"}}, out)
}

// send repeats a request while the answer says or means "try again". The
// idempotency key makes that safe after a lost or truncated answer.
func (c *client) send(ctx context.Context, method, target, key, body string, out any) error {
	header := http.Header{"Authorization": {"Bearer " + c.SecretKey}, "Stripe-Version": {apiVersion}}
	if method == http.MethodPost {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		header.Set("Idempotency-Key", key)
	}
	var err error
	for n := range maxAttempts {
		if n > 0 {
			if werr := pause(ctx, time.Duration(n)*20*time.Millisecond); werr != nil {
				return werr
			}
		}
		err = c.roundTrip(ctx, method, target, []byte(body), header, out)
		switch statusOf(err) {
		case 0, http.StatusTooManyRequests, http.StatusConflict, http.StatusServiceUnavailable:
			if err == nil {
				return nil
			}
		default:
			return err
		}
	}
	return err
}

func (c *client) roundTrip(ctx context.Context, method, target string, body []byte, header http.Header, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = header.Clone()
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // the status says enough when the text is cut
		return &failure{resp.StatusCode, string(text)}
	}
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return err
}

// pause waits in wall time, which the simulated clock knows nothing of.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func cloneForm(form url.Values) url.Values {
	out := make(url.Values, len(form)+1)
	for k, v := range form {
		out[k] = v
	}
	return out
}
