package httpapi_test

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/idempotency"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// goodToken is one that the gate knows; it may do everything.
const (
	goodToken   = "good"
	viewerToken = "viewer"
	goodSession = "session"
)

// gate is a doorkeeper that knows two tokens and one session and decides by roles only.
type gate struct {
	routes map[string]string // what was asked for, with the object
}

func newGate() *gate { return &gate{routes: map[string]string{}} }

func (g *gate) AuthenticateToken(_ context.Context, text, requestID string) (access.Caller, error) {
	p := domain.Principal{Kind: domain.Token, ID: "t-" + text, Name: text, Scope: domain.Everything(), RequestID: requestID}
	switch text {
	case goodToken:
		p.Roles = domain.AllRoles()
	case viewerToken:
		p.Roles = domain.Roles{domain.Viewer}
	default:
		return access.Caller{}, fault.New(fault.Unauthenticated, "token_unknown", "there is no such token").Fix("Use another one")
	}
	return access.Caller{Principal: p}, nil
}

func (g *gate) AuthenticateSession(_ context.Context, text, requestID string) (access.Caller, error) {
	if text != goodSession {
		return access.Caller{}, fault.New(fault.Unauthenticated, "session_ended", "the session has ended").Fix("Sign in again")
	}
	return access.Caller{
		Principal: domain.Principal{Kind: domain.User, ID: "user_1", Person: "user_1", Name: "Ada", Roles: domain.AllRoles(), Scope: domain.Everything(), RequestID: requestID},
		Session:   domain.Given(text),
	}, nil
}

func (g *gate) Authorize(_ context.Context, by domain.Principal, route string, rule domain.Rule, id string) error {
	g.routes[route] = id
	return domain.RequirePermission(by, rule.Permission)
}

func (g *gate) CreateToken(_ context.Context, by domain.Principal, in access.TokenInput) (domain.APIToken, domain.TokenText, error) {
	text, err := domain.NewToken(account.Environment(in.Environment), bytes.Repeat([]byte{7}, domain.TokenBytes))
	return domain.APIToken{ID: text.ID, Name: in.Name, Environment: account.Environment(in.Environment), CreatedBy: by.Actor(), CreatedAt: at, ExpiresAt: at.Add(in.Life)}, text, err
}

func (g *gate) RotateToken(ctx context.Context, by domain.Principal, _ string) (domain.APIToken, domain.TokenText, error) {
	return g.CreateToken(ctx, by, access.TokenInput{Environment: "live"})
}

func (g *gate) RevokeToken(_ context.Context, _ domain.Principal, id string) (domain.APIToken, error) {
	return domain.APIToken{ID: id, RevokedAt: at}, nil
}

func (g *gate) Tokens(context.Context, domain.Principal) ([]domain.APIToken, error) {
	return []domain.APIToken{{ID: "b"}, {ID: "a"}}, nil
}

func (g *gate) Users(context.Context, domain.Principal) ([]domain.UserAccount, error) {
	return []domain.UserAccount{{ID: "user_2", Email: "b@example.com"}, {ID: "user_1", Email: "a@example.com", DisabledAt: at}}, nil
}

// gateAudit has one row.
type gateAudit struct{}

func (gateAudit) Entries(_ context.Context, f audit.Filter) (audit.Page, error) {
	row, err := trail.Append(trail.Origin(trail.LiveChain), trail.Entry{At: at, Actor: domain.Actor{Kind: domain.CLI, ID: "cli:x"}, Action: trail.Action(f.Action), Outcome: trail.Done, Environment: account.Live})
	return audit.Page{Items: []trail.Row{row}}, err
}

// keys keeps uses of idempotency keys in memory, as the table does.
type keys struct {
	mu   sync.Mutex
	rows map[[2]string]idempotency.Row
}

func newKeys() httpapi.Idempotency {
	box, err := system.NewSecretBox(bytes.Repeat([]byte{3}, system.KeyBytes))
	if err != nil {
		panic(err)
	}
	return &idempotency.Service{Store: &keys{rows: map[[2]string]idempotency.Row{}}, Box: box, Clock: clock.Fixed(at)}
}

func (k *keys) Take(_ context.Context, r idempotency.Row, _ time.Time) (*idempotency.Row, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if old, ok := k.rows[[2]string{r.Principal, r.Key}]; ok {
		return &old, nil
	}
	k.rows[[2]string{r.Principal, r.Key}] = r
	return nil, nil
}

func (k *keys) Answer(_ context.Context, r idempotency.Row) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rows[[2]string{r.Principal, r.Key}] = r
	return nil
}

func (k *keys) Release(_ context.Context, u idempotency.Use, _ string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.rows, [2]string{u.Principal, u.Key})
	return nil
}
