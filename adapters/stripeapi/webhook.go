package stripeapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// SignatureTolerance is how far a signature's time may be from now, either way.
const SignatureTolerance = 5 * time.Minute

// Verifier checks the signatures of Stripe's webhooks. It is written out because
// the SDK's accepts an empty secret and any time in the future.
type Verifier struct{}

// Verify accepts a header that one of the secrets signed over exactly these bytes
// within SignatureTolerance of now. While a secret is rolled, Stripe signs with both
// and the endpoint knows both: any pair that fits will do. The codes of a refusal
// are secret_missing, signature_missing, signature_malformed, signature_mismatch,
// timestamp_too_old and timestamp_in_future. The time is judged last, so that it is
// only ever said of a message that Stripe did sign.
func (Verifier) Verify(body []byte, header string, secrets []string, now time.Time) error {
	var keys []string
	for _, s := range secrets {
		if strings.TrimSpace(s) != "" {
			keys = append(keys, s)
		}
	}
	if len(keys) == 0 {
		return fault.New(fault.Invalid, "secret_missing", "the endpoint has no signing secret")
	}
	sig, err := parseSignature(header)
	if err != nil {
		return err
	}
	if !sig.fits(body, keys) {
		return fault.New(fault.Invalid, "signature_mismatch", "no signature of the header fits the body and the secret")
	}
	const tolerance = int64(SignatureTolerance / time.Second)
	switch age := now.Unix() - sig.at; {
	case age > tolerance:
		return fault.New(fault.Invalid, "timestamp_too_old", "the signature is older than %s", SignatureTolerance)
	case age < -tolerance:
		return fault.New(fault.Invalid, "timestamp_in_future", "the signature is more than %s in the future", SignatureTolerance)
	}
	return nil
}

// maxTimestamp keeps the difference of two times inside 64 bits.
const maxTimestamp = 1 << 40

// signature is a parsed header. The timestamp stays text beside its value, because
// text is what was signed.
type signature struct {
	timestamp string
	at        int64
	v1        [][]byte
}

// parseSignature reads the pairs of a header: exactly one t, at least one v1. Other
// schemes are ignored, so that v0 can never stand in for v1.
func parseSignature(header string) (signature, error) {
	var sig signature
	if strings.TrimSpace(header) == "" {
		return sig, fault.New(fault.Invalid, "signature_missing", "the request has no Stripe-Signature header")
	}
	schemes := 0
	for _, pair := range strings.Split(header, ",") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return sig, malformed("a part of it is not a name=value pair")
		}
		switch strings.TrimSpace(name) {
		case "t":
			at, err := strconv.ParseInt(value, 10, 64)
			if sig.timestamp != "" || err != nil || at < 0 || at > maxTimestamp {
				return sig, malformed("it needs exactly one t, a number of seconds")
			}
			sig.timestamp, sig.at = value, at
		case "v1":
			schemes++
			// One that is no hex cannot match; another may.
			if sum, err := hex.DecodeString(value); err == nil {
				sig.v1 = append(sig.v1, sum)
			}
		}
	}
	switch {
	case sig.timestamp == "":
		return sig, malformed("it has no t")
	case schemes == 0:
		return sig, fault.New(fault.Invalid, "signature_missing", "the header has no v1 signature")
	}
	return sig, nil
}

func (sig signature) fits(body []byte, secrets []string) bool {
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(sig.timestamp + "."))
		mac.Write(body)
		want := mac.Sum(nil)
		for _, got := range sig.v1 {
			if hmac.Equal(got, want) {
				return true
			}
		}
	}
	return false
}

func malformed(why string) *fault.Error {
	return fault.New(fault.Invalid, "signature_malformed", "the Stripe-Signature header cannot be read: %s", why)
}
