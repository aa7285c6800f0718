package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/adapters/simulator"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// company is one simulated customer of the vendor.
type company struct {
	id, name    string
	env         account.Environment
	basis       lift.Basis
	ownIssuer   bool // the vendor's own Stripe account issues the invoice
	stripeID    string
	vendorKey   string // the vendor's own key, with which the demo makes the payer; liftbill never sees it
	business    *simulator.Business
	sourceKeyID string
}

// world is the simulated month with its three companies.
type world struct {
	stack     *stack
	companies []*company
	world     *simulator.World
	until     time.Time
}

// The vendor's own Stripe account and its connection.
const (
	vendorStripe     = "acct_vendor"
	vendorConnection = "vendor-issuer"
)

func companies() []*company {
	return []*company{
		{id: "acme", name: "Acme Notes", env: account.Live, basis: lift.BasisMeasured, stripeID: "acct_acme"},
		{id: "borealis", name: "Borealis CRM", env: account.Live, basis: lift.BasisProven, ownIssuer: true, stripeID: "acct_borealis"},
		{id: "cedar-test", name: "Cedar Forms (test)", env: account.Test, basis: lift.BasisMeasured, stripeID: "acct_cedar"},
	}
}

// Permissions of the restricted keys that the demo gives to liftbill.
var (
	readAndRegister = map[string]string{"*": "read", "webhook": "write"}
	readAndInvoice  = map[string]string{"*": "read", "webhook": "write", "invoice": "write", "invoiceitem": "write", "credit_note": "write"}
)

type fakeKey struct {
	Mode        string            `json:"mode"`
	Restricted  bool              `json:"restricted,omitempty"`
	Permissions map[string]string `json:"permissions,omitempty"`
}

type fakeAccount struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Keys []fakeKey `json:"keys"`
}

type madeKeys struct {
	Keys []struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	} `json:"keys"`
}

// onboardDemo sets the three companies up, as an integrator would: through
// Stripe's API on one side and liftbill's API on the other.
func onboardDemo(ctx context.Context, s *stack, p *progress) (*world, error) {
	w := &world{stack: s, companies: companies()}
	p.step("connecting three companies")
	if err := w.vendorIssuer(ctx); err != nil {
		return nil, err
	}
	var businesses []*simulator.Business
	for i, c := range w.companies {
		if err := w.connect(ctx, c, s.flags.seed*1000+int64(i)); err != nil {
			return nil, fmt.Errorf("onboard %s: %w", c.id, err)
		}
		businesses = append(businesses, c.business)
	}
	w.world = simulator.NewWorld(s.stripe, businesses...)
	p.done("acme (measured, own key), borealis (proven, vendor's issuer), cedar-test (test mode)")
	return w, w.ensureSchedules(ctx)
}

func (w *world) vendorIssuer(ctx context.Context) error {
	var made madeKeys
	err := call(ctx, http.MethodPost, w.stack.stripe+"/_fake/accounts", fakeAccount{ID: vendorStripe, Name: "The vendor", Keys: []fakeKey{
		{Mode: "live", Restricted: true, Permissions: readAndInvoice}, {Mode: "live"},
	}}, &made)
	if err != nil {
		return err
	}
	for _, c := range w.companies {
		if c.ownIssuer {
			c.vendorKey = made.Keys[1].Secret
		}
	}
	return w.post(ctx, account.Live, "/v1/connections", httpapi.ConnectionCreate{
		ID: vendorConnection, Environment: httpapi.Environment(account.Live), Roles: []string{"issuer"}, SecretKey: made.Keys[0].Secret,
	}, nil)
}

func (w *world) connect(ctx context.Context, c *company, seed int64) error {
	perms := readAndInvoice
	if c.ownIssuer {
		perms = readAndRegister
	}
	var made madeKeys
	err := call(ctx, http.MethodPost, w.stack.stripe+"/_fake/accounts", fakeAccount{ID: c.stripeID, Name: c.name, Keys: []fakeKey{
		{Mode: c.env.String(), Restricted: true, Permissions: perms}, {Mode: c.env.String()},
	}}, &made)
	if err != nil {
		return err
	}
	c.sourceKeyID = made.Keys[0].ID
	stripe := simulator.Client{StripeURL: w.stack.stripe, SecretKey: made.Keys[1].Secret, ControlURL: w.stack.stripe, StripeAccount: c.stripeID, Mode: c.env.String()}
	spec := simulator.DefaultSpec(c.id, seed, w.stack.months...).Scale(w.stack.flags.scale)
	if c.business, err = simulator.New(spec, stripe); err != nil {
		return err
	}
	if err := c.business.SetUp(ctx); err != nil {
		return err
	}
	source := c.id + "-stripe"
	roles := []string{"source", "issuer"}
	issuer, payerAt := source, stripe
	if c.ownIssuer {
		roles, issuer = []string{"source"}, vendorConnection
		payerAt = simulator.Client{StripeURL: w.stack.stripe, SecretKey: c.vendorKey, ControlURL: w.stack.stripe, StripeAccount: vendorStripe, Mode: c.env.String()}
	}
	if err := w.post(ctx, c.env, "/v1/connections", httpapi.ConnectionCreate{
		ID: source, Environment: httpapi.Environment(c.env), Roles: roles, SecretKey: made.Keys[0].Secret,
	}, nil); err != nil {
		return err
	}
	if err := w.post(ctx, c.env, "/v1/connections/"+source+"/webhook-endpoint", nil, nil); err != nil {
		return err
	}
	payer, err := simulator.CreatePayer(ctx, payerAt, c.name, "accounts-payable@"+c.id+".example")
	if err != nil {
		return err
	}
	return w.agree(ctx, c, source, issuer, payer, spec)
}

// agree stores account, contract, sealed plan and snapshots.
func (w *world) agree(ctx context.Context, c *company, source, issuer, payer string, spec simulator.Spec) error {
	first := w.stack.months[0].String()
	if err := w.post(ctx, c.env, "/v1/accounts", httpapi.AccountCreate{
		ID: c.id, Environment: httpapi.Environment(c.env), Name: c.name, SourceConnection: source, IssuerConnection: issuer, PayerCustomer: payer,
	}, nil); err != nil {
		return err
	}
	base := "/v1/accounts/" + c.id
	if c.env == account.Live {
		// The demo shows the first month's invoice, so that there is no shadow month before it.
		open := httpapi.GoLiveChange{Open: true, Override: true, Reason: "demonstration: the first month is invoiced without a shadow month"}
		if err := w.post(ctx, c.env, base+"/go-live", open, nil); err != nil {
			return err
		}
	}
	if err := w.post(ctx, c.env, base+"/contracts", httpapi.ContractCreate{
		ID: c.id + "-contract", Share: "0.20", Basis: string(c.basis), Currency: string(spec.Currency), TimeZone: "UTC",
		CollectionMethod: string(billing.SendInvoice), FirstPeriod: first, PoNumber: "PO-" + c.id,
	}, nil); err != nil {
		return err
	}
	var sealed httpapi.Plan
	if err := w.post(ctx, c.env, base+"/plans", httpapi.PlanCreate{
		ID: c.id + "-plan", Salt: hex.EncodeToString(spec.Salt), FirstPeriod: first, Currency: string(spec.Currency), Unit: "user",
		Baseline: simulator.Baseline, HoldoutProbability: spec.HoldoutProbability, Features: simulator.Features(), AttributionDays: spec.AttributionDays,
	}, &sealed); err != nil {
		return err
	}
	c.business.UnderPlan(sealed.Hash)
	for _, sn := range spec.Snapshots {
		if err := w.post(ctx, c.env, base+"/snapshots", httpapi.SnapshotCreate{ID: sn.ID, Name: sn.Name}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) post(ctx context.Context, env account.Environment, path string, in, out any) error {
	return callAs(ctx, w.stack.keys.tokens[env], http.MethodPost, w.stack.api+path, in, out)
}

func (w *world) get(ctx context.Context, env account.Environment, path string, out any) error {
	return callAs(ctx, w.stack.keys.tokens[env], http.MethodGet, w.stack.api+path, nil, out)
}

func (s *stack) connectTemporal(ctx context.Context) (*scheduler.Scheduler, error) {
	return scheduler.Connect(ctx, client.Options{HostPort: s.tmprl.Address, Namespace: s.tmprl.Namespace}, slog.New(slog.DiscardHandler))
}

// calendar is the one that the demo's contracts share.
func (w *world) calendar() billing.Calendar {
	return billing.Calendar{TimeZone: "UTC", CloseLagDays: billing.DefaultTerms().CloseLagDays}
}

var environments = []account.Environment{account.Live, account.Test}

func (w *world) ensureSchedules(ctx context.Context) error {
	sched, err := w.stack.connectTemporal(ctx)
	if err != nil {
		return err
	}
	defer sched.Close()
	for _, env := range environments {
		if _, err := sched.Ensure(ctx, env, w.calendar()); err != nil {
			return err
		}
	}
	return nil
}

// bill lives through the months and bills each one when its close lag is over.
func (w *world) bill(ctx context.Context, p *progress) (*report, error) {
	w.until = w.companies[0].business.Spec().Start()
	last := w.stack.months[len(w.stack.months)-1]
	for _, m := range w.stack.months {
		if err := w.live(ctx, m, p); err != nil {
			return nil, err
		}
		if err := w.upload(ctx, m, p); err != nil {
			return nil, err
		}
		if m == last { // what it will come to, beside what it comes to
			if err := w.accrue(ctx, m, p); err != nil {
				return nil, err
			}
		}
		if err := w.close(ctx, m, p); err != nil {
			return nil, err
		}
	}
	if err := w.accrue(ctx, last.Add(1), p); err != nil {
		return nil, err
	}
	if err := w.compare(ctx, p); err != nil {
		return nil, err
	}
	for _, c := range w.companies {
		if err := c.business.Verify(ctx); err != nil {
			return nil, fmt.Errorf("the simulation's own ledger of %s: %w", c.id, err)
		}
	}
	return w.report(ctx)
}

func (w *world) live(ctx context.Context, m period.Month, p *progress) error {
	p.step("living through %s", m.Name())
	to := w.companies[0].business.Spec().FreshAt(m)
	if fire := scheduler.FireTime(w.calendar(), m.In(time.UTC).End, time.UTC); fire.After(to) {
		to = fire
	}
	if err := w.world.Run(ctx, w.until, to, p.at); err != nil {
		return err
	}
	w.until = to
	var stats struct{ Sent, Failed int }
	if err := call(ctx, http.MethodGet, w.stack.stripe+"/_fake/webhooks", nil, &stats); err != nil {
		return err
	}
	p.done("%d webhooks delivered, duplicates, late and reordered ones among them", stats.Sent)
	return nil
}

func (w *world) upload(ctx context.Context, m period.Month, p *progress) error {
	p.step("uploading the decision logs")
	total := 0
	for _, c := range w.companies {
		var res httpapi.DecisionUpload
		if err := w.post(ctx, c.env, "/v1/accounts/"+c.id+"/decisions", c.business.Decisions(m), &res); err != nil {
			return err
		}
		if res.Rejected > 0 {
			return fault.New(fault.Internal, "decisions_rejected", "%d decisions of %s were refused", res.Rejected, c.id)
		}
		total += res.Accepted
	}
	p.done("%d decisions", total)
	return nil
}

// closeWithin bounds how long the cycles of a month may take.
const closeWithin = 5 * time.Minute

// close fires the Schedules of the month by backfill and waits for the cycles.
func (w *world) close(ctx context.Context, m period.Month, p *progress) error {
	p.step("billing %s through the Temporal Schedules", m.Name())
	sched, err := w.stack.connectTemporal(ctx)
	if err != nil {
		return err
	}
	defer sched.Close()
	fire := scheduler.FireTime(w.calendar(), m.In(time.UTC).End, time.UTC)
	for _, env := range environments {
		if err := sched.Backfill(ctx, env, w.calendar(), fire.Add(-time.Minute), fire.Add(time.Minute)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	released := map[string]bool{}
	for {
		if err := w.stack.keepWorker(p); err != nil {
			return err
		}
		states, err := w.states(ctx, m)
		if err != nil {
			return err
		}
		if waiting := waitingFirst(w.companies, m, states, released); len(waiting) > 0 {
			if err := w.release(ctx, waiting, p); err != nil {
				return err
			}
			for _, id := range waiting {
				released[id] = true
			}
			continue
		}
		done := 0
		for _, st := range states {
			if st.Terminal() || st == billing.Blocked || st == billing.NeedsHuman {
				done++
			}
		}
		p.at(done, len(w.companies), fmt.Sprint(states))
		if done == len(w.companies) {
			p.done("%v", states)
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "cycles_unfinished", "the cycles of %s did not finish: %v", m, states).
				Fix("Look at the runs in the Temporal console: %s", w.stack.tmprl.UIURL)
		case <-tick.C:
		}
	}
}

func (w *world) states(ctx context.Context, m period.Month) (map[string]billing.CycleState, error) {
	out := map[string]billing.CycleState{}
	for _, env := range environments {
		var list httpapi.CycleList
		if err := w.get(ctx, env, "/v1/cycles?period="+url.QueryEscape(m.String()), &list); err != nil {
			return nil, err
		}
		for _, c := range list.Items {
			out[c.AccountID] = billing.CycleState(c.State)
		}
	}
	return out, nil
}
