package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/access"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
)

// demoEmail is the demo's administrator.
const demoEmail = "demo@liftbill.example"

// demoKeys are what the demo lets itself and its user in with.
type demoKeys struct {
	admin    domain.UserAccount
	password string
	tokens   map[account.Environment]string
}

// withDemoApp opens the demo's database in this process, as liftbill's commands do.
func (s *stack) withDemoApp(ctx context.Context, fn func(a *app) error) error {
	a, err := openApp(ctx, s.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer a.close(ctx)
	return fn(a)
}

// letIn makes the demo's administrator, a token for each environment, and the two people
// who release first invoices.
func (s *stack) letIn(ctx context.Context, p *progress) error {
	p.step("an administrator, two tokens and two people")
	err := s.withDemoApp(ctx, func(a *app) error {
		gate, by := a.access(), operator()
		password, err := domain.NewSecret(a.access().Entropy.Bytes(domain.SecretBytes))
		if err != nil {
			return err
		}
		const chars = 16
		s.keys = demoKeys{password: password.Reveal()[:chars], tokens: map[account.Environment]string{}}
		if s.keys.admin, err = gate.CreateFirstAdmin(ctx, by, demoEmail, "Demo", s.keys.password); err != nil {
			return err
		}
		// One person has every role here; in earnest they are several, for the four-eyes rule.
		if _, err := gate.UpdateUser(ctx, by, s.keys.admin.ID, access.UserChange{
			Name: "Demo", Roles: []string{"admin", "finance", "approver"}, Environments: []string{"live", "test"},
		}); err != nil {
			return err
		}
		for _, env := range environments {
			_, text, err := gate.CreateToken(ctx, by, access.TokenInput{Name: "demo", Environment: env.String(), Roles: []string{"admin", "ingest"}, Life: access.Forever})
			if err != nil {
				return err
			}
			s.keys.tokens[env] = text.Reveal()
		}
		return s.hire(ctx, gate)
	})
	if err == nil {
		p.done("%s; %s (%s) and %s (%s), who are fictitious", demoEmail, s.finance.name, s.finance.role, s.approver.name, s.approver.role)
	}
	return err
}

// signInLink is a link that signs the demo's user in once.
func (s *stack) signInLink(ctx context.Context) (string, error) {
	address := ""
	err := s.withDemoApp(ctx, func(a *app) error {
		const life = 24 * time.Hour
		link, _, err := a.access().CreateLink(ctx, operator(), s.keys.admin.ID, life)
		address = webui.LinkURL(s.api, link, "/cycles")
		return err
	})
	return address, err
}
