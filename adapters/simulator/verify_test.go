package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/simulator"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// post speaks to Stripe beside the business.
func (s *stand) post(secret, path string, form url.Values, out any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.fake.URL+path, strings.NewReader(form.Encode()))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.fake.Client.Do(req)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, resp.Body.Close()) }()
	require.Equal(s.t, http.StatusOK, resp.StatusCode)
	require.NoError(s.t, json.NewDecoder(resp.Body).Decode(out))
}

func TestVerifyNamesTheFirstDifference(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-01")
	spec := simulator.DefaultSpec("a", 1, m).Scale(0.01)
	s := newStand(t, spec.Start())
	b := s.open(spec, "a", stripefake.Live)
	s.run(spec.Start(), spec.Start().AddDate(0, 0, 20), b)
	require.NoError(t, b.Verify(t.Context()))

	payer, err := b.CreatePayer(t.Context(), "Acme", "ap@acme.example")
	require.NoError(t, err)
	again, err := b.CreatePayer(t.Context(), "Acme", "ap@acme.example")
	require.NoError(t, err)
	require.Equal(t, payer, again)

	sell := func(metadata url.Values) {
		var in struct{ ID string }
		form := url.Values{"customer": {payer}, "auto_advance": {"false"}}
		for k, v := range metadata {
			form[k] = v
		}
		s.post("sk_live_a", "/v1/invoices", form, &in)
		s.post("sk_live_a", "/v1/invoiceitems", url.Values{"customer": {payer}, "invoice": {in.ID}, "amount": {"1234"}, "currency": {"usd"}}, &struct{}{})
		s.post("sk_live_a", "/v1/invoices/"+in.ID+"/pay", nil, &in)
	}
	sell(url.Values{"metadata[lb_key]": {"ours"}})
	require.NoError(t, b.Verify(t.Context()), "our own invoices are nobody's revenue")
	sell(nil)
	require.ErrorContains(t, b.Verify(t.Context()), "2026-01: customer "+payer+" (unknown to the model) brought 1234 minor units, the model says 0")
}

// Whatever goes wrong between the business and Stripe, every customer subscribes once.
func TestFaultsChangeNothing(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-01")
	spec := simulator.DefaultSpec("a", 2, m).Scale(0.05)
	s := newStand(t, spec.Start())
	b := s.open(spec, "a", stripefake.Live)
	s.fake.SetSeededFaults(&stripefake.SeededFaults{Requests: map[stripefake.FaultKind]float64{
		stripefake.FaultDropBefore: 0.02, stripefake.FaultDropAfter: 0.02, stripefake.Fault500Before: 0.02, stripefake.Fault500After: 0.02,
		stripefake.Fault500Late: 0.02, stripefake.FaultRateLimit: 0.02, stripefake.FaultLockTimeout: 0.02, stripefake.FaultConflict: 0.02,
		stripefake.FaultUnavailable: 0.02, stripefake.FaultTruncate: 0.02,
	}})
	s.run(spec.Start(), spec.FreshAt(m), b)
	require.NoError(t, b.Verify(t.Context()))
	state, err := s.fake.State("acct_a", stripefake.Live)
	require.NoError(t, err)
	require.Len(t, state["subscriptions"], len(state["customers"]))
	require.Len(t, state["prices"], len(spec.Prices))
}

// A process that died goes on with a Business made anew from the same Spec.
func TestANewProcessGoesOn(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-01")
	spec := simulator.DefaultSpec("a", 3, m).Scale(0.05)
	s := newStand(t, spec.Start())
	half := spec.Start().AddDate(0, 0, 9)
	s.run(spec.Start(), half, s.open(spec, "a", stripefake.Test))

	b, err := simulator.New(spec, simulator.Client{
		StripeURL: s.fake.URL, SecretKey: "sk_test_a", ControlURL: s.fake.URL, StripeAccount: "acct_a", Mode: stripefake.Test,
	})
	require.NoError(t, err)
	require.NoError(t, b.SetUp(t.Context()))
	require.NoError(t, b.Verify(t.Context()))
	s.run(half, spec.FreshAt(m), b)
	require.NoError(t, b.Verify(t.Context()))
	state, err := s.fake.State("acct_a", stripefake.Test)
	require.NoError(t, err)
	require.Len(t, state["products"], len(spec.Prices))
}

// Zones with changing clocks keep the ledger exact, and two businesses share a clock.
func TestZonesShareAClock(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-03")
	s := newStand(t, time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC))
	var all []*simulator.Business
	var to time.Time
	for name, zone := range map[string]string{"ny": "America/New_York", "syd": "Australia/Sydney"} {
		spec := simulator.DefaultSpec(name, 5, m).Scale(0.03)
		spec.Zone, spec.Currency = mustZone(t, zone), "aud"
		all = append(all, s.open(spec, name, stripefake.Live))
		if f := spec.FreshAt(m); f.After(to) {
			to = f
		}
	}
	s.run(s.fake.Clock.Now(), to, all...)
	for _, b := range all {
		require.NoError(t, b.Verify(t.Context()))
		require.Positive(t, b.NetMinor(m))
	}
}

func mustZone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := period.LoadZone(name)
	require.NoError(t, err)
	return z
}

// The product's own attribution of what Stripe booked gives the model's observed
// revenue, to the minor unit.
func TestAttributionFindsTheObservedRevenue(t *testing.T) {
	t.Parallel()
	spec := simulator.DefaultSpec("a", 12, month(t, "2026-01"), month(t, "2026-02")).Scale(0.1)
	s := newStand(t, spec.Start())
	b := s.open(spec, "a", stripefake.Live)
	last := spec.Months[1]
	s.run(spec.Start(), spec.FreshAt(last), b)

	joined, err := lift.Join(planOf(t, spec), exposuresOf(b), s.revenueOf("acct_a", last.In(spec.Zone).End), nil)
	require.NoError(t, err)
	truth := b.Truth(last)
	require.Len(t, joined.Tables, len(truth))
	for _, want := range truth {
		for i := range joined.Tables {
			if joined.Tables[i].SnapshotID == want.SnapshotID {
				require.Equal(t, want.ObservedMinor, joined.Tables[i].SumMinor(), want.SnapshotID)
				require.Len(t, joined.Tables[i].Rows, want.PolicyUnits+want.HoldoutUnits)
			}
		}
	}
	net := b.NetMinor(spec.Months[0]) + b.NetMinor(spec.Months[1])
	require.Equal(t, net, joined.Input.SumMinor)
	unmapped := joined.Bucket(lift.BucketUnmapped).SumMinor
	require.Positive(t, unmapped)
	require.Less(t, float64(unmapped), 0.02*float64(net))
	require.Positive(t, joined.Bucket(lift.BucketNoDecision).SumMinor)
	require.Zero(t, joined.Bucket(lift.BucketBeforeExposure).Events)
	require.Empty(t, joined.Crossover)
}

func planOf(t *testing.T, spec simulator.Spec) lift.Plan {
	t.Helper()
	p, err := lift.DefaultPlan(lift.PlanTerms{
		Version: 1, First: spec.Months[0], Currency: spec.Currency, Unit: "user", Baseline: simulator.Baseline,
		HoldoutProbability: spec.HoldoutProbability, SaltCommitment: lift.SaltCommitment(spec.Salt), Features: simulator.Features(),
	})
	require.NoError(t, err)
	return p
}

func exposuresOf(b *simulator.Business) []lift.Exposure {
	var out []lift.Exposure
	for _, m := range b.Spec().Months {
		for _, d := range b.Rows(m) {
			e := lift.Exposure{UnitID: d.UnitID, SnapshotID: d.SnapshotID, Arm: lift.Arm(d.Arm), At: d.At, PropensityOK: true}
			for _, f := range simulator.Features() {
				e.Features = append(e.Features, d.Features[f])
			}
			out = append(out, e)
		}
	}
	return out
}

// revenueOf reads the stand-in's objects without the simulator's help.
func (s *stand) revenueOf(account string, until time.Time) []lift.Revenue {
	s.t.Helper()
	type object struct {
		ID, Customer, Charge string
		Amount, Created      int64
		Paid                 int64 `json:"amount_paid"`
		Metadata             map[string]string
		Transitions          struct {
			Paid int64 `json:"paid_at"`
		} `json:"status_transitions"`
	}
	state, err := s.fake.State(account, stripefake.Live)
	require.NoError(s.t, err)
	read := func(kind string, each func(object)) {
		for _, raw := range state[kind] {
			var o object
			require.NoError(s.t, json.Unmarshal(raw, &o))
			each(o)
		}
	}
	users, payers, out := map[string]string{}, map[string]string{}, []lift.Revenue(nil)
	read("customers", func(o object) { users[o.ID] = o.Metadata["user_id"] })
	read("charges", func(o object) { payers[o.ID] = users[o.Customer] })
	book := func(o object, user string, amount, at int64) {
		if when := time.Unix(at, 0); when.Before(until) && amount != 0 {
			out = append(out, lift.Revenue{Key: o.ID, UnitID: user, AmountMinor: amount, At: when})
		}
	}
	read("invoices", func(o object) { book(o, users[o.Customer], o.Paid, o.Transitions.Paid) })
	read("refunds", func(o object) { book(o, payers[o.Charge], -o.Amount, o.Created) })
	read("disputes", func(o object) { book(o, payers[o.Charge], -o.Amount, o.Created) })
	return out
}
