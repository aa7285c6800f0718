package httpapi_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// business is a Stripe account whose customers live through everything that a reward event
// can tell, by Stripe's own requests; its webhooks are delivered to the API.
type business struct {
	t      *testing.T
	d      *pipelinetest.Deployment
	secret string
}

func (b business) call(method, path string, pairs ...string) map[string]any {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.d.Fake.URL+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	req.Header.Set("Authorization", "Bearer "+b.secret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := b.d.Fake.Client.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close() //nolint:errcheck // a test
	raw, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.Less(b.t, res.StatusCode, 300, "%s %s: %s", method, path, raw)
	out := map[string]any{}
	require.NoError(b.t, json.Unmarshal(raw, &out))
	return out
}

func (b business) post(path string, pairs ...string) string {
	b.t.Helper()
	id, _ := b.call(http.MethodPost, path, pairs...)["id"].(string)
	return id
}

func (b business) pass(days int) {
	b.t.Helper()
	require.NoError(b.t, b.d.Fake.Advance(time.Duration(days)*24*time.Hour))
}

// person is a customer who is mapped to a user and pays with a card.
func (b business) person(name, card string) string {
	b.t.Helper()
	return b.post("/v1/customers", "metadata[user_id]", name, "payment_method", card, "invoice_settings[default_payment_method]", card)
}

func (b business) subscribe(customer, price string, more ...string) string {
	b.t.Helper()
	return b.post("/v1/subscriptions", append([]string{"customer", customer, "items[0][price]", price}, more...)...)
}

// change puts a subscription on another price.
func (b business) change(sub, price string) {
	b.t.Helper()
	items, _ := b.call(http.MethodGet, "/v1/subscriptions/"+sub)["items"].(map[string]any)
	first, _ := items["data"].([]any)[0].(map[string]any)
	b.post("/v1/subscriptions/"+sub, "items[0][id]", fmt.Sprint(first["id"]), "items[0][price]", price, "proration_behavior", "none")
}

// first is the newest object of a list.
func (b business) first(path string) map[string]any {
	b.t.Helper()
	data, _ := b.call(http.MethodGet, path)["data"].([]any)
	require.NotEmpty(b.t, data, path)
	out, _ := data[0].(map[string]any)
	return out
}

// card gives a customer another card.
func (b business) card(customer, token string) {
	b.t.Helper()
	method := b.post("/v1/payment_methods/"+token+"/attach", "customer", customer)
	b.post("/v1/customers/"+customer, "invoice_settings[default_payment_method]", method)
}

// live goes through the lives, three months long.
func (b business) live() {
	b.t.Helper()
	product := b.post("/v1/products", "name", "Plan")
	price := func(amount int) string {
		return b.post("/v1/prices", "product", product, "currency", "usd", "unit_amount", strconv.Itoa(amount), "recurring[interval]", "month")
	}
	low, high := price(2000), price(5000)
	b.subscribe(b.person("u-trial", "pm_card_visa"), low, "trial_period_days", "5")
	leaving := b.subscribe(b.person("u-leaves", "pm_card_visa"), low, "trial_period_days", "14")
	up, down := b.subscribe(b.person("u-up", "pm_card_visa"), low), b.subscribe(b.person("u-down", "pm_card_visa"), high)
	gone := b.subscribe(b.person("u-gone", "pm_card_visa"), low)
	late, lost := b.person("u-late", "pm_card_visa"), b.person("u-lost", "pm_card_visa")
	b.subscribe(late, low)
	b.subscribe(lost, low)
	back := b.person("u-back", "pm_card_visa")
	b.subscribe(back, low)
	for _, name := range []string{"u-won", "u-disputes"} {
		b.subscribe(b.person(name, "pm_card_createDispute"), low)
	}
	b.pass(1)
	b.post("/v1/refunds", "charge", fmt.Sprint(b.first("/v1/charges?customer=" + back)["id"]), "amount", "700")
	b.call(http.MethodDelete, "/v1/subscriptions/"+leaving)
	b.change(up, high)
	b.post("/v1/subscriptions/"+up, "cancel_at_period_end", "true")
	b.change(down, low)
	b.pass(9)
	b.call(http.MethodDelete, "/v1/subscriptions/"+gone)
	disputes, _ := b.call(http.MethodGet, "/v1/disputes")["data"].([]any)
	require.Len(b.t, disputes, 2)
	for i, outcome := range []string{"won", "lost"} {
		o, _ := disputes[i].(map[string]any)
		require.NoError(b.t, b.d.Fake.CloseDispute("acct_lives", "test", fmt.Sprint(o["id"]), outcome))
	}
	b.card(late, "pm_card_chargeCustomerFail")
	b.card(lost, "pm_card_chargeCustomerFail")
	b.pass(23)
	b.card(late, "pm_card_visa")
	b.post("/v1/invoices/" + fmt.Sprint(b.first("/v1/invoices?status=open&customer=" + late)["id"]) + "/pay")
	for range 5 {
		b.pass(7)
	}
	b.card(lost, "pm_card_visa")
	open, _ := b.call(http.MethodGet, "/v1/invoices?status=open&customer="+lost)["data"].([]any)
	for _, one := range open {
		o, _ := one.(map[string]any)
		b.post("/v1/invoices/" + fmt.Sprint(o["id"]) + "/pay")
	}
	b.pass(1)
}

// kindsOf are the constants of type Kind in domain/reward, as its source states them.
func kindsOf(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../domain/reward/kind.go", nil, 0)
	require.NoError(t, err)
	var out []string
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v, _ := s.(*ast.ValueSpec)
			if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "Kind" {
				name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				require.NoError(t, err)
				out = append(out, name)
			}
		}
	}
	return out
}

// schemas are the ones that the description's discriminator names, by kind.
func schemas(t *testing.T) map[string]*openapi3.Schema {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	require.NoError(t, err)
	of := doc.Components.Schemas["RewardEventOfKind"].Value
	require.Equal(t, "kind", of.Discriminator.PropertyName)
	out := map[string]*openapi3.Schema{}
	for kind, ref := range of.Discriminator.Mapping {
		s := doc.Components.Schemas[strings.TrimPrefix(ref.Ref, "#/components/schemas/")]
		require.NotNil(t, s, kind)
		require.True(t, slices.ContainsFunc(of.OneOf, func(r *openapi3.SchemaRef) bool { return r.Ref == ref.Ref }), kind)
		out[kind] = s.Value
	}
	return out
}

// TestEveryKindHasASchema: the kinds of the code, those of its lists and those that the
// description has a schema for are the same, so that a new kind is missed nowhere.
func TestEveryKindHasASchema(t *testing.T) {
	t.Parallel()
	var listed, described []string
	for _, k := range append(reward.Kinds(), reward.StateKinds()...) {
		listed = append(listed, string(k))
	}
	for _, k := range reward.Kinds() {
		require.True(t, k.IsReward(), k)
	}
	for _, k := range reward.StateKinds() {
		require.False(t, k.IsReward(), k)
	}
	for kind := range schemas(t) {
		described = append(described, kind)
	}
	coded := kindsOf(t)
	require.Greater(t, len(coded), 30)
	require.ElementsMatch(t, coded, listed)
	require.ElementsMatch(t, coded, described)
}

// spoil makes events that hold to no schema of one that does: of another kind, under another
// key, without what every event has, and with money where there is none or without it.
func spoil(event map[string]any) map[string]map[string]any {
	with := func(name string, value any) map[string]any {
		out := maps.Clone(event)
		if out[name] = value; value == nil {
			delete(out, name)
		}
		return out
	}
	amount := any(map[string]any{"minor": 100.0, "currency": "usd", "formatted": "1.00 USD"})
	if event["amount"] != nil {
		amount = nil
	}
	return map[string]map[string]any{
		"another kind": with("kind", "made_up"), "another key": with("fact_key", "made_up:1"), "no time": with("effective_at", nil), "no event": with("event_id", nil), "amount": with("amount", amount),
		"a state that it cannot have": with("state", "state_only"),
	}
}

// TestRewardEventsFollowTheirSchemas: Stripe's events of real lives, delivered, classified
// and answered by the API, hold to the schema of their kind, as they are listed and as they
// are shown; and there is one of every reward kind.
func TestRewardEventsFollowTheirSchemas(t *testing.T) {
	t.Parallel()
	d := pipelinetest.NewDeployment(t, time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC))
	made := d.Fake.MustAccount(stripefake.AccountSpec{ID: "acct_lives", DunningEnd: "unpaid", Keys: []stripefake.KeySpec{
		{Mode: stripefake.Test, Restricted: true, Permissions: map[string]string{"*": "read", "webhook": "write"}}, {Mode: stripefake.Test},
	}})
	d.Post(t, "/v1/connections", httpapi.ConnectionCreate{ID: "lives", Environment: "test", Roles: []string{"source"}, SecretKey: made.Keys[0].Secret}, nil)
	d.Post(t, "/v1/connections/lives/webhook-endpoint", nil, nil)
	d.Post(t, "/v1/accounts", httpapi.AccountCreate{ID: "lives", Environment: "test", Name: "Lives", SourceConnection: "lives"}, nil)
	business{t, d, made.Keys[1].Secret}.live()
	require.NoError(t, d.DrainAll(t.Context(), "lives"))

	of, examples := schemas(t), map[string]map[string]any{}
	for cursor := "first"; cursor != ""; {
		var page struct {
			Items      []map[string]any `json:"items"`
			NextCursor string           `json:"next_cursor"`
		}
		path := "/v1/accounts/lives/reward-events?limit=500&expand=joined"
		if cursor != "first" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		d.Get(t, path, &page)
		for _, item := range page.Items {
			kind, _ := item["kind"].(string)
			require.NoError(t, of[kind].VisitJSON(item), "%v", item)
			require.Equal(t, reward.Kind(kind).IsReward(), item["is_reward"])
			if examples[kind] == nil {
				examples[kind] = item
			}
		}
		cursor = page.NextCursor
	}
	for kind, item := range examples {
		var one struct {
			Event  map[string]any `json:"event"`
			Detail map[string]any `json:"detail"`
		}
		d.Get(t, "/v1/accounts/lives/reward-events/"+url.PathEscape(fmt.Sprint(item["id"])), &one)
		require.NoError(t, of[kind].VisitJSON(one.Event), "%v", one.Event)
		require.Equal(t, item["id"], one.Event["id"])
	}
	for _, k := range reward.Kinds() {
		require.Contains(t, examples, string(k), "no example of this kind was made")
		for name, spoilt := range spoil(examples[string(k)]) {
			require.Error(t, of[string(k)].VisitJSON(spoilt), "%s: %s", k, name)
		}
	}
	require.Contains(t, examples, string(reward.CancelScheduled), "facts about state are listed too")
}
