package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Secret is the text of a token, of a session or of a sign-in link. It hides itself
// from every formatter; Reveal is the only way to the text. It has at least 256 bits
// of entropy, so its plain SHA-256 is what is stored.
type Secret struct {
	// A pointer, because fmt calls no methods on what it finds in an unexported field
	// of another struct: there it prints an address.
	text *string
}

// SecretBytes is the entropy that a secret needs.
const SecretBytes = 32

// encoding has no padding and no letter that is easily taken for another.
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewSecret writes entropy as a secret of a session or a link.
func NewSecret(entropy []byte) (Secret, error) {
	if len(entropy) < SecretBytes {
		return Secret{}, fault.New(fault.Internal, "entropy_short", "a secret needs %d bytes of entropy", SecretBytes)
	}
	text := encoding.EncodeToString(entropy)
	return Secret{&text}, nil
}

// Given wraps a text that a caller sent.
func Given(text string) Secret { return Secret{&text} }

// Reveal returns the text, for the answer that shows it once.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Hash is what is stored in the place of the secret.
func (s Secret) Hash() []byte {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return sum[:]
}

// Matches compares with a stored hash in constant time.
func (s Secret) Matches(hash []byte) bool { return subtle.ConstantTimeCompare(s.Hash(), hash) == 1 }

// Derived is a text that only who knows the secret can make, for one purpose.
func (s Secret) Derived(purpose string) string {
	sum := sha256.Sum256([]byte(purpose + "\x00" + s.Reveal()))
	return encoding.EncodeToString(sum[:])
}

const hiddenSecret = "[secret]"

// String hides the secret.
func (s Secret) String() string { return hiddenSecret }

// Format hides the secret from every verb, also from those that would print fields.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hiddenSecret) }

// MarshalJSON hides the secret from encoding/json.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hiddenSecret + `"`), nil }

// A token is "lb_live_" or "lb_test_", its ID, "_", its secret and a checksum, for
// example lb_test_ with 12, 52 and 7 characters of a to z and 2 to 7. The prefix and
// the checksum let secret scanners find a leaked one without guessing.
const (
	tokenIDBytes = 8
	tokenIDChars = 12
	secretChars  = 52
	sumChars     = 7
	// TokenBytes is the entropy that a token needs.
	TokenBytes = tokenIDBytes + SecretBytes
)

var tokenRE = regexp.MustCompile(`^lb_(live|test)_([a-z2-7]{12})_[a-z2-7]{59}$`)

// TokenText is a well-formed token as it is sent.
type TokenText struct {
	Secret
	// ID names the token; it is no secret.
	ID          string
	Environment account.Environment
}

// NewToken writes entropy as a token of an environment.
func NewToken(env account.Environment, entropy []byte) (TokenText, error) {
	if len(entropy) < TokenBytes {
		return TokenText{}, fault.New(fault.Internal, "entropy_short", "a token needs %d bytes of entropy", TokenBytes)
	}
	id := encoding.EncodeToString(entropy[:tokenIDBytes])[:tokenIDChars]
	text := "lb_" + env.String() + "_" + id + "_" + encoding.EncodeToString(entropy[tokenIDBytes:TokenBytes])
	return ParseToken(text + checksum(text))
}

func checksum(text string) string {
	return encoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}

// ParseToken reads a token and says what is wrong with anything else, without
// repeating it. A typing error is found by the checksum before anything is asked.
func ParseToken(text string) (TokenText, error) {
	text = strings.TrimSpace(text)
	m := tokenRE.FindStringSubmatch(text)
	if m == nil || checksum(text[:len(text)-sumChars]) != text[len(text)-sumChars:] {
		return TokenText{}, fault.New(fault.Unauthenticated, "token_malformed", "this is not a liftbill token, or it was not copied whole").
			Fix("Send the text that begins with lb_live_ or lb_test_, as it was shown when it was made")
	}
	return TokenText{Secret: Secret{&text}, ID: m[2], Environment: account.Environment(m[1])}, nil
}
