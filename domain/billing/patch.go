package billing

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// Patched are the terms with the members of a JSON object in place of their own: a JSON
// Merge Patch (RFC 7396) over the canonical text, so that null takes a term away. What a
// contract is for its whole life, and when a version holds, cannot be patched. A changed
// basis brings its own default of the portfolio cap.
func (t Terms) Patched(patch []byte) (Terms, error) {
	var changes map[string]any
	if err := decodeStrict(patch, &changes); err != nil || changes == nil {
		return t, fault.New(fault.Invalid, "terms_malformed", "the terms are no JSON object").Fix(`Write the members to change, for example {"share": "0.15"}`)
	}
	for _, life := range []string{"currency", "time_zone", "first_period", "effective_from"} {
		if _, there := changes[life]; there {
			return t, fault.InvalidField(life, "term_fixed", "the months were measured under one %s", strings.ReplaceAll(life, "_", " ")).Fix("Leave it out")
		}
	}
	if _, basis := changes["basis"]; basis {
		t.PortfolioCap = nil
	}
	raw, err := json.Marshal(t)
	if err != nil {
		return t, err
	}
	var own map[string]any
	if err := decodeStrict(raw, &own); err != nil {
		return t, err
	}
	merged, err := json.Marshal(merge(own, changes))
	if err != nil {
		return t, err
	}
	var out Terms
	if err := decodeStrict(merged, &out); err != nil {
		return t, patchError(err)
	}
	return out.Normalise()
}

// merge is MergePatch of RFC 7396.
func merge(target map[string]any, patch map[string]any) map[string]any {
	for name, v := range patch {
		change, isObject := v.(map[string]any)
		switch {
		case v == nil:
			delete(target, name)
		case isObject:
			inner, ok := target[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
			}
			target[name] = merge(inner, change)
		default:
			target[name] = v
		}
	}
	return target
}

// decodeStrict reads exactly one JSON value with known members and exact numbers.
func decodeStrict(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// patchError names the member that a term does not know or cannot take.
func patchError(err error) error {
	var badType *json.UnmarshalTypeError
	if errors.As(err, &badType) {
		return fault.InvalidField(badType.Field, "json_type", "a %s cannot stand there", badType.Value).Fix("See docs/contracts.md for the terms")
	}
	if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		name = strings.Trim(name, `"`)
		return fault.InvalidField(shorten(name), "term_unknown", "%q is not a term", shorten(name)).Fix("See docs/contracts.md for the terms")
	}
	return fault.New(fault.Invalid, "terms_malformed", "the terms cannot be read").Fix("See docs/contracts.md for the terms")
}
