package access

import (
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/liftbill/liftbill/domain/fault"
)

// UserAccount is a person who signs in.
type UserAccount struct {
	ID    string
	Email string // lower case
	Name  string
	Roles Roles
	Scope Scope
	// HasPassword is false for those who sign in by a link or a provider only.
	HasPassword bool
	// Issuer and Subject are who the person is at the OpenID provider.
	Issuer, Subject string
	CreatedAt       time.Time
	DisabledAt      time.Time // zero: not disabled
}

// NewUser validates a user. A person cannot be an ingest role: uploads are the task
// of programs.
func NewUser(id, email, name string, roles Roles, scope Scope, now time.Time) (UserAccount, error) {
	email, err := CleanEmail(email)
	if err != nil {
		return UserAccount{}, err
	}
	if name, err = CleanName(name); err != nil {
		return UserAccount{}, err
	}
	u := UserAccount{ID: id, Email: email, Name: name, Roles: roles, Scope: scope, CreatedAt: now}
	return u, u.Check()
}

// Check refuses roles and scopes that a user cannot have.
func (u UserAccount) Check() error {
	switch {
	case len(u.Roles) == 0:
		return fault.InvalidField("roles", "role_missing", "at least one role is required")
	case u.Roles.Has(Ingest):
		return fault.InvalidField("roles", "role_not_for_people", "the role ingest is for tokens").Fix("Make a token with it instead")
	case u.Roles.Has(Admin) && !u.Scope.Whole():
		return fault.InvalidField("roles", "admin_scope", "an administrator's scope is the whole installation").Fix("Leave the scope open, or take another role")
	case len(u.Scope.Environments) == 0:
		return fault.InvalidField("environments", "environment_missing", "at least one environment is required")
	}
	return nil
}

// Principal is who acts when the user is signed in.
func (u UserAccount) Principal() Principal {
	return Principal{Kind: User, ID: u.ID, Name: u.Name, Person: u.ID, Roles: u.Roles, Scope: u.Scope}
}

// Enabled reports whether the user may sign in.
func (u UserAccount) Enabled() bool { return u.DisabledAt.IsZero() }

// emailRE is what an address looks like; whether it exists, only a letter can tell.
var emailRE = regexp.MustCompile(`^[a-z0-9.!#$%&'*+/=?^_{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+$`)

// CleanEmail is an address in the one form that is stored.
func CleanEmail(text string) (string, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if len(text) > 254 || !emailRE.MatchString(text) {
		return "", fault.InvalidField("email", "email_malformed", "this is not an e-mail address").Fix("Write it as name@example.com")
	}
	return text, nil
}

// CleanName trims a person's or a token's name and refuses none.
func CleanName(text string) (string, error) {
	text = strings.TrimSpace(cleaned(text))
	if text == "" || len(text) > 100 {
		return "", fault.InvalidField("name", "name_length", "a name of 1 to 100 characters is required")
	}
	return text, nil
}

// cleaned drops what no terminal and no log should get to see.
func cleaned(text string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}
