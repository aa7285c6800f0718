// Package httpapi serves the JSON API and Stripe's webhooks.
//
// The contract is openapi.yaml; openapi.gen.go and openapi.gen.json are generated
// from it, and what is written by hand converts between its models and the use
// cases. The package owns status codes, problem answers, limits of requests and
// the protection of a server that has no access control yet. It decides nothing
// else.
package httpapi

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml openapi.yaml
//go:generate sh -c "go run github.com/mikefarah/yq/v4@v4.47.2 -o=json -I=1 openapi.yaml > openapi.gen.json"
