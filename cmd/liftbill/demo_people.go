package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/invoicing"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// demoPerson is somebody fictitious who works for the vendor. They exist because a first
// invoice always needs a person, and whoever set an account up is not the one who approves.
type demoPerson struct {
	name, email string
	role        domain.Role
	user        domain.UserAccount
}

func demoPeople() (finance, approver *demoPerson) {
	return &demoPerson{name: "Frida Holm", email: "frida@liftbill.example", role: domain.Finance},
		&demoPerson{name: "Amir Sato", email: "amir@liftbill.example", role: domain.Approver}
}

// hire lets the people in, as an administrator would.
func (s *stack) hire(ctx context.Context, gate *access.Service) error {
	s.finance, s.approver = demoPeople()
	for _, who := range []*demoPerson{s.finance, s.approver} {
		var err error
		if who.user, err = gate.CreateUser(ctx, operator(), access.UserInput{
			Email: who.email, Name: who.name, Roles: []string{string(who.role)}, Environments: []string{"live", "test"},
		}); err != nil {
			return err
		}
	}
	return nil
}

// signIn is the person with a session of their own, from a link that works once.
func (who *demoPerson) signIn(ctx context.Context, gate *access.Service) (domain.Principal, error) {
	link, _, err := gate.CreateLink(ctx, operator(), who.user.ID, time.Hour)
	if err != nil {
		return domain.Principal{}, err
	}
	in, err := gate.SignInWithLink(ctx, link.Reveal(), access.Browser{Client: "127.0.0.1", Agent: "demo"})
	if err != nil {
		return domain.Principal{}, err
	}
	caller, err := gate.AuthenticateSession(ctx, in.Session.Reveal(), "")
	return caller.Principal, err
}

// release lets the two people look at the invoices that wait, and approve them. It goes
// through the same use case as the page and the API, and the runs in Temporal are told.
func (w *world) release(ctx context.Context, cycles []string, p *progress) error {
	sched, err := w.stack.connectTemporal(ctx)
	if err != nil {
		return err
	}
	defer sched.Close()
	return w.stack.withDemoApp(ctx, func(a *app) error {
		finance, err := w.stack.finance.signIn(ctx, a.access())
		if err != nil {
			return err
		}
		approver, err := w.stack.approver.signIn(ctx, a.access())
		if err != nil {
			return err
		}
		desk := a.deciding()
		desk.Runs = &runs{a: a, s: sched}
		for _, id := range cycles {
			if err := w.releaseOne(ctx, desk, id, finance, approver); err != nil {
				return err
			}
			p.note(fmt.Sprintf("%s is a first invoice and needs a person: %s (%s) compared it, %s (%s) approved it", id,
				finance.Name, w.stack.finance.role, approver.Name, w.stack.approver.role))
		}
		return nil
	})
}

// releaseOne stops the clock of an invoice while finance compares it with Stripe, asks for
// the approval again and gives it, to the very invoice that was seen.
func (w *world) releaseOne(ctx context.Context, desk *invoicing.Decisions, id string, finance, approver domain.Principal) error {
	if _, err := desk.Decide(ctx, finance, invoicing.Wish{CycleID: id, Action: billing.ActHold, Reason: "compared with Stripe before it goes out"}); err != nil {
		return err
	}
	var t httpapi.TieOut
	if err := w.get(ctx, account.Live, "/v1/cycles/"+url.PathEscape(id), &t); err != nil {
		return err
	}
	if t.PaidRevenue.Minor != t.StripeNet.Minor {
		return fault.New(fault.Internal, "revenue_differs", "%s: booked revenue %d is not Stripe's %d", id, t.PaidRevenue.Minor, t.StripeNet.Minor)
	}
	if _, err := desk.Decide(ctx, finance, invoicing.Wish{CycleID: id, Action: billing.ActRelease, Reason: "booked revenue is Stripe's to the cent"}); err != nil {
		return err
	}
	_, err := desk.Decide(ctx, approver, invoicing.Wish{CycleID: id, Action: billing.ActApprove, PlanHash: t.InvoiceHash, Reason: "the account's first invoice"})
	return err
}

// waitingFirst are the cycles of a month that wait for a person and that nobody saw yet.
func waitingFirst(companies []*company, m period.Month, states map[string]billing.CycleState, seen map[string]bool) (ids []string) {
	for _, c := range companies {
		if id := billing.CycleID(c.id, m); states[c.id] == billing.AwaitingApproval && !seen[id] {
			ids = append(ids, id)
		}
	}
	return ids
}
