package httpapi_test

import (
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"io"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/decisions"
)

// broken ends the body with an error after its bytes.
type broken struct{ io.ReadCloser }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestEveryRouteOfTheSpecIsServed(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{})
	_, spec := serve(t, e, request(http.MethodGet, "/openapi.json", ""))
	var want, got []string
	for path, methods := range spec["paths"].(map[string]any) {
		if strings.HasPrefix(path, "/v1/exports/") {
			continue // the pages serve their files; cmd/liftbill compares them
		}
		for method, op := range methods.(map[string]any) {
			o := op.(map[string]any)
			want = append(want, strings.ToUpper(method)+" "+regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(path, ":$1"))
			require.NotEmpty(t, o["summary"])
			require.NotEmpty(t, o["tags"])
			answers := o["responses"].(map[string]any)
			require.True(t, answers["200"] != nil || answers["201"] != nil, path)
			require.Equal(t, method == "post", strings.Contains(fmt.Sprint(o["parameters"]), "IdempotencyKey"), "%s %s", method, path)
		}
	}
	for _, r := range e.Routes() {
		if strings.HasPrefix(r.Path, "/v1/stripe/") || r.Path == "/openapi.json" || r.Path == "/docs/api" {
			continue
		}
		got = append(got, r.Method+" "+r.Path)
	}
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(t, want, got)
}

func TestReferencePage(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{})
	w, _ := serve(t, e, request(http.MethodGet, "/docs/api", ""))
	require.Equal(t, http.StatusOK, w.Code)
	page := w.Body.String()
	_, spec := serve(t, e, request(http.MethodGet, "/openapi.json", ""))
	for path := range spec["paths"].(map[string]any) {
		require.Contains(t, page, path)
	}
	require.Contains(t, page, "finance, admin", "it says who may")
	for name := range spec["components"].(map[string]any)["schemas"].(map[string]any) {
		require.Contains(t, page, `id="schema-`+name+`"`)
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		require.Contains(t, page, `id="`+link[1]+`"`, "every link on the page leads somewhere")
	}
	require.NotRegexp(t, `(src|href)="(https?:)?//`, page, "nothing comes from another host")
}

// TestUploadIsStreamed sends one row, sees that it was handed on, and only then
// sends the next one.
func TestUploadIsStreamed(t *testing.T) {
	t.Parallel()
	seen := make(chan int)
	e := newServer(t, &fakes{append: func(rows iter.Seq[decisions.Row]) (decisions.Result, error) {
		n := 0
		for row := range rows {
			n++
			seen <- row.Number
		}
		return decisions.Result{Accepted: n}, nil
	}})
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(srv.URL, "http://"), 5*time.Second)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "POST /v1/accounts/acme/decisions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+goodToken+"\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nx\n\r\n")
	require.NoError(t, err)
	require.Equal(t, 1, <-seen)
	_, err = io.WriteString(conn, "2\r\ny\n\r\n0\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, 2, <-seen)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), `"accepted":2`)
}

// TestEveryOperationHasExamples wants an example of every body that an operation takes, and of
// every one that it answers with when it has done its work, and holds each one and every
// other example of the description against its schema.
func TestEveryOperationHasExamples(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context(), openapi3.EnableExamplesValidation()))
	bodies := 0
	wants := func(of string, content openapi3.Content) {
		for media, body := range content {
			bodies++
			require.True(t, body.Example != nil || len(body.Examples) > 0 || body.Schema.Value.Example != nil, "%s has no example of its %s", of, media)
		}
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody != nil {
				wants(method+" "+path+", its request,", op.RequestBody.Value.Content)
			}
			for status, answer := range op.Responses.Map() {
				if strings.HasPrefix(status, "2") {
					wants(method+" "+path+", answer "+status+",", answer.Value.Content)
				}
			}
		}
	}
	require.Greater(t, bodies, 150)
	page, _ := serve(t, newServer(t, &fakes{}), request(http.MethodGet, "/docs/api", ""))
	require.GreaterOrEqual(t, strings.Count(page.Body.String(), "<pre"), bodies, "the reference shows them")
}
