package lift

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// Canonical is the canonical JSON of a value: keys sorted by bytes, no white
// space, no HTML escapes, numbers as they were written. Documents that are
// hashed hold no JSON floats: floats are hex strings (Hex), decimals are strings.
func Canonical(v any) ([]byte, error) {
	raw, err := encode(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "canonical_json", "cannot read back a document")
	}
	return encode(tree)
}

// encode marshals without HTML escapes and without the final newline.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "canonical_json", "cannot write a document")
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// strictUnmarshal refuses fields that the target does not have: a document with
// unknown fields was not written by this version.
func strictUnmarshal(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fault.Wrap(err, fault.Invalid, "document_malformed", "the document cannot be read")
	}
	if dec.More() {
		return fault.New(fault.Invalid, "document_malformed", "the document is followed by something else")
	}
	return nil
}

// Digest256 is the lower-case hex SHA-256 of bytes.
func Digest256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// CaseIDOf is the case ID of a canonical manifest: the first 16 bytes of its
// SHA-256 in lower-case base32 (RFC 4648) without padding, 26 characters.
func CaseIDOf(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// Hex is a float64 that is written as a JSON string in C's hexadecimal
// notation ("0x1.8p+01"), which round-trips every bit.
type Hex float64

// MarshalJSON refuses NaN and infinities.
func (h Hex) MarshalJSON() ([]byte, error) {
	f := float64(h)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fault.New(fault.Internal, "float_not_finite", "a document cannot hold %v", f)
	}
	return []byte(`"` + hexFloat(f) + `"`), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (h *Hex) UnmarshalJSON(raw []byte) error {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return fault.Wrap(err, fault.Invalid, "float_malformed", "a hexadecimal float is a string")
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return fault.New(fault.Invalid, "float_malformed", "%q is not a finite hexadecimal float", s)
	}
	*h = Hex(f)
	return nil
}

func hexFloat(f float64) string { return strconv.FormatFloat(f, 'x', -1, 64) }
