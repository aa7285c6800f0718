package webui

import (
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/domain/fault"
)

// named are filters that may name what no choice offers: an account or a month without a row.
var named = []string{"account", "period", "applied", "connection"}

// checked refuses a filter that is none of its choices: it would select nothing, or everything,
// and look like an answer.
func (l list) checked() error {
	for _, f := range l.Filters {
		if f.Value == "" || len(f.Choices) == 0 || slices.Contains(named, f.Name) || slices.ContainsFunc(f.Choices, func(c Choice) bool { return c.Value == f.Value }) {
			continue
		}
		var all []string
		for _, c := range f.Choices {
			if c.Value != "" {
				all = append(all, c.Value)
			}
		}
		return fault.InvalidField(f.Name, "filter_unknown", "%q is not a choice", f.Value).Fix("Use %s, or leave it out", strings.Join(all, ", "))
	}
	return nil
}

// sendList sends the rows of a list in the format that the address names.
func (s *Server) sendList(c echo.Context, l list) error {
	if err := l.checked(); err != nil {
		return err
	}
	return s.send(c, l.report(l.parameters()))
}

// Says is the filter's value in the words of its choices.
func (f field) Says() string {
	for _, c := range f.Choices {
		if c.Value == f.Value {
			return c.Label
		}
	}
	return f.Value
}

// Selected are the filters that select something, for a page on paper.
func (l list) Selected() []field {
	return slices.DeleteFunc(slices.Clone(l.Filters), func(f field) bool { return f.Value == "" })
}
