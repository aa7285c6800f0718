package stripefake

// accountObject is what GET /v1/account answers.
type accountObject struct {
	head
	BusinessProfile  map[string]any    `json:"business_profile"`
	BusinessType     any               `json:"business_type"`
	Capabilities     map[string]string `json:"capabilities"`
	ChargesEnabled   bool              `json:"charges_enabled"`
	Country          string            `json:"country"`
	Created          int64             `json:"created"`
	DefaultCurrency  string            `json:"default_currency"`
	DetailsSubmitted bool              `json:"details_submitted"`
	Email            *string           `json:"email"`
	Metadata         meta              `json:"metadata"`
	PayoutsEnabled   bool              `json:"payouts_enabled"`
	Settings         map[string]any    `json:"settings"`
	Type             string            `json:"type"`
}

func getAccount(c *call) action {
	return func() (any, error) {
		a := c.r.acct
		if len(c.ids) > 0 && c.id() != a.spec.ID {
			e := missing("account", c.id())
			e.status, e.code = 403, "account_invalid"
			return nil, e
		}
		name := orNil(&a.spec.Name)
		return accountObject{
			head: head{ID: a.spec.ID, Object: "account"}, BusinessProfile: map[string]any{"name": name},
			Capabilities:   map[string]string{"card_payments": "active", "transfers": "active"},
			ChargesEnabled: true, Country: a.spec.Country, Created: a.created, DefaultCurrency: a.spec.Currency, DetailsSubmitted: true,
			Email: orNil(&a.spec.Email), Metadata: meta{}, PayoutsEnabled: true, Type: "standard",
		}, nil
	}
}
