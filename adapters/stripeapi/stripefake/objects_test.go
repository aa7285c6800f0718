package stripefake_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
)

func TestMetadata(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.post("/v1/customers", "metadata[a]=1&metadata[b]=2", "").body["id"].(string)
	path := "/v1/customers/" + id
	require.Equal(t, map[string]any{"a": "1", "c": "3"}, f.post(path, "metadata[b]=&metadata[c]=3", "").body["metadata"])
	prev := f.events("customer.updated")[0].Data.PreviousAttributes
	require.Equal(t, map[string]any{"metadata": map[string]any{"b": "2", "c": nil}}, prev)
	require.Equal(t, map[string]any{}, f.post(path, "metadata=", "").body["metadata"])
	f.post(path, "metadata[zz]=", "")
	require.Len(t, f.events("customer.updated"), 2, "no change, no event")

	many := url.Values{}
	for i := range 50 {
		many.Set(fmt.Sprintf("metadata[k%d]", i), "v")
	}
	require.Equal(t, 200, f.post(path, many.Encode(), "").status)
	require.Equal(t, 400, f.post(path, "metadata[one_more]=v", "").status)
	require.Equal(t, 200, f.post(path, "metadata[one_more]=v&metadata[k0]=", "").status)
	for _, bad := range []string{
		"metadata[" + strings.Repeat("k", 41) + "]=v", "metadata[k]=" + strings.Repeat("v", 501), "metadata[a][b]=v", "metadata=text",
	} {
		require.Equal(t, 400, f.post("/v1/customers", bad, "").status, bad)
	}
	require.Equal(t, 200, f.post("/v1/customers", "metadata["+strings.Repeat("k", 40)+"]="+strings.Repeat("ü", 500), "").status)
}

func TestParameterErrors(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for form, want := range map[string]string{
		"customer=":                                       "parameter_missing",
		"customer=cus_x&auto_advance=maybe":               "parameter_invalid_boolean",
		"customer=cus_x&days_until_due=soon":              "parameter_invalid_integer",
		"customer=cus_x&unheard_of=1":                     "parameter_unknown",
		"customer=cus_x&custom_fields[0][nme]=1":          "parameter_missing",
		"customer=cus_x&description=" + long(1501):        "parameter_invalid_string_too_long",
		"customer=cus_x&number=" + long(27):               "parameter_invalid_string_too_long",
		"customer=cus_x&statement_descriptor=" + long(23): "parameter_invalid_string_too_long",
		"customer=cus_x&footer=" + long(5001):             "parameter_invalid_string_too_long",
		"customer=cus_x":                                  "resource_missing",
	} {
		a := f.post("/v1/invoices", form, "")
		require.Equal(t, 400, a.status, form)
		require.Equal(t, want, a.errorField("code"), clipped(form))
	}
	for _, form := range []string{
		"customer=cus_x&statement_descriptor=12345", "customer=cus_x&currency=xyz", "customer=cus_x&collection_method=pigeon",
		"subscription=sub_1&pending_invoice_items_behavior=exclude", "customer=cus_x&days_until_due=1&due_date=9999999999",
		"customer=cus_x&custom_fields[0][name]=" + long(41) + "&custom_fields[0][value]=v",
		"customer=cus_x&custom_fields[][name]=1&custom_fields[][name]=2&custom_fields[][name]=3&custom_fields[][name]=4&custom_fields[][name]=5",
		"customer=cus_x&discounts[0][coupon]=a&discounts[0][discount]=b", "customer=%zz",
	} {
		require.Equal(t, 400, f.post("/v1/invoices", form, "").status, form)
	}
}

func long(n int) string       { return strings.Repeat("x", n) }
func clipped(s string) string { return s[:min(len(s), 60)] }

func TestCustomerLifecycle(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("pm_card_visa")
	s := f.subscribe(cu, f.price(1000, "month"))
	gone, err := f.api.Customers.Del(cu.ID, nil)
	require.NoError(t, err)
	require.True(t, gone.Deleted)
	got, err := f.api.Customers.Get(cu.ID, nil)
	require.NoError(t, err)
	require.True(t, got.Deleted)
	require.Equal(t, stripe.SubscriptionStatusCanceled, f.sub(s.ID).Status)
	require.Equal(t, []string{"customer.subscription.deleted", "customer.deleted"}, names(f.events("customer.deleted", "customer.subscription.deleted")))
	_, err = f.api.Customers.Update(cu.ID, &stripe.CustomerParams{Name: stripe.String("B")})
	require.Equal(t, 404, stripeError(t, err).HTTPStatusCode)
	_, err = f.api.Invoices.New(&stripe.InvoiceParams{Customer: &cu.ID})
	require.Equal(t, stripe.ErrorCodeResourceMissing, stripeError(t, err).Code)
	require.False(t, f.api.Customers.List(&stripe.CustomerListParams{}).Next())
}

func TestPreviousAttributesAreExact(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("")
	_, err := f.api.Customers.Update(cu.ID, &stripe.CustomerParams{
		Email: stripe.String("b@example.test"), Address: &stripe.AddressParams{City: stripe.String("Bonn")},
		InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{Footer: stripe.String("foot")},
	})
	require.NoError(t, err)
	_, err = f.api.Customers.Update(cu.ID, &stripe.CustomerParams{Address: &stripe.AddressParams{City: stripe.String("Köln")}})
	require.NoError(t, err)
	up := f.events("customer.updated")
	require.Equal(t, map[string]any{
		"email": "a@example.test", "address": nil, "invoice_settings": map[string]any{"footer": nil},
	}, up[0].Data.PreviousAttributes)
	require.Equal(t, map[string]any{"address": map[string]any{"city": "Bonn"}}, up[1].Data.PreviousAttributes, "nested hashes only as far as they changed")
	require.Equal(t, "Köln", up[1].Data.Object["address"].(map[string]any)["city"])
}

func TestPagination(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var ids []string
	for i := range 5 {
		ids = append(ids, f.post("/v1/customers", fmt.Sprintf("name=%d", i), "").body["id"].(string))
		f.advance(time.Hour)
	}
	read := func(query string) ([]string, bool) {
		a := f.get("/v1/customers", query)
		require.Equal(t, 200, a.status, a.raw)
		got := []string{}
		for _, o := range a.body["data"].([]any) {
			got = append(got, o.(map[string]any)["id"].(string))
		}
		return got, a.body["has_more"].(bool)
	}
	for _, c := range []struct {
		query string
		want  []string
		more  bool
	}{
		{"", []string{ids[4], ids[3], ids[2], ids[1], ids[0]}, false},
		{"limit=2", []string{ids[4], ids[3]}, true},
		{"limit=2&starting_after=" + ids[3], []string{ids[2], ids[1]}, true},
		{"limit=2&starting_after=" + ids[1], []string{ids[0]}, false},
		{"limit=2&ending_before=" + ids[0], []string{ids[2], ids[1]}, true},
		{"limit=2&ending_before=" + ids[3], []string{ids[4]}, false},
		{fmt.Sprintf("created[gte]=%d&created[lt]=%d", start.Add(time.Hour).Unix(), start.Add(3*time.Hour).Unix()), []string{ids[2], ids[1]}, false},
		{fmt.Sprintf("created[gt]=%d&created[lte]=%d", start.Add(time.Hour).Unix(), start.Add(3*time.Hour).Unix()), []string{ids[3], ids[2]}, false},
		{fmt.Sprintf("created=%d", start.Add(time.Hour).Unix()), []string{ids[1]}, false},
	} {
		got, more := read(c.query)
		require.Equal(t, c.want, got, c.query)
		require.Equal(t, c.more, more, c.query)
	}
	for _, bad := range []string{"limit=0", "limit=101", "starting_after=cus_nobody", "starting_after=" + ids[0] + "&ending_before=" + ids[1], "created[gt]=x"} {
		require.Equal(t, 400, f.get("/v1/customers", bad).status, bad)
	}
	it := f.api.Customers.List(&stripe.CustomerListParams{ListParams: stripe.ListParams{Limit: stripe.Int64(2)}})
	n := 0
	for it.Next() {
		n++
	}
	require.Equal(t, 5, n)
}

func TestEventsAreKeptThirtyDays(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.customer("")
	f.advance(30 * day)
	require.Len(t, f.events("customer.created"), 1)
	f.advance(time.Second)
	require.Empty(t, f.events("customer.created"))
	f.customer("")
	require.Len(t, f.events(), 1)
	require.Equal(t, 400, f.get("/v1/events", "type=a&types[]=b").status)
}

func TestExpand(t *testing.T) {
	t.Parallel()
	f := setup(t)
	s := f.subscribe(f.customer("pm_card_visa"), f.price(1000, "month"))
	a := f.get("/v1/subscriptions", "expand[]=data.customer&expand[]=data.latest_invoice.payment_intent")
	first := a.body["data"].([]any)[0].(map[string]any)
	require.Equal(t, s.ID, first["id"])
	require.Equal(t, "a@example.test", first["customer"].(map[string]any)["email"])
	require.Equal(t, "succeeded", first["latest_invoice"].(map[string]any)["payment_intent"].(map[string]any)["status"])
	require.Contains(t, f.get("/v1/customers/"+s.Customer.ID, "expand[]=nonsense").errorField("message"), "cannot be expanded")
}
