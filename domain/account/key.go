package account

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// SecretKey is a Stripe secret or restricted key. It hides itself from every
// formatter and logger; Reveal is the only way to the text.
type SecretKey struct {
	// A pointer, because fmt calls no methods on what it finds in an unexported field
	// of another struct: there it prints an address.
	text       *string
	env        Environment
	restricted bool
}

// ParseSecretKey accepts sk_live_, rk_live_, sk_test_ and rk_test_ keys and says
// what is wrong with anything else, without repeating it.
func ParseSecretKey(text string) (SecretKey, error) {
	text = strings.TrimSpace(text)
	bad := func(code, msg, remedy string) (SecretKey, error) {
		return SecretKey{}, fault.InvalidField("secret_key", code, "%s", msg).Fix("%s", remedy)
	}
	const useRestricted = "Create a restricted key in the Stripe Dashboard (Developers, API keys) and paste the text that begins with rk_"
	switch {
	case text == "":
		return bad("key_missing", "a Stripe secret key is required", useRestricted)
	case strings.HasPrefix(text, "pk_"):
		return bad("key_publishable", "this is a publishable key (pk_…), which can read nothing", useRestricted)
	case strings.HasPrefix(text, "whsec_"):
		return bad("key_webhook_secret", "this is a webhook signing secret (whsec_…), not an API key", useRestricted)
	case strings.HasPrefix(text, "sk_org_"):
		return bad("key_organization", "organization keys (sk_org_…) reach many accounts and are not accepted", useRestricted)
	}
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return bad("key_unreadable", "the key holds a character that no Stripe key has", useRestricted)
		}
	}
	kinds := []struct {
		prefix     string
		env        Environment
		restricted bool
	}{{"sk_live_", Live, false}, {"rk_live_", Live, true}, {"sk_test_", Test, false}, {"rk_test_", Test, true}}
	for _, k := range kinds {
		if strings.HasPrefix(text, k.prefix) && len(text) > len(k.prefix)+3 {
			return SecretKey{text: &text, env: k.env, restricted: k.restricted}, nil
		}
	}
	return bad("key_unreadable", "this is not a Stripe secret key", useRestricted)
}

// Reveal returns the key's text, for the Authorization header and the secret box only.
func (k SecretKey) Reveal() string {
	if k.text == nil {
		return ""
	}
	return *k.text
}

// Environment is the mode that the prefix names.
func (k SecretKey) Environment() Environment { return k.env }

// Restricted reports whether it is a restricted key (rk_).
func (k SecretKey) Restricted() bool { return k.restricted }

// Masked shows the prefix and, of a key that is long enough to keep the rest to
// itself, the last four characters.
func (k SecretKey) Masked() string {
	switch text := k.Reveal(); {
	case text == "":
		return "(no key)"
	case len(text) < 20:
		return text[:8] + "…"
	default:
		return text[:8] + "…" + text[len(text)-4:]
	}
}

// String hides the key.
func (k SecretKey) String() string { return k.Masked() }

// Format hides the key from every verb, also from those that would print fields.
func (k SecretKey) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		fmt.Fprintf(f, "account.SecretKey(%s)", k.Masked())
		return
	}
	fmt.Fprint(f, k.Masked())
}

// LogValue hides the key from slog.
func (k SecretKey) LogValue() slog.Value { return slog.StringValue(k.Masked()) }

// MarshalJSON hides the key from encoding/json.
func (k SecretKey) MarshalJSON() ([]byte, error) { return []byte(`"` + k.Masked() + `"`), nil }

// CheckPublishableKey checks the optional publishable key: its form and that its
// mode is the secret key's. It is stored for display and never used.
func CheckPublishableKey(text string, env Environment) error {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil
	case strings.HasPrefix(text, "sk_"), strings.HasPrefix(text, "rk_"):
		return fault.InvalidField("publishable_key", "key_secret_in_publishable", "this is a secret key; it does not belong in this field").
			Fix("Paste the key that begins with pk_, or leave the field empty; roll the secret key if this form was logged elsewhere")
	case strings.HasPrefix(text, "pk_"+string(env)+"_"):
		return nil
	default:
		return fault.InvalidField("publishable_key", "key_mode_mismatch", "the publishable key does not belong to %s mode", env).
			Fix("Paste the key that begins with pk_%s_, or leave the field empty", env)
	}
}
