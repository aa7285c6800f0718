package pipelinetest

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/simulator"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Company is one simulated customer of the vendor in the fixture month.
type Company struct {
	ID          string
	Environment account.Environment
	Basis       lift.Basis
	// VendorIssues: the vendor's own Stripe account issues the invoice.
	VendorIssues bool
	// Closed: its live writing is left closed, as that of every new account.
	Closed bool
	// StripeID is its Stripe account, IssuerID the one of its invoices, and KeyID the
	// key with which liftbill reaches StripeID.
	StripeID, IssuerID, KeyID string
	// Operator is the key of somebody else who works on StripeID.
	Operator string
	Business *simulator.Business
}

// CycleID is the fixture month's cycle.
func (c *Company) CycleID() string { return c.ID + "." + Month }

// The fixture: its month, and the snapshots by what they are.
const (
	Month      = "2026-10"
	RunOffDays = 35 // of YearEnd
	Positive   = "a-better-offer"
	Null       = "b-other-words"
	Harmful    = "c-hard-sell"
	vendorID   = "acct_vendor"
	vendorConn = "vendor-issuer"
)

// Calendar is the one of the fixture's contracts.
func Calendar() billing.Calendar {
	return billing.Calendar{TimeZone: "UTC", CloseLagDays: billing.DefaultTerms().CloseLagDays}
}

// LiveMonth sets three companies up through the API, lives through a month with
// webhooks delivered to the API, and uploads the decision logs. What follows is to
// bill it. The units are few, so the plan's limits are low. What early does happens as
// the month begins.
func LiveMonth(t testing.TB, early ...func(*Deployment, []*Company)) (*Deployment, []*Company) {
	t.Helper()
	m, err := period.Parse(Month)
	require.NoError(t, err)
	d := NewDeployment(t, m.In(time.UTC).Start)
	companies := []*Company{
		{ID: "acme", Environment: account.Live, Basis: lift.BasisMeasured, StripeID: "acct_acme", IssuerID: "acct_acme"},
		{ID: "borealis", Environment: account.Live, Basis: lift.BasisProven, StripeID: "acct_borealis", IssuerID: vendorID, VendorIssues: true},
		{ID: "cedar-test", Environment: account.Test, Basis: lift.BasisMeasured, StripeID: "acct_cedar", IssuerID: "acct_cedar"},
	}
	vendor := d.Fake.MustAccount(stripefake.AccountSpec{ID: vendorID, Name: "Vendor", Keys: []stripefake.KeySpec{
		{Mode: stripefake.Live, Restricted: true, Permissions: issuerPermissions}, {Mode: stripefake.Live},
	}})
	d.Post(t, "/v1/connections", httpapi.ConnectionCreate{ID: vendorConn, Environment: "live", Roles: []string{"issuer"}, SecretKey: vendor.Keys[0].Secret}, nil)
	var businesses []*simulator.Business
	for i, c := range companies {
		d.onboard(t, c, int64(i+1), m, vendor.Keys[1].Secret, nil)
		businesses = append(businesses, c.Business)
	}
	for _, do := range early {
		do(d, companies)
	}
	spec := companies[0].Business.Spec()
	require.NoError(t, simulator.NewWorld(d.Fake.URL, businesses...).Run(t.Context(), spec.Start(), spec.FreshAt(m), nil))
	for _, c := range companies {
		var up httpapi.DecisionUpload
		d.Post(t, "/v1/accounts/"+c.ID+"/decisions", c.Business.Decisions(m), &up)
		require.Zero(t, up.Rejected)
		require.Positive(t, up.Accepted)
	}
	return d, companies
}

// ApprovalMonth is the month of one live company whose invoices a person releases.
func ApprovalMonth(t testing.TB) (*Deployment, *Company) {
	t.Helper()
	m, err := period.Parse(Month)
	require.NoError(t, err)
	d := NewDeployment(t, m.In(time.UTC).Start)
	c := &Company{ID: "acme", Environment: account.Live, Basis: lift.BasisMeasured, StripeID: "acct_acme", IssuerID: "acct_acme"}
	d.onboard(t, c, 1, m, "", func(k *httpapi.ContractCreate, _ *httpapi.PlanCreate) {
		k.Approval = httpapi.Approval{Mode: string(billing.ApprovalRequired)}
	})
	spec := c.Business.Spec()
	require.NoError(t, simulator.NewWorld(d.Fake.URL, c.Business).Run(t.Context(), spec.Start(), spec.FreshAt(m), nil))
	var up httpapi.DecisionUpload
	d.Post(t, "/v1/accounts/"+c.ID+"/decisions", c.Business.Decisions(m), &up)
	require.Zero(t, up.Rejected)
	return d, c
}

// PartMonth is the month of one live company up to some days before its end, with the
// decisions so far; finish lives through the rest and uploads all of them.
func PartMonth(t testing.TB, days int) (d *Deployment, c *Company, finish func()) {
	t.Helper()
	m, err := period.Parse(Month)
	require.NoError(t, err)
	d = NewDeployment(t, m.In(time.UTC).Start)
	c = &Company{ID: "acme", Environment: account.Live, Basis: lift.BasisMeasured, StripeID: "acct_acme", IssuerID: "acct_acme"}
	d.onboard(t, c, 1, m, "", nil)
	spec, until := c.Business.Spec(), m.In(time.UTC).End.AddDate(0, 0, -days)
	world := simulator.NewWorld(d.Fake.URL, c.Business)
	upload := func(to time.Time) {
		var up httpapi.DecisionUpload
		var rows []decision.Decision
		for _, r := range c.Business.Rows(m) {
			if r.At.Before(to) {
				rows = append(rows, r)
			}
		}
		d.Post(t, "/v1/accounts/"+c.ID+"/decisions", simulator.Log(rows), &up)
		require.Zero(t, up.Rejected, "%+v", up.Rows)
	}
	require.NoError(t, world.Run(t.Context(), spec.Start(), until, nil))
	upload(until)
	return d, c, func() {
		require.NoError(t, world.Run(t.Context(), until, spec.FreshAt(m), nil))
		upload(m.In(time.UTC).End.AddDate(0, 1, 0))
	}
}

// ExploringMonth is the month of one company of a test account: change, which may be
// nil, says how its contract and plan differ, and decide makes its decision log of the simulated one.
func ExploringMonth(t testing.TB, change func(*httpapi.ContractCreate, *httpapi.PlanCreate), decide func([]decision.Decision) []decision.Decision) (*Deployment, *Company) {
	t.Helper()
	m, err := period.Parse(Month)
	require.NoError(t, err)
	d := NewDeployment(t, m.In(time.UTC).Start)
	c := &Company{ID: "acme", Environment: account.Test, Basis: lift.BasisMeasured, StripeID: "acct_acme", IssuerID: "acct_acme"}
	d.onboard(t, c, 1, m, "", change)
	spec := c.Business.Spec()
	require.NoError(t, simulator.NewWorld(d.Fake.URL, c.Business).Run(t.Context(), spec.Start(), spec.FreshAt(m), nil))
	var up httpapi.DecisionUpload
	d.Post(t, "/v1/accounts/"+c.ID+"/decisions", simulator.Log(decide(c.Business.Rows(m))), &up)
	require.Zero(t, up.Rejected, "%+v", up.Rows)
	return d, c
}

// ShadowMonth is the month of one live company whose writing nobody has opened.
func ShadowMonth(t testing.TB) (*Deployment, *Company) {
	t.Helper()
	m, err := period.Parse(Month)
	require.NoError(t, err)
	d := NewDeployment(t, m.In(time.UTC).Start)
	c := &Company{ID: "acme", Environment: account.Live, Basis: lift.BasisMeasured, StripeID: "acct_acme", IssuerID: "acct_acme", Closed: true}
	d.onboard(t, c, 1, m, "", nil)
	spec := c.Business.Spec()
	require.NoError(t, simulator.NewWorld(d.Fake.URL, c.Business).Run(t.Context(), spec.Start(), spec.FreshAt(m), nil))
	var up httpapi.DecisionUpload
	d.Post(t, "/v1/accounts/"+c.ID+"/decisions", c.Business.Decisions(m), &up)
	require.Zero(t, up.Rejected, "%+v", up.Rows)
	return d, c
}

func (d *Deployment) onboard(t testing.TB, c *Company, seed int64, m period.Month, vendorKey string, change func(*httpapi.ContractCreate, *httpapi.PlanCreate)) {
	t.Helper()
	permissions := map[string]string{"*": "read", "webhook": "write"}
	if !c.VendorIssues {
		permissions["invoice"], permissions["invoiceitem"], permissions["credit_note"] = "write", "write", "write"
	}
	mode := c.Environment.String()
	made := d.Fake.MustAccount(stripefake.AccountSpec{ID: c.StripeID, Name: c.ID, Keys: []stripefake.KeySpec{
		{Mode: mode, Restricted: true, Permissions: permissions}, {Mode: mode},
	}})
	c.KeyID, c.Operator = made.Keys[0].ID, made.Keys[1].Secret
	at := simulator.Client{StripeURL: d.Fake.URL, SecretKey: made.Keys[1].Secret, ControlURL: d.Fake.URL, StripeAccount: c.StripeID, Mode: mode}
	spec := simulator.DefaultSpec(c.ID, seed, m)
	spec.Snapshots = []simulator.SnapshotSpec{
		{ID: Positive, Name: "A better offer", Units: 160, BaselineConversion: 0.25, PolicyConversion: 0.85},
		{ID: Null, Name: "Other words", Units: 100, BaselineConversion: 0.35, PolicyConversion: 0.35},
		{ID: Harmful, Name: "Hard sell", Units: 100, BaselineConversion: 0.45, PolicyConversion: 0.25},
	}
	spec.Unmapped, spec.Prices = 1, []int64{2900, 3900}
	var err error
	c.Business, err = simulator.New(spec, at)
	require.NoError(t, err)
	require.NoError(t, c.Business.SetUp(t.Context()))
	source, roles := c.ID+"-stripe", []string{"source", "issuer"}
	issuer, payerAt := source, at
	if c.VendorIssues {
		roles, issuer = roles[:1], vendorConn
		payerAt.SecretKey, payerAt.StripeAccount = vendorKey, vendorID
	}
	d.Post(t, "/v1/connections", httpapi.ConnectionCreate{ID: source, Environment: httpapi.Environment(c.Environment), Roles: roles, SecretKey: made.Keys[0].Secret}, nil)
	d.Post(t, "/v1/connections/"+source+"/webhook-endpoint", nil, nil)
	payer, err := simulator.CreatePayer(t.Context(), payerAt, c.ID, "payables@"+c.ID+".example")
	require.NoError(t, err)
	d.agree(t, c, source, issuer, payer, spec, change)
}

// agree stores account, contract, sealed plan and snapshots.
func (d *Deployment) agree(t testing.TB, c *Company, source, issuer, payer string, spec simulator.Spec, change func(*httpapi.ContractCreate, *httpapi.PlanCreate)) {
	t.Helper()
	d.Post(t, "/v1/accounts", httpapi.AccountCreate{
		ID: c.ID, Environment: httpapi.Environment(c.Environment), Name: c.ID, SourceConnection: source, IssuerConnection: issuer, PayerCustomer: payer,
	}, nil)
	base := "/v1/accounts/" + c.ID
	if c.Environment == account.Live && !c.Closed {
		d.Post(t, base+"/go-live", httpapi.GoLiveChange{Open: true, Override: true, Reason: "the fixture's first month is invoiced"}, nil)
	}
	contract := httpapi.ContractCreate{
		ID: c.ID + "-contract", Share: "0.20", Basis: string(c.Basis), Currency: "usd", TimeZone: "UTC",
		CollectionMethod: string(billing.SendInvoice), FirstPeriod: Month, PoNumber: "PO-" + c.ID,
	}
	plan, sealed := httpapi.PlanCreate{
		ID: c.ID + "-plan", Salt: hex.EncodeToString(spec.Salt), FirstPeriod: Month, Currency: "usd", Unit: "user", Baseline: simulator.Baseline,
		HoldoutProbability: spec.HoldoutProbability, Features: simulator.Features(), AttributionDays: spec.AttributionDays,
		Thresholds: httpapi.Thresholds{MinUnits: 30, MinBaselinePayers: 5, MinEss: "20", MaxWeightDominance: "0.5", UnmappedShare: "0.2"},
	}, httpapi.Plan{}
	if change != nil {
		change(&contract, &plan)
	}
	d.Post(t, base+"/contracts", contract, nil)
	d.Post(t, base+"/plans", plan, &sealed)
	c.Business.UnderPlan(sealed.Hash)
	for _, sn := range spec.Snapshots {
		d.Post(t, base+"/snapshots", httpapi.SnapshotCreate{ID: sn.ID, Name: sn.Name}, nil)
	}
}

// YearEnd is one live company whose contract year ends with the fixture month: its users
// come in that month, pay on in the run-off until its settlement is due, and some of them
// are decided about again in the following year.
func YearEnd(t testing.TB) (*Deployment, *Company) {
	t.Helper()
	m, err := period.Parse(Month)
	require.NoError(t, err)
	first := m.Add(1 - lift.PeriodsPerYear)
	d := NewDeployment(t, first.In(time.UTC).Start)
	c := &Company{ID: "acme", Environment: account.Live, Basis: lift.BasisMeasured, StripeID: "acct_acme", IssuerID: "acct_acme"}
	d.onboard(t, c, 1, m, "", func(k *httpapi.ContractCreate, p *httpapi.PlanCreate) {
		k.FirstPeriod, p.FirstPeriod, p.AttributionDays = first.String(), first.String(), RunOffDays
	})
	next := m.Add(1).In(time.UTC).Start
	spec := c.Business.Spec()
	require.NoError(t, simulator.NewWorld(d.Fake.URL, c.Business).Run(t.Context(), spec.Start(), next.AddDate(0, 0, RunOffDays).Add(spec.CloseLag+6*time.Hour), nil))
	log := c.Business.Rows(m)
	for _, row := range log[:40] {
		row.ID, row.At, row.PlanHash, row.SaltCommitment = row.ID+"-next", next.AddDate(0, 0, 2), "", ""
		log = append(log, row)
	}
	var up httpapi.DecisionUpload
	d.Post(t, "/v1/accounts/"+c.ID+"/decisions", simulator.Log(log), &up)
	require.Zero(t, up.Rejected, "%+v", up.Rows)
	return d, c
}
