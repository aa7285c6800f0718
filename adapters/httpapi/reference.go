package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
)

//go:embed openapi.gen.json
var specJSON []byte

//go:embed reference.html
var referenceHTML string

// referencePolicy lets the page load nothing; its style is in the page itself.
const referencePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// registerReference serves the description as JSON, and as a page that needs no
// other host.
func (s *Server) registerReference(e *echo.Echo) {
	e.GET("/openapi.json", func(c echo.Context) error {
		return c.JSONBlob(http.StatusOK, specJSON)
	})
	page := sync.OnceValues(renderReference)
	e.GET("/docs/api", func(c echo.Context) error {
		html, err := page()
		if err != nil {
			return err
		}
		c.Response().Header().Set(echo.HeaderContentSecurityPolicy, referencePolicy)
		return c.HTMLBlob(http.StatusOK, html)
	})
}

func renderReference() ([]byte, error) {
	var doc specDoc
	if err := json.Unmarshal(specJSON, &doc); err != nil {
		return nil, fmt.Errorf("decode openapi.gen.json: %w", err)
	}
	tmpl, err := template.New("reference").Funcs(template.FuncMap{"text": richText}).Parse(referenceHTML)
	if err != nil {
		return nil, fmt.Errorf("parse reference page: %w", err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, doc.view()); err != nil {
		return nil, fmt.Errorf("render reference page: %w", err)
	}
	return out.Bytes(), nil
}
