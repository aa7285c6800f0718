// Package stripefake is a stateful stand-in for Stripe's API, version
// 2023-10-16, as far as liftbill uses it: customers, catalogue, subscriptions
// with their lifecycle, invoices, credit notes, payments, refunds, disputes,
// events with previous_attributes, signed webhooks, idempotency keys,
// restricted keys, a settable clock and fault injection.
//
// In a test:
//
//	srv := stripefake.Start(t, stripefake.Options{Accounts: []stripefake.AccountSpec{{
//		ID: "acct_1", Keys: []stripefake.KeySpec{{Mode: stripefake.Live, Secret: "sk_live_x"}},
//	}}})
//	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{HTTPClient: srv.Client, URL: stripe.String(srv.URL)})
//
// Server is an http.Handler, cmd/stripefake serves it as a program, and
// everything a test can do in process can also be done through the control API
// under /_fake. The README describes both.
//
// Its own tests check every request of a broad session against Stripe's
// official mock and every answer against the official schema, so that it
// cannot drift into a mock that merely agrees with its users.
package stripefake
