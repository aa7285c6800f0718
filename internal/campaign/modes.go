package campaign

import (
	"bytes"
	"net/http"
	"strings"
)

// What is not live in the class that must not write at all.
const (
	modeTestAccount    = "the account is a test account"
	modeTestKey        = "a test key behind a live connection"
	modeTestConnection = "the connection is a test connection"
	modePayerTest      = "Stripe says that the payer is in test mode"
	modeListTest       = "Stripe answers a list in test mode"
)

var modes = []string{modeTestAccount, modeTestKey, modeTestConnection, modePayerTest, modeListTest}

// mixed is a Stripe that answers some requests from the other mode.
func mixed(h http.Handler, mode string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		list := req.URL.Path == "/v1/invoices" && req.Method == http.MethodGet
		payer := strings.HasPrefix(req.URL.Path, "/v1/customers/") && req.Method == http.MethodGet
		if (mode == modeListTest && !list) || (mode == modePayerTest && !payer) {
			h.ServeHTTP(w, req)
			return
		}
		rec := &answer{header: w.Header(), status: http.StatusOK}
		h.ServeHTTP(rec, req)
		w.WriteHeader(rec.status)
		_, _ = w.Write(bytes.ReplaceAll(rec.body.Bytes(), []byte(`"livemode":true`), []byte(`"livemode":false`)))
	})
}
