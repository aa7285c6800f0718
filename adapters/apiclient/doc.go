// Package apiclient is the Go client of the HTTP API, generated from its description, for
// our own commands and for integrators. New adds what every caller needs: the token, the
// answer's problem as an error, and addresses that are refused in clear text.
package apiclient

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml ../httpapi/openapi.yaml
