package account

import (
	"regexp"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// idRE keeps identifiers safe in URLs, workflow IDs and search attributes.
var idRE = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// CheckID refuses an identifier that would need escaping somewhere.
func CheckID(field, id string) error {
	if !idRE.MatchString(id) {
		return fault.InvalidField(field, "id_malformed", "%q is not a valid identifier", id).
			Fix("Use 1 to 63 characters: lower-case letters, digits, - and _, starting with a letter or digit")
	}
	return nil
}

// Account is the vendor's customer: whose revenue is measured and who is billed.
// SourceConnection is where revenue is read; IssuerConnection is where the
// invoice is written; PayerCustomer is the Stripe customer at the issuer.
type Account struct {
	ID               string
	Environment      Environment
	Name             string
	SourceConnection string
	IssuerConnection string
	PayerCustomer    string
}

// New validates an account.
func New(id string, env Environment, name string) (Account, error) {
	if err := CheckID("id", id); err != nil {
		return Account{}, err
	}
	if env != Live && env != Test {
		return Account{}, fault.InvalidField("environment", "environment_unknown", "%q is not an environment", string(env)).Fix(`Use "live" or "test"`)
	}
	name = strings.TrimSpace(name)
	if name == "" || len(name) > 200 {
		return Account{}, fault.InvalidField("name", "name_length", "a name of 1 to 200 characters is required")
	}
	return Account{ID: id, Environment: env, Name: name}, nil
}
