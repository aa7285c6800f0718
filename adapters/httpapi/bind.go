package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/domain/fault"
)

// strictBinder reads JSON bodies and refuses what it does not know, so that a
// misspelt term is an error and not a default.
type strictBinder struct{}

// Bind implements echo.Binder for the generated handlers, which bind bodies only.
func (strictBinder) Bind(into any, c echo.Context) error {
	raw, err := io.ReadAll(c.Request().Body) // its size is limited
	if err != nil {
		return bodyError(err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return bodyError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "json_trailing", "there is more after the JSON object").Fix("Send exactly one JSON object")
	}
	if zeroEscaped(raw) {
		return fault.New(fault.Invalid, "text_unreadable", "a text of the body holds a zero byte").Fix("Leave \\u0000 out")
	}
	return nil
}

// unknownPrefix is how encoding/json reports an unknown field; it has no type for it.
const unknownPrefix = "json: unknown field "

func bodyError(err error) error {
	var (
		syntax   *json.SyntaxError
		badType  *json.UnmarshalTypeError
		tooLarge *http.MaxBytesError
	)
	switch {
	case errors.As(err, &tooLarge):
		return err
	case errors.Is(err, io.EOF):
		return fault.New(fault.Invalid, "body_empty", "the body is empty").Fix("Send a JSON object")
	case errors.As(err, &badType):
		return fault.InvalidField(badType.Field, "json_type", "a %s stands where %s is needed", badType.Value, typeName(badType))
	case errors.As(err, &syntax):
		return fault.New(fault.Invalid, "json_malformed", "the body is not JSON: error at byte %d", syntax.Offset)
	case strings.HasPrefix(err.Error(), unknownPrefix):
		name := strings.Trim(strings.TrimPrefix(err.Error(), unknownPrefix), `"`)
		return fault.InvalidField(name, "field_unknown", "%q is not a field of this object", name).Fix("See /docs/api for the fields")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Invalid, "json_malformed", "the body ends in the middle of the JSON object")
	}
	return fault.Wrap(err, fault.Invalid, "json_malformed", "a value of the body can't be read").Fix("See /docs/api for the types")
}

// typeName says in JSON's words what a field takes.
func typeName(e *json.UnmarshalTypeError) string {
	switch kind := e.Type.Kind().String(); {
	case strings.HasPrefix(kind, "int"):
		return "an integer"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "bool":
		return "true or false"
	case kind == "slice":
		return "an array"
	case kind == "struct", kind == "map":
		return "an object"
	default:
		return "a string"
	}
}

func unsupported(want string) error {
	return &echo.HTTPError{Code: http.StatusUnsupportedMediaType, Message: fmt.Sprintf("Send %s, not compressed", want)}
}
