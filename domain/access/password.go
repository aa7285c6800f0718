package access

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/liftbill/liftbill/domain/fault"
)

// Bounds of a password, in characters. Long ones are welcome, rules about kinds of
// characters are not: NIST SP 800-63B, section 5.1.1.2.
const (
	MinPassword = 12
	MaxPassword = 128
)

// common are long passwords that everybody tries first.
var common = []string{
	"123456789012", "1234567890123", "12345678901234", "123456789123", "1q2w3e4r5t6y", "1qaz2wsx3edc", "abcdefghijkl", "abc123abc123",
	"adminadminadmin", "administrator", "changemechangeme", "iloveyouiloveyou", "letmeinletmein", "passw0rdpassw0rd", "password1234",
	"password12345", "password123456", "passwordpassword", "qazwsxedcrfv", "qwerty123456", "qwertyqwerty", "qwertyuiop12", "qwertyuiop123",
	"qwertyuiopas", "qwertyuiopasdf", "welcomewelcome", "welcome12345", "correcthorsebatterystaple",
}

// CheckPassword refuses a password that is short, that everybody tries, or that
// repeats what is known of its owner. The error does not repeat the password.
func CheckPassword(password, email, name string) error {
	bad := func(code, format string, args ...any) error {
		return fault.InvalidField("password", code, format, args...).Fix("Take a sentence, or let a password manager make one of at least %d characters", MinPassword)
	}
	n := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return bad("password_unreadable", "the password is not text")
	case n < MinPassword:
		return bad("password_short", "the password has fewer than %d characters", MinPassword)
	case n > MaxPassword:
		return bad("password_long", "the password has more than %d characters", MaxPassword)
	}
	kinds := map[rune]bool{}
	for _, r := range password {
		kinds[unicode.ToLower(r)] = true
	}
	if len(kinds) < 5 {
		return bad("password_simple", "the password repeats fewer than five characters")
	}
	plain := strings.ToLower(password)
	for _, c := range common {
		if plain == c {
			return bad("password_common", "the password is one that everybody tries")
		}
	}
	local, _, _ := strings.Cut(email, "@")
	for _, known := range append(strings.Fields(strings.ToLower(name)), strings.ToLower(local), "liftbill") {
		if len(known) >= 4 && strings.Contains(plain, known) && utf8.RuneCountInString(plain)-utf8.RuneCountInString(known) < 8 {
			return bad("password_personal", "most of the password is the name, the e-mail address or the product")
		}
	}
	return nil
}
