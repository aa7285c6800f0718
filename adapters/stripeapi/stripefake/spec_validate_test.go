package stripefake_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stripe/stripe-mock/spec"
)

// validator checks values against the official schemas. It is stricter than
// the official mock: a property that the schema does not know is an error, too.
type validator struct{ spec *spec.Spec }

func (v validator) resolve(s *spec.Schema) *spec.Schema {
	for s != nil && s.Ref != "" {
		s = v.spec.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	return s
}

// check returns what is wrong with a value, with the path to it.
func (v validator) check(s *spec.Schema, value any, path string) []string {
	nullable := s != nil && s.Nullable
	s = v.resolve(s)
	if s == nil {
		return []string{path + ": no schema"}
	}
	if value == nil {
		if nullable || s.Nullable {
			return nil
		}
		return []string{path + ": null is not allowed"}
	}
	if len(s.AnyOf) > 0 {
		return v.anyOf(s.AnyOf, value, path)
	}
	switch s.Type {
	case "object":
		return v.object(s, value, path)
	case "array":
		return v.array(s, value, path)
	case "":
		return nil
	}
	return scalar(s, value, path)
}

// anyOf reports the problems of the branch that fits best.
func (v validator) anyOf(branches []*spec.Schema, value any, path string) []string {
	var best []string
	for i, b := range branches {
		found := v.check(b, value, path)
		if len(found) == 0 {
			return nil
		}
		if i == 0 || len(found) < len(best) {
			best = found
		}
	}
	return best
}

func (v validator) object(s *spec.Schema, value any, path string) []string {
	o, ok := value.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s: want an object, got %T", path, value)}
	}
	var out []string
	for _, name := range s.Required {
		if _, ok := o[name]; !ok {
			out = append(out, path+"."+name+": required, but absent")
		}
	}
	for name, e := range o {
		switch p := s.Properties[name]; {
		case p != nil:
			out = append(out, v.check(p, e, path+"."+name)...)
		case s.AdditionalProperties != nil:
			out = append(out, v.check(s.AdditionalProperties, e, path+"."+name)...)
		case len(s.Properties) > 0:
			out = append(out, path+"."+name+": not in the schema")
		}
	}
	return out
}

func (v validator) array(s *spec.Schema, value any, path string) []string {
	list, ok := value.([]any)
	if !ok {
		return []string{fmt.Sprintf("%s: want an array, got %T", path, value)}
	}
	var out []string
	for i, e := range list {
		out = append(out, v.check(s.Items, e, fmt.Sprintf("%s[%d]", path, i))...)
	}
	return out
}

func scalar(s *spec.Schema, value any, path string) []string {
	bad := func(want string) []string { return []string{fmt.Sprintf("%s: want %s, got %v", path, want, value)} }
	switch s.Type {
	case "boolean":
		if _, ok := value.(bool); !ok {
			return bad("a boolean")
		}
	case "integer":
		n, ok := value.(json.Number)
		if _, err := n.Int64(); !ok || err != nil {
			return bad("an integer")
		}
	case "number":
		if _, ok := value.(json.Number); !ok {
			return bad("a number")
		}
	case "string":
		text, ok := value.(string)
		if !ok {
			return bad("a string")
		}
		if s.MaxLength > 0 && utf8.RuneCountInString(text) > s.MaxLength {
			return bad(fmt.Sprintf("at most %d characters", s.MaxLength))
		}
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, any(text)) {
			return bad(fmt.Sprintf("one of %v", s.Enum))
		}
	}
	return nil
}

// component validates an object against the schema that its "object" names.
func (v validator) component(o map[string]any, path string) []string {
	name, _ := o["object"].(string)
	s := v.spec.Components.Schemas[name]
	if s == nil {
		return []string{fmt.Sprintf("%s: unknown object %q", path, name)}
	}
	return v.check(s, o, path)
}

// operation finds the operation of a request in the description.
func (v validator) operation(method, path string) *spec.Operation {
	want := strings.Split(path, "/")
	var found *spec.Operation
	best := -1
	for pattern, verbs := range v.spec.Paths {
		op, segs := verbs[spec.HTTPVerb(strings.ToLower(method))], strings.Split(string(pattern), "/")
		if op == nil || len(segs) != len(want) {
			continue
		}
		literal, ok := 0, true
		for i, s := range segs {
			switch {
			case s == want[i]:
				literal++
			case !strings.HasPrefix(s, "{"):
				ok = false
			}
		}
		if ok && literal > best {
			found, best = op, literal
		}
	}
	return found
}

// response validates the body of an answer to a request.
func (v validator) response(method, path string, status int, body []byte) []string {
	op := v.operation(method, path)
	if op == nil {
		return []string{method + " " + path + ": no such operation"}
	}
	code := spec.StatusCode("default")
	if status == 200 {
		code = "200"
	}
	value, err := parse(body)
	if err != nil {
		return []string{method + " " + path + ": " + err.Error()}
	}
	return v.check(op.Responses[code].Content["application/json"].Schema, value, method+" "+path+" "+string(code))
}

func parse(body []byte) (any, error) {
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.UseNumber()
	var out any
	err := dec.Decode(&out)
	return out, err
}
