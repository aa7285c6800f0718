package httpapi

import (
	"bytes"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/domain/fault"
)

// readable refuses an address that is no text. A filter that is dropped because it is misspelt
// would select more than was asked for, and no text of the ledger holds a zero byte.
func readable(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if !isText(u.Path) {
			return fault.New(fault.Invalid, "address_unreadable", "the address holds a zero byte or is no UTF-8").Fix("Write the address as a page or the API reference gives it")
		}
		values, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			return fault.New(fault.Invalid, "query_malformed", "what stands behind ? in the address can't be read").Fix("Write name=value, with & between two of them and %%XX for any other character")
		}
		if err := readableValues(values); err != nil {
			return err
		}
		return next(c)
	}
}

// readableValues names the first value, by name, that is no text.
func readableValues(values url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		field := name
		if !isText(name) {
			field = ""
		}
		for _, v := range append(values[name], name) {
			if !isText(v) {
				return unreadable(field)
			}
		}
	}
	return nil
}

func unreadable(field string) error {
	return fault.InvalidField(field, "text_unreadable", "the value holds a zero byte or is no UTF-8").Fix("Leave the character out")
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// zeroEscaped reports whether a string of a JSON text holds a zero, which is written \u0000: a
// backslash before it may be escaped itself.
func zeroEscaped(raw []byte) bool {
	escape := []byte(`\u0000`)
	for at := 0; ; {
		i := bytes.Index(raw[at:], escape)
		if i < 0 {
			return false
		}
		i += at
		slashes := 0
		for n := i; n >= 0 && raw[n] == '\\'; n-- {
			slashes++
		}
		if slashes%2 == 1 {
			return true
		}
		at = i + len(escape)
	}
}
