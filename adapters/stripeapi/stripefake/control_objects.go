package stripefake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// place names a realm in control requests.
type place struct {
	Account string `json:"account"`
	Mode    string `json:"mode"`
}

// DisputeSpec describes a dispute to open.
type DisputeSpec struct {
	Account string `json:"account"`
	Mode    string `json:"mode"`
	Charge  string `json:"charge"`
	// Amount 0 means the whole charge.
	Amount int64 `json:"amount,omitempty"`
	// Reason is Stripe's reason; empty means fraudulent.
	Reason string `json:"reason,omitempty"`
	// Status is needs_response (default), warning_needs_response for an inquiry, or lost.
	Status string `json:"status,omitempty"`
}

// OpenDispute opens a dispute on a charge and returns its id.
func (s *Server) OpenDispute(spec DisputeSpec) (string, error) {
	r, err := s.realm(spec.Account, spec.Mode)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enter()
	ch, ok := r.charges.get(spec.Charge)
	if !ok || !ch.Paid {
		return "", fmt.Errorf("stripefake: no paid charge %q", spec.Charge)
	}
	if spec.Amount == 0 {
		spec.Amount = ch.Amount
	}
	if spec.Reason == "" {
		spec.Reason = "fraudulent"
	}
	switch spec.Status {
	case "":
		spec.Status = "needs_response"
	case "needs_response", "warning_needs_response", "lost":
	default:
		return "", fmt.Errorf("stripefake: a dispute cannot begin as %q", spec.Status)
	}
	return r.openDispute(ch, spec.Amount, spec.Reason, spec.Status).ID, nil
}

// CloseDispute ends a dispute as won or lost; a lost one may still be won.
func (s *Server) CloseDispute(acct, mode, id, outcome string) error {
	if outcome != "won" && outcome != "lost" {
		return fmt.Errorf("stripefake: dispute outcome %q is neither won nor lost", outcome)
	}
	r, err := s.realm(acct, mode)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enter()
	d, ok := r.disputes.get(id)
	if !ok {
		return fmt.Errorf("stripefake: no dispute %q", id)
	}
	return r.closeDispute(d, outcome)
}

// SettleRefund moves a refund to succeeded, failed or canceled.
func (s *Server) SettleRefund(acct, mode, id, status, reason string) error {
	r, err := s.realm(acct, mode)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enter()
	re, ok := r.refunds.get(id)
	if !ok {
		return fmt.Errorf("stripefake: no refund %q", id)
	}
	if status != "succeeded" && status != "failed" && status != "canceled" {
		return fmt.Errorf("stripefake: refund status %q is not succeeded, failed or canceled", status)
	}
	return r.setRefund(re, status, reason)
}

// RollSecret gives a webhook endpoint a new secret. The old one keeps signing
// beside it for the overlap, at most 24 hours, as in a real roll.
func (s *Server) RollSecret(acct, mode, endpointID string, overlap time.Duration) (string, error) {
	r, err := s.realm(acct, mode)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enter()
	e, ok := r.endpoints.get(endpointID)
	if !ok {
		return "", fmt.Errorf("stripefake: no webhook endpoint %q", endpointID)
	}
	until := r.now + min(int64(overlap/time.Second), day)
	fresh := signingSecret{value: "whsec_" + randomString(r.rng, 32)}
	old := e.secrets[0]
	old.until = until
	e.secrets = []signingSecret{fresh, old}
	return fresh.value, nil
}

// State returns the stored objects of one account and mode by kind ("customers",
// "invoices", "events" …), as the API would render them; all kinds when none is named.
func (s *Server) State(acct, mode string, kinds ...string) (map[string][]json.RawMessage, error) {
	r, err := s.realm(acct, mode)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string][]json.RawMessage{}
	for kind, list := range map[string]func() []json.RawMessage{
		"customers": dump(r.customers), "payment_methods": dump(r.methods), "products": dump(r.products), "prices": dump(r.prices),
		"coupons": dump(r.coupons), "subscriptions": dump(r.subs), "invoices": dump(r.invoices), "invoiceitems": dump(r.items),
		"credit_notes": dump(r.notes), "payment_intents": dump(r.intents), "charges": dump(r.charges), "refunds": dump(r.refunds),
		"disputes": dump(r.disputes), "events": dump(r.events), "webhook_endpoints": dump(r.endpoints),
		"checkout_sessions": dump(r.sessions), "setup_intents": dump(r.setups),
	} {
		if len(kinds) == 0 || slices.Contains(kinds, kind) {
			out[kind] = list()
		}
	}
	return out, nil
}

func dump[T record](c *collection[T]) func() []json.RawMessage {
	return func() []json.RawMessage {
		out := []json.RawMessage{}
		for _, o := range c.all {
			if !o.header().gone {
				out = append(out, render(o))
			}
		}
		return out
	}
}

func (s *Server) controlDispute(req *http.Request) (any, error) {
	in, err := decode[DisputeSpec](req)
	if err != nil {
		return nil, err
	}
	id, err := s.OpenDispute(in)
	return map[string]string{"id": id}, err
}

func (s *Server) controlCloseDispute(req *http.Request) (any, error) {
	in, err := decode[struct {
		place
		ID      string `json:"id"`
		Outcome string `json:"outcome"`
	}](req)
	if err != nil {
		return nil, err
	}
	return map[string]string{"id": in.ID}, s.CloseDispute(in.Account, in.Mode, in.ID, in.Outcome)
}

func (s *Server) controlRefund(req *http.Request) (any, error) {
	in, err := decode[struct {
		place
		ID     string `json:"id"`
		Status string `json:"status"`
		Reason string `json:"failure_reason"`
	}](req)
	if err != nil {
		return nil, err
	}
	return map[string]string{"id": in.ID}, s.SettleRefund(in.Account, in.Mode, in.ID, in.Status, in.Reason)
}

func (s *Server) controlRoll(req *http.Request) (any, error) {
	in, err := decode[struct {
		place
		ID      string `json:"id"`
		Overlap string `json:"overlap"`
	}](req)
	if err != nil {
		return nil, err
	}
	overlap := 24 * time.Hour
	if in.Overlap != "" {
		if overlap, err = time.ParseDuration(in.Overlap); err != nil {
			return nil, err
		}
	}
	secret, err := s.RollSecret(in.Account, in.Mode, in.ID, overlap)
	return map[string]string{"secret": secret}, err
}

func (s *Server) controlState(req *http.Request) (any, error) {
	q := req.URL.Query()
	all, err := s.State(q.Get("account"), q.Get("mode"))
	if err != nil {
		return nil, err
	}
	if kind := q.Get("kind"); kind != "" {
		if all[kind] == nil {
			return nil, fmt.Errorf("stripefake: no kind %q", kind)
		}
		return map[string]any{kind: all[kind]}, nil
	}
	return all, nil
}
