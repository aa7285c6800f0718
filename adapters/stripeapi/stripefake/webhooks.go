package stripefake

import (
	"net/url"
	"slices"
)

// endpoint is a webhook endpoint. The secret is rendered only on creation.
type endpoint struct {
	head
	APIVersion    *string  `json:"api_version"`
	Application   any      `json:"application"`
	Created       int64    `json:"created"`
	Description   *string  `json:"description"`
	EnabledEvents []string `json:"enabled_events"`
	Livemode      bool     `json:"livemode"`
	Metadata      meta     `json:"metadata"`
	Status        string   `json:"status"`
	URL           string   `json:"url"`

	secrets []signingSecret
}

// signingSecret signs until its end (0: no end); two are valid during a roll.
type signingSecret struct {
	value string
	until int64
}

// maxEndpoints is Stripe's limit per account and mode.
const maxEndpoints = 16

type createdEndpoint struct {
	*endpoint
	Secret string `json:"secret"`
}

// deleted is the tombstone that Stripe answers with.
type deleted struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

func (a args) webhookURL() *string {
	v := a.str("url", 2048)
	if v == nil {
		return nil
	}
	u, err := url.Parse(*v)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		a.fail(invalid("url_invalid", "url", "Invalid URL: An explicit scheme (such as https) must be provided."))
	}
	return v
}

func (a args) eventTypes() []string {
	types := a.strings("enabled_events")
	for _, t := range types {
		if t != "*" && !slices.Contains(eventTypes, t) {
			a.fail(invalid("", "enabled_events", "Invalid enabled_events: %s is not a known event type", t))
		}
	}
	return types
}

func createEndpoint(c *call) action {
	target, types := c.args.webhookURL(), c.args.eventTypes()
	version := c.args.str("api_version", anyLength)
	desc, md := c.args.str("description", 5000), c.args.metadata()
	c.args.ignore("connect")
	if target == nil {
		c.args.fail(invalid("parameter_missing", "url", "Missing required param: url."))
	}
	if len(types) == 0 {
		c.args.fail(invalid("parameter_missing", "enabled_events", "Missing required param: enabled_events."))
	}
	if version != nil && *version != APIVersion {
		c.args.fail(invalid("", "api_version", "Invalid API version: %s; this server speaks %s", *version, APIVersion))
	}
	return func() (any, error) {
		r := c.r
		n := 0
		for _, e := range r.endpoints.all {
			if !e.gone {
				n++
			}
		}
		if n >= maxEndpoints {
			return nil, invalid("", "", "You have reached the maximum of %d %s webhook endpoints.", maxEndpoints, r.mode())
		}
		m, err := md.fresh()
		if err != nil {
			return nil, err
		}
		e := &endpoint{
			head: head{ID: r.id("we"), Object: "webhook_endpoint"}, APIVersion: version, Created: r.now, Description: desc,
			EnabledEvents: types, Livemode: r.live, Metadata: m, Status: "enabled", URL: *target,
			secrets: []signingSecret{{value: "whsec_" + randomString(r.rng, 32)}},
		}
		r.endpoints.add(e, r.now)
		return createdEndpoint{e, e.secrets[0].value}, nil
	}
}

func (r *realm) endpoint(id string) (*endpoint, error) {
	e, ok := r.endpoints.get(id)
	if !ok {
		return nil, missing("webhook endpoint", id)
	}
	return e, nil
}

func getEndpoint(c *call) action {
	return func() (any, error) { return c.r.endpoint(c.id()) }
}

func listEndpoints(c *call) action {
	p := c.args.paging()
	return func() (any, error) {
		return page(c.r.endpoints, c.r.endpoints.all, p, "/v1/webhook_endpoints", "webhook endpoint", nil)
	}
}

func updateEndpoint(c *call) action {
	target, types := c.args.webhookURL(), c.args.eventTypes()
	desc, md := c.args.str("description", 5000), c.args.metadata()
	disabled := c.args.boolean("disabled")
	return func() (any, error) {
		e, err := c.r.endpoint(c.id())
		if err != nil {
			return nil, err
		}
		m, aerr := md.apply(e.Metadata)
		if aerr != nil {
			return nil, aerr
		}
		e.Metadata = m
		if target != nil {
			e.URL = *target
		}
		if len(types) > 0 {
			e.EnabledEvents = types
		}
		if desc != nil {
			e.Description = desc
		}
		if disabled != nil {
			e.Status = map[bool]string{true: "disabled", false: "enabled"}[*disabled]
		}
		return e, nil
	}
}

func deleteEndpoint(c *call) action {
	return func() (any, error) {
		e, err := c.r.endpoint(c.id())
		if err != nil {
			return nil, err
		}
		c.r.endpoints.remove(e)
		c.s.deliverer.forget(e)
		return deleted{e.ID, e.Object, true}, nil
	}
}

// wants says whether the endpoint listens to a type.
func (e *endpoint) wants(typ string) bool {
	return e.Status == "enabled" && !e.gone && matchesType(e.EnabledEvents, typ)
}

// validSecrets are the secrets that sign at a time, newest first.
func (e *endpoint) validSecrets(now int64) []string {
	var out []string
	for _, s := range e.secrets {
		if s.until == 0 || now < s.until {
			out = append(out, s.value)
		}
	}
	return out
}
