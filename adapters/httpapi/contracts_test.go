package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
)

const pricing = `"share":"0.25","rounding":"half_up","dispute_days":15,"floor_minor":100,"platform_fee_minor":50000,
	"tiers":{"mode":"whole","reset":"month","above":[{"from_minor":1000000,"share":"0.15"}]},
	"caps":{"month_minor":500000,"excess":"carried"},
	"minimum_commitment":{"amount_minor":900000,"every":"quarter","counts":["performance"]},
	"outcomes":[{"kind":"upgrade","price_minor":"99.5","included":3}],
	"phases":[{"kind":"shadow","months":1,"waive_fixed_fees":true},{"kind":"ramp","months":2,"factor":"0.5"}],
	"holdback":{"share":"0.10","release_after_months":2},
	"netting":{"mode":"agreed_rate","rate":"0.02"}`

func agreed() billing.Terms {
	t := billing.DefaultTerms()
	t.Share, t.Rounding, t.DisputeDays, t.FloorMinor, t.PlatformFeeMinor = "0.25", "half_up", 15, 100, 50_000
	t.Tiers = &billing.Tiers{Mode: billing.Whole, Reset: billing.PerMonth, Above: []billing.Tier{{FromMinor: 1_000_000, Share: "0.15"}}}
	t.Caps = &billing.Caps{MonthMinor: 500_000, Excess: billing.ExcessCarried}
	t.Minimum = &billing.Minimum{AmountMinor: 900_000, Every: billing.PerQuarter, Counts: []billing.Counted{billing.CountsPerformance}}
	t.Outcomes = []billing.OutcomePrice{{Kind: "upgrade", PriceMinor: "99.5", Included: 3}}
	t.Phases = []billing.Phase{{Kind: billing.PhaseShadow, Months: 1, WaiveFixed: true}, {Kind: billing.PhaseRamp, Months: 2, Factor: "0.5"}}
	t.Holdback, t.Netting = &billing.Holdback{Share: "0.10", ReleaseAfterMonths: 2}, &billing.Netting{Mode: billing.NetAgreedRate, Rate: "0.02"}
	return t
}

// Every term of the price reaches the contract, and the answer shows it again.
func TestContractTakesEveryTerm(t *testing.T) {
	t.Parallel()
	var given billing.Terms
	e := newServer(t, &fakes{contract: func(terms billing.Terms) (billing.Contract, bool, error) {
		given = terms
		c, err := billing.NewContract("c", "acme", account.Live, 1, terms, at)
		return c, true, err
	}})
	w, body := serve(t, e, request(http.MethodPost, "/v1/accounts/acme/contracts", `{"id":"c","first_period":"2026-10",`+pricing+`}`))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	want := agreed()
	want.FirstPeriod = "2026-10"
	require.Equal(t, want, given)
	type obj = map[string]any
	require.Equal(t, obj{"mode": "whole", "reset": "month", "above": []any{obj{"from_minor": 1e6, "share": "0.15"}}}, body["tiers"])
	require.Equal(t, obj{"month_minor": 5e5, "year_minor": 0., "total_minor": 0., "excess": "carried"}, body["caps"])
	require.Equal(t, obj{"amount_minor": 9e5, "every": "quarter", "counts": []any{"performance"}}, body["minimum_commitment"])
	require.Equal(t, []any{obj{"kind": "upgrade", "price_minor": "99.5", "included": 3.}}, body["outcomes"])
	require.Equal(t, []any{obj{"kind": "shadow", "months": 1., "waive_fixed_fees": true}, obj{"kind": "ramp", "months": 2., "factor": "0.5", "waive_fixed_fees": false}}, body["phases"])
	require.Equal(t, obj{"share": "0.10", "release_after_months": 2.}, body["holdback"])
	require.Equal(t, obj{"mode": "agreed_rate", "rate": "0.02", "lookback_days": 0.}, body["netting"])
	require.Equal(t, []any{100., 50_000., 15., "2026-10"}, []any{body["floor_minor"], body["platform_fee_minor"], body["dispute_days"], body["effective_from"]})
	require.Contains(t, body["terms"], "Platform fee of 500.00 USD a month")

	// What is not agreed on is said too.
	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/contracts", `{"id":"c","first_period":"2026-10","tiers":null,"caps":{}}`))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	for _, field := range []string{"tiers", "caps", "minimum_commitment", "holdback"} {
		v, there := body[field]
		require.True(t, there && v == nil, field)
	}
	require.Equal(t, []any{}, body["outcomes"])
	require.Equal(t, obj{"mode": "actual", "rate": "", "lookback_days": 0.}, body["netting"])

	for field, text := range map[string]string{
		"tiers.above": `"tiers":{"mode":"whole"}`, "caps.month_minor": `"caps":{"month_minor":-1}`, "minimum_commitment.amount_minor": `"minimum_commitment":{"amount_minor":-1}`,
		"outcomes[0].kind": `"outcomes":[{"kind":"refund","price_minor":"1"}]`, "phases[0].months": `"phases":[{"kind":"shadow"}]`,
		"holdback.share": `"holdback":{"release_after_months":1}`, "netting.rate": `"netting":{"mode":"agreed_rate"}`, "excess_share": `"caps":{"excess_share":"1"}`,
	} {
		w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/contracts", `{"id":"c","first_period":"2026-10",`+text+`}`))
		require.Equal(t, http.StatusBadRequest, w.Code, field)
		require.Equal(t, field, body["field"], w.Body.String())
	}
}

// A version takes the whole terms and its first month, and nothing that lasts for life.
func TestContractVersions(t *testing.T) {
	t.Parallel()
	terms := billing.DefaultTerms()
	terms.FirstPeriod = "2026-10"
	first, err := billing.NewContract("c", "acme", account.Live, 1, terms, at)
	require.NoError(t, err)
	f := &fakes{versions: billing.Versions{first}}
	f.amend = func(id string, terms billing.Terms) (billing.Contract, bool, error) {
		c, err := f.versions.Amend(id, terms, at)
		if err == nil {
			f.versions = append(f.versions, c)
		}
		return c, err == nil, err
	}
	e := newServer(t, f)
	w, body := serve(t, e, request(http.MethodPost, "/v1/accounts/acme/contracts/versions", `{"id":"c2","effective_from":"2027-10",`+pricing+`}`))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	require.Equal(t, []any{"c2", 2., "2027-10", "2026-10", "usd", "0.25"}, []any{body["id"], body["version"], body["effective_from"], body["first_period"], body["currency"], body["share"]})
	want := agreed()
	want.FirstPeriod, want.EffectiveFrom = "2026-10", "2027-10"
	want, err = want.Normalise()
	require.NoError(t, err)
	require.Equal(t, want, f.versions[1].Terms)

	w, body = serve(t, e, request(http.MethodGet, "/v1/accounts/acme/contracts", ""))
	require.Equal(t, http.StatusOK, w.Code)
	items, ok := body["items"].([]any)
	require.True(t, ok)
	require.Len(t, items, 2)
	require.Equal(t, "2027-10", items[0].(map[string]any)["effective_until"])
	require.NotContains(t, items[1], "effective_until")
	for period, id := range map[string]string{"2026-10": "c", "2027-09": "c", "2027-10": "c2", "2030-01": "c2"} {
		w, body = serve(t, e, request(http.MethodGet, "/v1/accounts/acme/contracts/effective?period="+period, ""))
		require.Equal(t, http.StatusOK, w.Code, w.Body.String())
		require.Equal(t, id, body["id"], period)
	}
	for path, field := range map[string]string{"?period=2026-09": "period", "?period=soon": "period"} {
		w, body = serve(t, e, request(http.MethodGet, "/v1/accounts/acme/contracts/effective"+path, ""))
		require.Equal(t, http.StatusBadRequest, w.Code, path)
		require.Equal(t, field, body["field"])
	}
	for text, field := range map[string]string{
		`{"id":"c3","effective_from":"2028-10","currency":"eur"}`: "currency", `{"id":"c3","effective_from":"2028-10","first_period":"2028-10"}`: "first_period",
		`{"id":"c3"}`: "effective_from", `{"id":"c3","effective_from":"2028-02","basis":"proven"}`: "basis",
	} {
		w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/contracts/versions", text))
		require.Equal(t, http.StatusBadRequest, w.Code, text)
		require.Equal(t, field, body["field"], text)
	}
	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/contracts/versions", `{"id":"c3","effective_from":"2027-10"}`))
	require.Equal(t, http.StatusConflict, w.Code, "two versions never share a month")
	require.Equal(t, "effective_overlap", body["code"])
}
