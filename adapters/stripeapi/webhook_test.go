package stripeapi_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

var _ ingest.Verifier = stripeapi.Verifier{}

func sign(body []byte, secret string, at int64) string { return signText(body, secret, fmt.Sprint(at)) }

// signText signs a time as it is written.
func signText(body []byte, secret, at string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.", at)
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func TestVerify(t *testing.T) {
	t.Parallel()
	const secret, old = "whsec_current", "whsec_previous"
	body := []byte("{ \"id\":\"evt_1\",\"name\":\"\\u00fc\"}\n")
	now := start
	at := now.Unix()
	good := sign(body, secret, at)
	header := func(t int64, v1 ...string) string {
		return fmt.Sprintf("t=%d,v1=%s", t, strings.Join(v1, ",v1="))
	}
	cases := []struct {
		name, header string
		secrets      []string
		code         string
	}{
		{"plain", header(at, good), []string{secret}, ""},
		{"previous secret", header(at, sign(body, old, at)), []string{secret, old}, ""},
		{"two signatures", header(at, sign(body, old, at), good), []string{secret}, ""},
		{"unreadable one beside", header(at, "zz", good), []string{secret}, ""},
		{"v0 beside", header(at, good) + ",v0=00", []string{secret}, ""},
		{"space after the comma", strings.ReplaceAll(header(at, good), ",", ", "), []string{secret}, ""},
		{"upper case", header(at, strings.ToUpper(good)), []string{secret}, ""},
		{"a thousand others before", header(at, append(slices.Repeat([]string{sign(body, old, at)}, 1000), good)...), []string{secret}, ""},
		{"a secret without its prefix", header(at, sign(body, "bare", at)), []string{"bare"}, ""},
		{"space before the signature", header(at, " "+good), []string{secret}, "signature_mismatch"},
		{"space before the time", fmt.Sprintf("t= %d,v1=%s", at, good), []string{secret}, "signature_malformed"},
		{"the same time twice", fmt.Sprintf("t=%d,t=%d,v1=%s", at, at, good), []string{secret}, "signature_malformed"},
		{"comma at the end", header(at, good) + ",", []string{secret}, "signature_malformed"},
		{"empty secret beside", header(at, good), []string{"", secret}, ""},
		{"oldest", header(at-300, sign(body, secret, at-300)), []string{secret}, ""},
		{"newest", header(at+300, sign(body, secret, at+300)), []string{secret}, ""},
		{"too old", header(at-301, sign(body, secret, at-301)), []string{secret}, "timestamp_too_old"},
		{"in future", header(at+301, sign(body, secret, at+301)), []string{secret}, "timestamp_in_future"},
		{"old and forged", header(at-301, good), []string{secret}, "signature_mismatch"},
		{"no header", "", []string{secret}, "signature_missing"},
		{"blank header", "  ", []string{secret}, "signature_missing"},
		{"only v0", fmt.Sprintf("t=%d,v0=%s", at, good), []string{secret}, "signature_missing"},
		{"no time", "v1=" + good, []string{secret}, "signature_malformed"},
		{"two times", fmt.Sprintf("t=1,t=%d,v1=%s", at, good), []string{secret}, "signature_malformed"},
		{"time no number", "t=now,v1=" + good, []string{secret}, "signature_malformed"},
		{"huge time", "t=9223372036854775807,v1=" + good, []string{secret}, "signature_malformed"},
		{"negative time", "t=-5,v1=" + good, []string{secret}, "signature_malformed"},
		{"no pair", "hello", []string{secret}, "signature_malformed"},
		{"wrong secret", header(at, good), []string{old}, "signature_mismatch"},
		{"prefix", header(at, good[:32]), []string{secret}, "signature_mismatch"},
		{"empty v1", header(at, ""), []string{secret}, "signature_mismatch"},
		{"no secret", header(at, good), nil, "secret_missing"},
		{"empty secret", header(at, sign(body, "", at)), []string{""}, "secret_missing"},
		{"blank secret", header(at, sign(body, " \n", at)), []string{" \n"}, "secret_missing"},
	}
	for _, c := range cases {
		err := stripeapi.Verifier{}.Verify(body, c.header, c.secrets, now)
		if c.code == "" {
			require.NoError(t, err, c.name)
			continue
		}
		require.Error(t, err, c.name)
		require.Equal(t, c.code, fault.CodeOf(err), c.name)
		require.True(t, fault.Is(err, fault.Invalid), c.name)
		require.NotContains(t, err.Error(), "whsec", c.name)
	}
}

func TestVerifyIsOverTheBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		secret := "whsec_" + rapid.StringMatching(`[A-Za-z0-9]{8,40}`).Draw(t, "secret")
		skew := rapid.Int64Range(-1000, 1000).Draw(t, "skew")
		at := start.Unix() - skew
		header := fmt.Sprintf("t=%d,v1=%s", at, sign(body, secret, at))
		err := stripeapi.Verifier{}.Verify(body, header, []string{secret}, start.Add(time.Millisecond))
		require.Equal(t, skew >= -300 && skew <= 300, err == nil, "skew %d: %v", skew, err)

		changed := append([]byte(nil), body...)
		if i := rapid.IntRange(0, len(changed)).Draw(t, "at"); i < len(changed) {
			changed[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		} else {
			changed = append(changed, '\n')
		}
		err = stripeapi.Verifier{}.Verify(changed, header, []string{secret}, start)
		require.Equal(t, "signature_mismatch", fault.CodeOf(err))
	})
}
