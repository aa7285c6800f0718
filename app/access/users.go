package access

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// UserInput is a person to be let in.
type UserInput struct {
	Email, Name  string
	Roles        []string
	Accounts     []string // empty: every account
	Environments []string
}

// CreateUser lets a person in. They sign in with a link first, or through the provider.
func (s *Service) CreateUser(ctx context.Context, by access.Principal, in UserInput) (access.UserAccount, error) {
	u, err := s.newUser(in)
	if err != nil {
		return access.UserAccount{}, err
	}
	if err := access.Require(by, access.ManageAccess, "", ""); err != nil {
		return access.UserAccount{}, err
	}
	return u, s.Work.Do(ctx, func(ctx context.Context, st Stores) error { return s.insertUser(ctx, st, by, u, "") })
}

func (s *Service) newUser(in UserInput) (access.UserAccount, error) {
	roles, err := access.ParseRoles(in.Roles)
	if err != nil {
		return access.UserAccount{}, err
	}
	scope, err := access.NewScope(in.Accounts, in.Environments)
	if err != nil {
		return access.UserAccount{}, err
	}
	return s.makeUser(in.Email, in.Name, roles, scope)
}

// makeUser gives a new user its ID.
func (s *Service) makeUser(email, name string, roles access.Roles, scope access.Scope) (access.UserAccount, error) {
	id, err := access.NewSecret(s.Entropy.Bytes(access.SecretBytes))
	if err != nil {
		return access.UserAccount{}, err
	}
	const chars = 16
	return access.NewUser("user_"+id.Reveal()[:chars], email, name, roles, scope, s.Clock.Now())
}

// insertUser stores a user, with the hash of a password when there is one.
func (s *Service) insertUser(ctx context.Context, st Stores, by access.Principal, u access.UserAccount, hash string) error {
	if _, err := st.Users.UserByEmail(ctx, u.Email); err == nil {
		return fault.New(fault.Conflict, "user_exists", "there is a user with this e-mail address").On("email").Fix("Change that user instead: liftbill user list")
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	for _, id := range u.Scope.Accounts {
		if err := knownAccount(ctx, st, u.Scope, id); err != nil {
			return err
		}
	}
	if err := st.Users.InsertUser(ctx, u); err != nil {
		return err
	}
	if hash != "" {
		if err := st.Users.SetPasswordHash(ctx, u.ID, hash); err != nil {
			return err
		}
	}
	return st.Audit.Append(ctx, audit.New(by, s.Clock.Now(), audit.UserCreated, "user", u.ID).Changed(nil, userFacts(u)))
}

// knownAccount refuses an account that exists in none of the scope's environments.
func knownAccount(ctx context.Context, st Stores, scope access.Scope, id string) error {
	for _, env := range scope.EnvironmentNames() {
		if ok, err := st.Tokens.AccountIn(ctx, id, env); ok || err != nil {
			return err
		}
	}
	return fault.InvalidField("accounts", "account_not_found", "there is no account %q in the scope's environments", id)
}

// userFacts say what a user may do; the e-mail address stays in its one table.
func userFacts(u access.UserAccount) audit.Facts {
	f := audit.Facts{"name": u.Name, "roles": u.Roles.String(), "scope": u.Scope.String()}
	if !u.Enabled() {
		f["disabled"] = "yes"
	}
	if u.Subject != "" {
		f["provider"] = u.Issuer
	}
	return f
}

// CreateFirstAdmin makes the first administrator, and refuses when there is one. With
// a password it is checked and set; without, a link is needed.
func (s *Service) CreateFirstAdmin(ctx context.Context, by access.Principal, email, name, password string) (access.UserAccount, error) {
	u, err := s.newUser(UserInput{Email: email, Name: name, Roles: []string{string(access.Admin)}, Environments: []string{"live", "test"}})
	if err != nil {
		return access.UserAccount{}, err
	}
	hash := ""
	if password != "" {
		if err := access.CheckPassword(password, u.Email, u.Name); err != nil {
			return access.UserAccount{}, err
		}
		if hash, err = s.Passwords.Hash(ctx, password); err != nil {
			return access.UserAccount{}, err
		}
		u.HasPassword = true
	}
	return u, s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		if err := st.Users.LockAdmins(ctx); err != nil {
			return err
		}
		n, err := st.Users.EnabledAdmins(ctx)
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.New(fault.Conflict, "admin_exists", "there is an administrator already").
				Fix("Let further people in with: liftbill user create; let an administrator in again with: liftbill user link --email")
		}
		return s.insertUser(ctx, st, by, u, hash)
	})
}

// UserChange is what a user becomes; all of it is set.
type UserChange struct {
	Name         string
	Roles        []string
	Accounts     []string
	Environments []string
	Disabled     bool
}

// UpdateUser changes what a user may do. Its sessions end when that changed, so that
// the new rights hold from the next sign-in; the last administrator stays one.
func (s *Service) UpdateUser(ctx context.Context, by access.Principal, id string, in UserChange) (access.UserAccount, error) {
	if err := access.Require(by, access.ManageAccess, "", ""); err != nil {
		return access.UserAccount{}, err
	}
	roles, err := access.ParseRoles(in.Roles)
	if err != nil {
		return access.UserAccount{}, err
	}
	scope, err := access.NewScope(in.Accounts, in.Environments)
	if err != nil {
		return access.UserAccount{}, err
	}
	name, err := access.CleanName(in.Name)
	if err != nil {
		return access.UserAccount{}, err
	}
	var u access.UserAccount
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		if err := st.Users.LockAdmins(ctx); err != nil {
			return err
		}
		old, err := st.Users.User(ctx, id)
		if err != nil {
			return err
		}
		u = old
		u.Name, u.Roles, u.Scope = name, roles, scope
		switch {
		case !in.Disabled:
			u.DisabledAt = time.Time{}
		case old.Enabled():
			u.DisabledAt = s.Clock.Now()
		}
		if err := u.Check(); err != nil {
			return err
		}
		for _, accountID := range u.Scope.Accounts {
			if err := knownAccount(ctx, st, u.Scope, accountID); err != nil {
				return err
			}
		}
		return s.changeUser(ctx, st, by, old, u)
	})
	return u, err
}

// changeUser stores a changed user with its audit row; nothing happens when nothing
// changed.
func (s *Service) changeUser(ctx context.Context, st Stores, by access.Principal, old, u access.UserAccount) error {
	before, after := userFacts(old), userFacts(u)
	if equal(before, after) {
		return nil
	}
	if old.Roles.Has(access.Admin) && old.Enabled() && (!u.Roles.Has(access.Admin) || !u.Enabled()) {
		n, err := st.Users.EnabledAdmins(ctx)
		if err != nil {
			return err
		}
		if n <= 1 {
			return fault.New(fault.Conflict, "last_admin", "this is the last administrator").Fix("Make another user an administrator first")
		}
	}
	if err := st.Users.UpdateUser(ctx, u); err != nil {
		return err
	}
	if old.Roles.String() != u.Roles.String() || old.Scope.String() != u.Scope.String() || !u.Enabled() {
		if _, err := st.Sessions.EndSessions(ctx, u.ID); err != nil {
			return err
		}
		if err := st.Sessions.DropLinks(ctx, u.ID); err != nil {
			return err
		}
	}
	return st.Audit.Append(ctx, audit.New(by, s.Clock.Now(), audit.UserChanged, "user", u.ID).Changed(before, after))
}

func equal(a, b audit.Facts) bool {
	if len(a) != len(b) {
		return false
	}
	for name, value := range a {
		if other, ok := b[name]; !ok || other != value {
			return false
		}
	}
	return true
}

// Users lists everybody.
func (s *Service) Users(ctx context.Context, by access.Principal) ([]access.UserAccount, error) {
	if err := access.Require(by, access.ManageAccess, "", ""); err != nil {
		return nil, err
	}
	var out []access.UserAccount
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		out, err = st.Users.Users(ctx)
		return err
	})
	return out, err
}

// UserByEmail finds a user by address.
func (s *Service) UserByEmail(ctx context.Context, by access.Principal, email string) (access.UserAccount, error) {
	if err := access.Require(by, access.ManageAccess, "", ""); err != nil {
		return access.UserAccount{}, err
	}
	email, err := access.CleanEmail(email)
	if err != nil {
		return access.UserAccount{}, err
	}
	var out access.UserAccount
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		out, err = st.Users.UserByEmail(ctx, email)
		return err
	})
	return out, err
}

// CreateLink makes a sign-in link for a user, which works once within its life. Links
// that the user had before work no more.
func (s *Service) CreateLink(ctx context.Context, by access.Principal, userID string, life time.Duration) (access.Secret, time.Time, error) {
	if err := access.Require(by, access.ManageAccess, "", ""); err != nil {
		return access.Secret{}, time.Time{}, err
	}
	if life == 0 {
		life = access.LinkLife
	}
	if life < time.Minute || life > access.MaxLinkLife {
		return access.Secret{}, time.Time{}, fault.InvalidField("expires_in", "expiry_range", "a sign-in link works between a minute and seven days")
	}
	link, err := access.NewSecret(s.Entropy.Bytes(access.SecretBytes))
	if err != nil {
		return access.Secret{}, time.Time{}, err
	}
	now := s.Clock.Now()
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		u, err := st.Users.User(ctx, userID)
		switch {
		case err != nil:
			return err
		case !u.Enabled():
			return fault.New(fault.Conflict, "user_disabled", "the user is disabled").Fix("Enable the user first")
		}
		if err := st.Sessions.DropLinks(ctx, userID); err != nil {
			return err
		}
		if err := st.Sessions.InsertLink(ctx, link.Hash(), userID, now, now.Add(life)); err != nil {
			return err
		}
		return st.Audit.Append(ctx, audit.New(by, now, audit.LinkCreated, "user", userID).Changed(nil, audit.Facts{"expires_at": stamp(now.Add(life))}))
	})
	return link, now.Add(life), err
}

// SetPassword sets the caller's own password and ends every session of theirs but the
// new one that is returned. Who signed in with a link need not know the old password;
// everybody else must.
func (s *Service) SetPassword(ctx context.Context, c Caller, old, password string, b Browser) (SignedIn, error) {
	if c.Kind != access.User {
		return SignedIn{}, fault.New(fault.Forbidden, access.CodePermission, "only a signed-in person has a password")
	}
	var (
		user access.UserAccount
		hash string
	)
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		if user, err = st.Users.User(ctx, c.ID); err == nil {
			hash, err = st.Users.PasswordHash(ctx, c.ID)
		}
		return err
	})
	if err != nil {
		return SignedIn{}, err
	}
	if hash != "" && !c.Info.ByLink {
		if err := s.attempt(ctx, attemptKeys(user.Email, b)); err != nil {
			return SignedIn{}, err
		}
		ok, _, err := s.Passwords.Verify(ctx, old, hash)
		if err != nil {
			return SignedIn{}, err
		}
		if !ok {
			return SignedIn{}, fault.InvalidField("current_password", "password_wrong", "this is not your present password").Fix("Sign in with a link to set a new one without it")
		}
	}
	if err := access.CheckPassword(password, user.Email, user.Name); err != nil {
		return SignedIn{}, err
	}
	fresh, err := s.Passwords.Hash(ctx, password)
	if err != nil {
		return SignedIn{}, err
	}
	return s.open(ctx, b, "new password", func(ctx context.Context, st Stores) (access.UserAccount, error) {
		if err := st.Users.SetPasswordHash(ctx, user.ID, fresh); err != nil {
			return user, err
		}
		if _, err := st.Sessions.EndSessions(ctx, user.ID); err != nil {
			return user, err
		}
		if err := st.Sessions.DropLinks(ctx, user.ID); err != nil {
			return user, err
		}
		return user, st.Audit.Append(ctx, audit.New(c.Principal, s.Clock.Now(), audit.PasswordChanged, "user", user.ID))
	})
}
