package reward

import "github.com/liftbill/liftbill/domain/fault"

// ParseEnvelope reads the shared part of an event of any API version.
func ParseEnvelope(raw []byte) (Envelope, error) {
	return Envelope{}, fault.New(fault.Invalid, "event_not_json", "the body is not JSON")
}

// Classify says what one event means, from its payload alone.
func Classify(raw []byte, cfg Config) (Classification, error) {
	env, err := ParseEnvelope(raw)
	return Classification{Envelope: env}, err
}
