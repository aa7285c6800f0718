package stripeapi

import (
	"encoding/json"

	"github.com/liftbill/liftbill/domain/account"
)

// modeless are the objects on which Stripe states no livemode.
var modeless = map[string]bool{"account": true, "refund": true}

// checkLivemode is the third layer of test-mode safety: every object that comes
// back must belong to the environment of its connection. A strict check also
// refuses an object that does not say.
func checkLivemode(raw json.RawMessage, env account.Environment, strict bool) error {
	if env == "" {
		return nil
	}
	var o struct {
		Object   string          `json:"object"`
		Livemode *bool           `json:"livemode"`
		Deleted  bool            `json:"deleted"`
		Data     json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return badAnswer("an object")
	}
	if o.Object == "list" {
		var items []json.RawMessage
		if err := json.Unmarshal(o.Data, &items); err != nil {
			return badAnswer("a list")
		}
		for _, item := range items {
			if err := checkLivemode(item, env, strict); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case o.Livemode != nil && *o.Livemode != env.Livemode():
		return modeViolation("Stripe answered with an object of the other mode than %s", env)
	case o.Livemode == nil && strict && !o.Deleted && !modeless[o.Object]:
		return modeViolation("Stripe answered with an object that does not say its mode")
	}
	return nil
}
