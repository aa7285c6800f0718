package webui_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// door stands in for the use case of access: it lets everybody in whose password is
// right, and does what a test sets otherwise.
type door struct {
	caller  app.Caller
	err     error
	noAdmin bool
	next    string

	browser app.Browser
	created app.UserInput
	changed app.UserChange
	token   app.TokenInput
	asked   audit.Filter
	broken  trail.Chain
	before  trail.Facts
}

const (
	rightPassword = "correct horse"
	sessionText   = "a-session"
)

func (d *door) in(ok bool, b app.Browser) (app.SignedIn, error) {
	d.browser = b
	if d.err != nil {
		return app.SignedIn{}, d.err
	}
	if !ok {
		return app.SignedIn{}, fault.New(fault.Unauthenticated, "sign_in_refused", "the e-mail address or the password is wrong").Fix("Try again")
	}
	return app.SignedIn{Session: access.Given(sessionText), User: ada()}, nil
}

func ada() access.UserAccount {
	return access.UserAccount{ID: "user_1", Email: "ada@example.com", Name: "Ada <b>", Roles: access.Roles{access.Admin}, Scope: access.Everything(), CreatedAt: now}
}

func (d *door) AnyAdmin(context.Context) (bool, error) { return !d.noAdmin, nil }
func (d *door) SignIn(_ context.Context, _, password string, b app.Browser) (app.SignedIn, error) {
	return d.in(password == rightPassword, b)
}
func (d *door) SignInWithLink(_ context.Context, link string, b app.Browser) (app.SignedIn, error) {
	return d.in(link == "good-link", b)
}
func (d *door) BeginProvider(_ context.Context, next string) (address, keep string, err error) {
	d.next = next
	return "https://provider.example/authorize", "kept", d.err
}
func (d *door) FinishProvider(_ context.Context, keep, state, code string, b app.Browser) (app.SignedIn, string, error) {
	in, err := d.in(keep == "kept" && state == "s" && code == "c", b)
	return in, d.next, err
}
func (d *door) SignOut(context.Context, app.Caller) error                         { return d.err }
func (d *door) SignOutEverywhere(context.Context, access.Principal, string) error { return d.err }
func (d *door) SetPassword(_ context.Context, _ app.Caller, _, password string, b app.Browser) (app.SignedIn, error) {
	if err := access.CheckPassword(password, "", ""); err != nil {
		return app.SignedIn{}, err
	}
	return d.in(true, b)
}
func (d *door) Sessions(context.Context, access.Principal) ([]access.Session, error) {
	return []access.Session{{CreatedAt: now, SeenAt: now, ExpiresAt: now, Client: "Firefox"}, {CreatedAt: now.Add(-time.Hour)}}, nil
}
func (d *door) Users(context.Context, access.Principal) ([]access.UserAccount, error) {
	return []access.UserAccount{ada(), {ID: "user_2", Email: "bob@example.com", Name: "Bob", Roles: access.Roles{access.Viewer}, DisabledAt: now}}, nil
}
func (d *door) CreateUser(_ context.Context, _ access.Principal, in app.UserInput) (access.UserAccount, error) {
	d.created = in
	return ada(), d.err
}
func (d *door) UpdateUser(_ context.Context, _ access.Principal, _ string, in app.UserChange) (access.UserAccount, error) {
	d.changed = in
	return ada(), d.err
}
func (d *door) CreateLink(context.Context, access.Principal, string, time.Duration) (access.Secret, time.Time, error) {
	return access.Given("fresh-link"), now, d.err
}
func (d *door) Tokens(context.Context, access.Principal) ([]access.APIToken, error) {
	return []access.APIToken{
		{ID: "aaaa", Name: "ci", Environment: account.Live, Roles: access.Roles{access.Ingest}, Accounts: []string{"acme"}, CreatedAt: now, ExpiresAt: now.Add(time.Hour)},
		{ID: "bbbb", Name: "old", Environment: account.Test, Roles: access.Roles{access.Viewer}, CreatedAt: now, RevokedAt: now},
	}, nil
}
func (d *door) CreateToken(_ context.Context, _ access.Principal, in app.TokenInput) (access.APIToken, access.TokenText, error) {
	d.token = in
	if d.err != nil {
		return access.APIToken{}, access.TokenText{}, d.err
	}
	return access.APIToken{Name: in.Name}, access.TokenText{Secret: access.Given("lb_live_the-token")}, nil
}
func (d *door) RotateToken(ctx context.Context, by access.Principal, _ string) (access.APIToken, access.TokenText, error) {
	return d.CreateToken(ctx, by, app.TokenInput{Name: "ci"})
}
func (d *door) RevokeToken(context.Context, access.Principal, string) (access.APIToken, error) {
	return access.APIToken{Name: "ci"}, d.err
}
func (d *door) Entries(_ context.Context, f audit.Filter) (audit.Page, error) {
	d.asked = f
	row, err := trail.Append(trail.Origin(trail.LiveChain), trail.New(access.Operator("root"), now, trail.ContractCreated, "contract", "c<1>").In("acme", account.Live).
		Changed(d.before, trail.Facts{"hash": "5f0c"}))
	next := "n" // there is one page after the first
	if f.Cursor == next {
		next = ""
	}
	return audit.Page{Items: []trail.Row{row}, NextCursor: next}, err
}

func (d *door) Verify(_ context.Context, chain trail.Chain, _ audit.Head) (audit.Head, error) {
	if chain == d.broken {
		return audit.Head{Chain: chain, Rows: 7}, fault.New(fault.Conflict, "audit_broken", "chain %s: row 8 does not follow row 7", chain)
	}
	return audit.Head{Chain: chain, Rows: 12, Hash: []byte{0xab, 0xcd}}, d.err
}

func signedIn() app.Caller {
	return app.Caller{Principal: ada().Principal(), Session: access.Given(sessionText), Info: access.Session{CreatedAt: now}, Client: "203.0.113.9"}
}

// worker is somebody with every role, so that every form is shown.
func worker() app.Caller {
	c := signedIn()
	c.Roles = access.AllRoles()
	return c
}

// send posts a form, or gets a page, and returns the answer as it is.
func send(t *testing.T, e *echo.Echo, method, path string, fields url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(fields.Encode()))
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	d := &door{caller: app.Caller{Client: "203.0.113.9"}}
	e := newDoor(fixture(), d, webui.Options{TLS: true})
	require.Contains(t, open(t, e, "/sign-in?ended=form&next=/breaks").text, "Your session had ended: what you sent was not done.")
	p := open(t, e, "/sign-in?next=/cycles%3Fperiod=2026-10")
	require.NotContains(t, p.text, "session had ended")
	require.Equal(t, 200, p.status)
	require.Contains(t, p.html, `name="next" value="/cycles?period=2026-10"`)
	require.NotContains(t, p.text, "Sign out")
	require.NotContains(t, p.text, "Real money")

	w := send(t, e, "POST", "/sign-in", url.Values{"email": {`a"<b>@example.com`}, "password": {"wrong"}, "next": {"/accounts"}})
	require.Equal(t, 401, w.Code)
	require.Contains(t, w.Body.String(), "The e-mail address or the password is wrong.")
	require.NotContains(t, w.Body.String(), "<b>@")
	require.NotContains(t, w.Body.String(), `value="wrong"`, "a password is not sent back")
	require.Empty(t, w.Header().Get("Set-Cookie"))

	w = send(t, e, "POST", "/sign-in", url.Values{"email": {"ada@example.com"}, "password": {rightPassword}, "next": {"/accounts"}})
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "/accounts", w.Header().Get("Location"))
	require.Equal(t, "__Host-liftbill_session=a-session; Path=/; HttpOnly; Secure; SameSite=Lax", w.Header().Get("Set-Cookie"))
	require.Equal(t, "203.0.113.9", d.browser.Client)
	w = send(t, e, "POST", "/sign-in?email=ada@example.com&password="+url.QueryEscape(rightPassword), nil)
	require.Equal(t, 401, w.Code, "a password in an address is not taken")
	w = send(t, newDoor(fixture(), &door{}, webui.Options{}), "POST", "/sign-in", url.Values{"password": {rightPassword}})
	require.Equal(t, "liftbill_session=a-session; Path=/; HttpOnly; SameSite=Lax", w.Header().Get("Set-Cookie"))

	d.err = fault.New(fault.RateLimited, "sign_in_locked", "too many attempts to sign in").Fix("Wait")
	w = send(t, e, "POST", "/sign-in", url.Values{"password": {rightPassword}})
	require.Equal(t, 429, w.Code)
	require.Contains(t, w.Body.String(), "Too many attempts")
	d.err = nil
	d.noAdmin = true
	require.Contains(t, open(t, e, "/sign-in").text, "liftbill admin create")
}

// Nobody is sent to another site after the sign-in.
func TestNextIsLocal(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{}, webui.Options{})
	for next, want := range map[string]string{
		"/cycles?period=2026-10": "/cycles?period=2026-10", "": "/", "https://evil.example/": "/", "//evil.example": "/", "/\\evil.example": "/",
		"evil": "/", "javascript:alert(1)": "/", "/a\r\nSet-Cookie: x": "/", "///evil.example": "/", "/accounts#x": "/accounts",
	} {
		w := send(t, e, "POST", "/sign-in", url.Values{"password": {rightPassword}, "next": {next}})
		require.Equal(t, want, w.Header().Get("Location"), next)
	}
}

func TestSignInLink(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{}, webui.Options{})
	p := open(t, e, "/sign-in/link?link=good-link")
	require.Contains(t, p.html, `name="link" value="good-link"`)
	require.Empty(t, p.header.Get("Set-Cookie"), "looking at a link does not use it up")
	w := send(t, e, "POST", "/sign-in/link", url.Values{"link": {"good-link"}})
	require.Equal(t, "/you", w.Header().Get("Location"), "who has no password is led to where one is set")
	w = send(t, e, "POST", "/sign-in/link", url.Values{"link": {"good-link"}, "next": {"/cycles"}})
	require.Equal(t, "/cycles", w.Header().Get("Location"))
	w = send(t, e, "POST", "/sign-in/link", url.Values{"link": {"used"}})
	require.Equal(t, 401, w.Code)
	require.Equal(t, "https://billing.example.com/sign-in/link?link=abc&next=%2Fcycles", webui.LinkURL("https://billing.example.com/", access.Given("abc"), "/cycles"))
}

func TestSignInThroughAProvider(t *testing.T) {
	t.Parallel()
	d := &door{}
	e := newDoor(fixture(), d, webui.Options{TLS: true, Provider: "Example SSO"})
	p := open(t, e, "/sign-in?next=/accounts")
	require.Contains(t, p.text, "Continue with Example SSO")
	require.Contains(t, p.links, "/sign-in/provider?next=%2Faccounts")
	w := send(t, e, "GET", "/sign-in/provider?next=/accounts", nil)
	require.Equal(t, "https://provider.example/authorize", w.Header().Get("Location"))
	require.Contains(t, w.Header().Get("Set-Cookie"), "__Host-liftbill_attempt=kept; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax")
	r := httptest.NewRequest("GET", "/sign-in/provider/callback?state=s&code=c", nil)
	r.AddCookie(&http.Cookie{Name: "__Host-liftbill_attempt", Value: "kept"})
	back := httptest.NewRecorder()
	e.ServeHTTP(back, r)
	require.Equal(t, "/accounts", back.Header().Get("Location"))
	require.Len(t, back.Result().Cookies(), 2, "the attempt is cleared, the session set")
	require.Equal(t, 401, send(t, e, "GET", "/sign-in/provider/callback?state=s&code=c", nil).Code, "another browser")
	d.err = fault.New(fault.Unavailable, "provider_unreachable", "the provider does not answer")
	require.Equal(t, 503, send(t, e, "GET", "/sign-in/provider", nil).Code)
}

func TestSignedInFrame(t *testing.T) {
	t.Parallel()
	d := &door{caller: signedIn()}
	e := newDoor(fixture(), d, webui.Options{})
	p := open(t, e, "/cycles")
	require.Contains(t, p.text, "Ada <b>")
	require.Contains(t, p.html, `name="csrf" value="`+d.caller.CSRF()+`"`)
	require.Contains(t, p.links, "/access")
	d.caller.Roles = access.Roles{access.Ingest}
	p = open(t, e, "/cycles")
	require.NotContains(t, p.links, "/access")
	require.NotContains(t, p.links, "/audit")
	w := send(t, e, "POST", "/sign-out", nil)
	require.Contains(t, w.Header().Get("Set-Cookie"), "liftbill_session=; Path=/; Max-Age=0")
	require.Equal(t, "/sign-in", w.Header().Get("Location"))
}

func TestYourAccount(t *testing.T) {
	t.Parallel()
	d := &door{caller: signedIn()}
	e := newDoor(fixture(), d, webui.Options{})
	p := open(t, e, "/you")
	require.Contains(t, p.text, "every account, live and test")
	require.Contains(t, p.row(t, "Firefox")[0], "this one")
	w := send(t, e, "POST", "/you/password", url.Values{"current": {"x"}, "password": {"short"}})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "fewer than 12 characters")
	require.NotContains(t, w.Body.String(), `value="short"`)
	w = send(t, e, "POST", "/you/password", url.Values{"current": {"x"}, "password": {"a sentence of some length"}})
	require.Equal(t, "/you?changed=password", w.Header().Get("Location"))
	require.Contains(t, w.Header().Get("Set-Cookie"), "a-session", "the session changes with the password")
	require.Contains(t, open(t, e, "/you?changed=password").text, "The password was changed")
	require.Equal(t, "/sign-in", send(t, e, "POST", "/you/sign-out-everywhere", nil).Header().Get("Location"))
}

func TestUsersAndTokens(t *testing.T) {
	t.Parallel()
	d := &door{caller: signedIn()}
	e := newDoor(fixture(), d, webui.Options{PagesURL: "https://billing.example.com"})
	p := open(t, e, "/access")
	require.Contains(t, p.row(t, "ada@example.com")[3], "enabled")
	require.Contains(t, p.row(t, "bob@example.com")[3], "disabled")
	require.Contains(t, p.row(t, "ci LIVE")[5], "works")
	require.Contains(t, p.row(t, "old TEST")[5], "revoked")
	require.Equal(t, strings.Count(p.html, `<form method="post"`), strings.Count(p.html, `name="csrf" value="`+d.caller.CSRF()+`"`), "every form proves where it is from")

	w := send(t, e, "POST", "/access/users", url.Values{"email": {"c@example.com"}, "name": {"Cleo"}, "role": {"viewer", "finance"}, "environment": {"live"}, "accounts": {"acme, borealis"}})
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), "https://billing.example.com/sign-in/link?link=fresh-link")
	require.Equal(t, app.UserInput{Email: "c@example.com", Name: "Cleo", Roles: []string{"viewer", "finance"}, Environments: []string{"live"}, Accounts: []string{"acme", "borealis"}}, d.created)
	w = send(t, e, "POST", "/access/users/user_2/link", nil)
	require.Contains(t, w.Body.String(), "Sign-in link for Bob")
	require.Equal(t, 404, send(t, e, "POST", "/access/users/nobody/link", nil).Code)
	w = send(t, e, "POST", "/access/users/user_2", url.Values{"name": {"Bob"}, "role": {"viewer"}, "disabled": {"yes"}})
	require.Equal(t, 200, w.Code)
	require.True(t, d.changed.Disabled)
	require.Equal(t, 200, send(t, e, "POST", "/access/users/user_2/sign-out", nil).Code)
	require.Equal(t, "/sign-in", send(t, e, "POST", "/access/users/user_1/sign-out", nil).Header().Get("Location"))

	w = send(t, e, "POST", "/access/tokens", url.Values{"name": {"ci"}, "environment": {"live"}, "role": {"ingest"}, "days": {"0"}})
	require.Contains(t, w.Body.String(), "lb_live_the-token")
	require.Equal(t, app.Forever, d.token.Life)
	require.Equal(t, 422, send(t, e, "POST", "/access/tokens", url.Values{"days": {"many"}}).Code)
	require.Contains(t, send(t, e, "POST", "/access/tokens/aaaa/rotate", nil).Body.String(), "lb_live_the-token")
	require.Contains(t, send(t, e, "POST", "/access/tokens/aaaa/revoke", nil).Body.String(), "works no more")
	d.err = fault.New(fault.Conflict, "last_admin", "this is the last administrator").Fix("Make another user an administrator first")
	w = send(t, e, "POST", "/access/users/user_1", url.Values{"name": {"Ada"}, "role": {"viewer"}})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "This is the last administrator.")
}

func TestAuditPage(t *testing.T) {
	t.Parallel()
	d := &door{caller: signedIn()}
	e := newDoor(fixture(), d, webui.Options{})
	p := open(t, e, "/audit?environment=live&action=contract.created&from=2026-10-01&to=2026-10-31")
	require.Equal(t, 200, p.status)
	require.Equal(t, "live", d.asked.Environment)
	require.Equal(t, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), d.asked.To, "the last day is shown")
	require.True(t, d.asked.Scope.Whole())
	row := p.row(t, "contract.created")
	require.Contains(t, row[3], "contract c<1>")
	require.Equal(t, "hash 5f0c", row[4], "what is new is listed")
	require.Contains(t, p.links, "/audit?action=contract.created&cursor=n&environment=live&from=2026-10-01&to=2026-10-31")
	d.before = trail.Facts{"hash": "5f0b", "same": "x"}
	require.Equal(t, "hash 5f0b → 5f0c same x →", open(t, e, "/audit").row(t, "contract.created")[4], "of a change, what differs")
	require.Equal(t, 400, open(t, e, "/audit?from=yesterday").status)
}

// TestVerifyTheChains: the button recomputes every chain, says where one is broken, and is
// only for who sees all that the chains hold.
func TestVerifyTheChains(t *testing.T) {
	t.Parallel()
	whole := signedIn()
	whole.Scope = access.Everything()
	d := &door{caller: whole}
	e := newDoor(fixture(), d, webui.Options{})
	require.Contains(t, open(t, e, "/audit").text, "Verify the chains")
	page := send(t, e, "GET", "/audit/verify", nil).Body.String()
	for _, chain := range trail.Chains() {
		require.Contains(t, page, "Chain "+string(chain)+" is whole:")
	}
	require.Contains(t, page, "abcd")
	d.broken = trail.TestChain
	w := send(t, e, "GET", "/audit/verify", nil)
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), "chain test: row 8 does not follow row 7")
	require.NotContains(t, w.Body.String(), "Chain test is whole")
	part := signedIn()
	part.Scope = access.Scope{Accounts: []string{"acme"}, Environments: []account.Environment{account.Live}}
	require.NotContains(t, open(t, newDoor(fixture(), &door{caller: part}, webui.Options{}), "/audit").text, "Verify the chains")
}

// Whoever asks too often is told so, not that something is broken.
func TestTooManyRequestsOfAPage(t *testing.T) {
	t.Parallel()
	l := fixture()
	l.err = fault.New(fault.RateLimited, "rate_limited", "this caller sends more requests than one may").Fix("Wait a moment")
	p := open(t, newEcho(l), "/cycles")
	require.Equal(t, http.StatusTooManyRequests, p.status)
	require.Contains(t, p.text, "Too many requests This caller sends more requests than one may. Wait a moment.")
}
