package main

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/domain/access"
)

// calculation is the reason of what computes a few rows from the terms that somebody enters.
const calculation = "a calculation"

// notLists are the routes that answer about one object, or to nobody who waits for a page,
// each with its reason. Every other GET route is measured.
var notLists = map[string]string{
	"GET /healthz": "no rows", "GET /readyz": "no rows", "GET /openapi.json": "a file", "GET /docs/api": "a file", "GET /static/style.css": "a file", "GET /static/keys.js": "a file",
	"GET /sign-in": "no rows", "GET /sign-in/link": "no rows", "GET /sign-in/provider": "no rows", "GET /sign-in/provider/callback": "no rows", "GET /you": "no rows",
	"GET /metrics":               "for Prometheus",
	"GET /v1/me":                 "no rows",
	"GET /v1/accounts/{account}": "one object, counted", "GET /v1/connections/{id}": "one object", "GET /v1/accounts/{account}/snapshots/{snapshot}": "one object",
	"GET /v1/connections/{id}/webhook-endpoint":           "one object",
	"GET /v1/accounts/{account}/reward-events/{event}":    "one object",
	"GET /accounts/{id}/events/{event}":                   "one object",
	"GET /accounts/{id}/months/{period}":                  "one object",
	"GET /find":                                           "leads to one object",
	"GET /v1/connections/{id}/sync":                       "one object",
	"GET /v1/connections/{id}/key-check":                  "one object",
	"GET /v1/connections/{id}/mapping":                    "one object",
	"GET /v1/connections/{id}/events/{event}":             "one object",
	"GET /v1/connections/{id}/coverage":                   "figures of a whole connection",
	"GET /v1/connections/{id}/flow":                       "figures of a whole connection",
	"GET /v1/accounts/{account}/segments":                 "figures of a whole account",
	"GET /v1/accounts/{account}/go-live":                  "one object",
	"GET /v1/accounts/{account}/contracts/effective":      "one object",
	"GET /v1/accounts/{account}/tolerance":                "one object",
	"GET /v1/accounts/{account}/reconciliations/{period}": "one object",
	"GET /v1/accounts/{account}/months/{period}":          "one object",
	"GET /v1/accounts/{account}/customers/{customer}":     "one object",
	"GET /v1/readouts/{caseID}":                           "one object",
	"GET /v1/readouts/{caseID}/manifest":                  "one object",
	"GET /v1/cycles/{id}":                                 "one object",
	"GET /v1/invoices/{id}":                               "one object",
	"GET /v1/accounts/{account}/replays/{period}":         "one object",
	"GET /v1/breaks/{break}":                              "one object",
	"GET /cycles/{id}":                                    "one object",
	"GET /invoices/{id}":                                  "one object",
	"GET /breaks/{id}":                                    "one object",
	"GET /v1/accounts/{account}/true-ups":                 calculation,
	"GET /accounts/{id}/whatif":                           calculation,
	"GET /connections/{id}/compare":                       "a form",
	"GET /connections/{id}":                               "one object",
	"GET /audit/verify":                                   "the whole log, on demand",
	"GET /cycles/{id}/lines/{line}":                       "one object",
	"GET /readouts/{case}":                                "one object",
	"GET /accounts/{id}/customers/{customer}":             "one object",
}

// exportRoute tells the files, which hold all rows of a list and are bounded by their number.
var exportRoute = regexp.MustCompile(`\.(csv|\{format\})$`)

var routeParameter = regexp.MustCompile(`:(\w+)`)

// listRoutes are the routes of a router that answer with a list, in order.
func listRoutes(e *echo.Echo) []string {
	var out []string
	for _, r := range e.Routes() {
		route := r.Method + " " + routeParameter.ReplaceAllString(r.Path, "{$1}")
		if _, not := notLists[route]; not || r.Method != http.MethodGet || exportRoute.MatchString(route) {
			continue
		}
		out = append(out, route)
	}
	slices.Sort(out)
	return out
}

// listObjects are the objects that stand in paths: those of the largest account. A name
// that means several things is told apart by what stands before it.
var listObjects = map[string]string{
	"account": listsAccount(0), "accounts/{id}": listsAccount(0), "connections/{id}": listsAccount(0), "customer": "cus_0_0",
	"cycles/{id}": listsAccount(0) + ".2025-06", "period": "2025-06", "snapshot": "snap-3",
}

// pathOf puts objects into a route.
func pathOf(route string) (string, error) {
	path := strings.TrimPrefix(route, "GET ")
	for _, m := range regexp.MustCompile(`(\w+)/\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
		value, ok := listObjects[m[1]+"/{"+m[2]+"}"]
		if !ok {
			value, ok = listObjects[m[2]]
		}
		if !ok {
			return "", fmt.Errorf("no object for %s of %s: add it to listObjects, or the route to notLists", m[2], route)
		}
		path = strings.Replace(path, "{"+m[2]+"}", value, 1)
	}
	return path, nil
}

// listValues are what is asked of a filter: something that selects rows, and where one is
// searched for, something that is found late and something that is not there. A filter of
// one list only is named with its route.
var listValues = map[string][]string{
	"period": {"2025-06"}, "account": {listsAccount(0), listsAccount(9)}, "connection": {listsAccount(0)}, "environment": {"live", "test"}, "currency": {"usd", "jpy", "chf"},
	"kind": {"revenue_confirmation", "dispute", "trial_will_end"}, "mapped": {"yes", "no"}, "verdict": {"passed", "withheld"}, "attention": {"yes"}, "pending": {"true"},
	"from": {"2025-06-01"}, "to": {"2025-06-30"}, "min_minor": {"70000"}, "max_minor": {"31000"}, "as_of": {"2025-06-30T00:00:00Z"},
	"segment": {"trial_expiring", "failed_payment", "churned", "downgraded"}, "plan": {"price_3"}, "country": {"JP", "XX"}, "customer": {"cus_0_5"}, "object": {"in_0_100"},
	"actor": {"user_1", "nobody"}, "action": {"cycle.approved"}, "object_id": {listsAccount(0) + ".2025-06"}, "outcome": {"refused"}, "severity": {"error"}, "owner": {"nobody"}, "age": {">30"},
	"q": {"cus_0_5", "nothing-has-this"}, "subject": {"cus_0_5"}, "user": {"user-5"}, "source": {"metadata"}, "state": {"open"}, "type": {"invoice.paid", "never.sent"}, "status": {"open"},
	"amount_from": {"700"}, "amount_to": {"310"}, "joined": {"yes", "no"}, "expand": {"joined"}, "GET /accounts/{id}/events source": {"webhook", "read"}, "GET /accounts/{id}/events state": {"money", "own_invoice"},
	"GET /v1/accounts/{account}/reward-events source": {"webhook", "read"}, "GET /v1/accounts/{account}/reward-events state": {"money", "own_invoice"},
	"active": {"2025-06"}, "result": {"equal", "different"}, "dispute": {"lost", "open"}, "metadata": {"lb_po_number=PO-5", "lb_account=nobody"}, "po_number": {"PO-5", "nobody"}, "since": {"2025-06-01"}, "until": {"2025-06-30"}, "overdue": {"yes"},
	"role": {"finance", "approver"}, "mode": {"live", "test", "shadow"}, "closed": {"open", "closed"}, "history": {"true"}, "GET /v1/notifications state": {"open", "all"},
	"GET /v1/events status": {"processed", "dead", "pending"}, "GET /v1/accounts/{account}/customers status": {"active", "past_due"},
	"GET /v1/connections/{id}/links state": {"linked", "conflict"}, "GET /v1/adjustments state": {"due", "applied"}, "GET /v1/approvals state": {"waiting", "decided"},
	"GET /v1/approvals subject": {"cycle", "break"}, "origin_period": {"2025-06"}, "applied_period": {"2025-06"}, "cause": {"refund", "correction"},
	"GET /accounts q": {"acct-01", "nothing-has-this"}, "GET /v1/accounts q": {"acct-01", "nothing-has-this"}, "GET /v1/snapshots q": {"snap-3", "nothing-has-this"},
	"GET /v1/cycles state": {"invoiced", "needs_human"}, "GET /v1/breaks type": {"amount_differs"}, "GET /v1/audit object": {"cycle"},
	"GET /v1/events from": {"2025-06-01T00:00:00Z"}, "GET /v1/events to": {"2025-06-30T00:00:00Z"}, "GET /v1/audit from": {"2025-06-01T00:00:00Z"}, "GET /v1/audit to": {"2025-06-30T00:00:00Z"},
	"GET /v1/invoices from": {"2025-06-01T00:00:00Z"}, "GET /v1/invoices to": {"2025-06-30T00:00:00Z"}, "due_before": {"2025-06-30T00:00:00Z"},
	"GET /v1/invoices q": {"in_own_500", "nothing-has-this"}, "GET /invoices q": {"in_own_500", "nothing-has-this"}, "GET /invoices from": {"700"}, "GET /invoices to": {"310"}, "GET /breaks from": {"700"}, "GET /breaks to": {"310"}, "GET /cycles from": {"700"}, "GET /cycles to": {"310"},
	"GET /events q": {"evt_0_100", "cus_0_5", "in_0_100", "nothing-has-this"}, "GET /snapshots q": {"snap-3", "nothing-has-this"}, "GET /audit object": {"cycle"},
}

func valuesOf(route, filter string) ([]string, error) {
	if v, ok := listValues[route+" "+filter]; ok {
		return v, nil
	}
	if v, ok := listValues[filter]; ok {
		return v, nil
	}
	return nil, fmt.Errorf("no value for the filter %s of %s: add it to listValues", filter, route)
}

// listCase is one kind of request.
type listCase struct{ Route, What, Address string }

// apiDocument is the part of the API description that tells filters and orders.
type apiDocument struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Ref      string `json:"$ref"`
			Name, In string
			Required bool
			Schema   struct{ Enum []string }
		}
	}
}

// apiCases are the filters and orders that the API description names.
func apiCases(doc apiDocument, route, path string) ([]listCase, error) {
	var out []listCase
	op, ok := doc.Paths[strings.TrimPrefix(route, "GET ")]["get"]
	if !ok {
		return nil, fmt.Errorf("%s is not in the API description", route)
	}
	base := url.Values{}
	for _, p := range op.Parameters {
		if p.Required && p.In == "query" {
			v, err := valuesOf(route, p.Name)
			if err != nil {
				return nil, err
			}
			base.Set(p.Name, v[0])
		}
	}
	add := func(name, value string) {
		q := maps.Clone(base)
		q.Set(name, value)
		out = append(out, listCase{route, name + "=" + value, path + "?" + q.Encode()})
	}
	out = append(out, listCase{route, firstPage, address(path, base)})
	for _, p := range op.Parameters {
		if p.Ref == "#/components/parameters/AsOf" {
			p.Name, p.In = "as_of", "query"
		}
		if p.In != "query" || p.Required {
			continue
		}
		values := p.Schema.Enum
		if p.Name != "sort" {
			var err error
			if values, err = valuesOf(route, p.Name); err != nil {
				return nil, err
			}
		}
		for _, v := range values {
			add(p.Name, v)
		}
	}
	return out, nil
}

const (
	firstPage = "first page"
	deepPage  = "deep page"
)

func address(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

var (
	filterForm = regexp.MustCompile(`(?s)<form([^>]*class="filters"[^>]*)>(.*?)</form>`)
	formSelect = regexp.MustCompile(`(?s)<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>`)
	formOption = regexp.MustCompile(`<option value="([^"]*)"`)
	formInput  = regexp.MustCompile(`<input[^>]*>`)
	inputName  = regexp.MustCompile(`name="([^"]+)"`)
	orderLink  = regexp.MustCompile(`<th[^>]*><a href="([^"]*[?&;]sort=[^"]*)"`)
	nextLink   = regexp.MustCompile(`<a[^>]*href="([^"]+)"[^>]*rel="next"`)
)

// pageCases are the filters of the page's own form and the orders of its headings.
func pageCases(route, path, body string) ([]listCase, error) {
	out := []listCase{{route, firstPage, path}}
	form := ""
	if m := filterForm.FindStringSubmatch(body); m != nil && !strings.Contains(m[1], `method="post"`) { // that one does something
		form = m[2]
	}
	add := func(name, value string) {
		out = append(out, listCase{route, name + "=" + value, path + "?" + url.Values{name: {value}}.Encode()})
	}
	for _, m := range formSelect.FindAllStringSubmatch(form, -1) {
		var values []string
		for _, o := range formOption.FindAllStringSubmatch(m[2], -1) {
			if o[1] != "" {
				values = append(values, html.UnescapeString(o[1]))
			}
		}
		if len(values) > 2 { // the first, one of the middle and the last
			values = []string{values[0], values[len(values)/2], values[len(values)-1]}
		}
		for _, v := range values {
			add(m[1], v)
		}
	}
	for _, tag := range formInput.FindAllString(form, -1) {
		name := inputName.FindStringSubmatch(tag)
		if name == nil || strings.Contains(tag, `type="hidden"`) || strings.Contains(tag, `type="submit"`) {
			continue
		}
		values, err := valuesOf(route, name[1])
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			add(name[1], v)
		}
	}
	for _, m := range orderLink.FindAllStringSubmatch(body, -1) {
		to := html.UnescapeString(m[1])
		q, err := url.Parse(to)
		if err != nil {
			return nil, err
		}
		sort := q.Query().Get("sort")
		out = append(out, listCase{route, "sort=" + sort, to})
	}
	return out, nil
}

// nextOf is the address of the page behind an answer's; empty at the end.
func nextOf(route, path string, body []byte) string {
	if rule, _ := access.RuleOf(route); rule.Page {
		if m := nextLink.FindSubmatch(body); m != nil {
			return html.UnescapeString(string(m[1]))
		}
		return ""
	}
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	if json.Unmarshal(body, &page) != nil || page.NextCursor == "" {
		return ""
	}
	u, err := url.Parse(path)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("cursor", page.NextCursor)
	u.RawQuery = q.Encode()
	return u.String()
}
