package stripeapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/domain/fault"
)

// refusals are the only codes that a refused delivery may have.
var refusals = []string{
	"secret_missing", "signature_missing", "signature_malformed", "signature_mismatch", "timestamp_too_old", "timestamp_in_future",
}

// FuzzVerify looks for a header that is accepted without a signature of the secret over
// these very bytes at a time of now, and for panics.
func FuzzVerify(f *testing.F) {
	const now = 1_700_000_000
	body := []byte(`{"id":"evt_1"}`)
	good := sign(body, "whsec_1", now)
	for _, header := range []string{
		"", " ", ",", "=", "t", "t=", "v1=", "t=,v1=", "t=1,v1=zz", "t=1,t=1,v1=00", fmt.Sprintf("t=%d,v1=%s", now, good),
		fmt.Sprintf("t=%d,v1=%s,v1=%s,v0=ff", now, strings.Repeat("0", 64), good), fmt.Sprintf(" t =%d, v1 =%s", now, strings.ToUpper(good)),
		fmt.Sprintf("t=+%d,v1=%s", now, good), fmt.Sprintf("t=0%d,v1=%s", now, good), fmt.Sprintf("t=%d,v1=%s00", now, good),
		"t=-1,v1=" + good, "t=99999999999999999999,v1=" + good, "t=9223372036854775807,v1=" + good, "t=1.5,v1=" + good, "t=١,v1=" + good,
	} {
		f.Add(header, body, "whsec_1", int64(now))
		f.Add(header, body, "", int64(now))
	}
	f.Add(fmt.Sprintf("t=%d,v1=%s", now, sign(nil, "s", now)), []byte{}, "s", int64(now+301))
	f.Fuzz(func(t *testing.T, header string, body []byte, secret string, now int64) {
		at := time.Unix(now%(1<<40), 0)
		err := stripeapi.Verifier{}.Verify(body, header, []string{secret}, at)
		if err != nil {
			require.True(t, fault.Is(err, fault.Invalid))
			require.Contains(t, refusals, fault.CodeOf(err))
			require.NotContains(t, err.Error(), "whsec_1", "a refusal says nothing of the secret")
			return
		}
		require.NotEmpty(t, strings.TrimSpace(secret))
		require.True(t, anyPairSigns(header, body, secret, at.Unix()), "%q was accepted", header)
		require.Error(t, stripeapi.Verifier{}.Verify(append(slices.Clone(body), ' '), header, []string{secret}, at), "one byte more")
		require.Error(t, stripeapi.Verifier{}.Verify(body, header, []string{secret + "x"}, at), "another secret")
		require.Error(t, stripeapi.Verifier{}.Verify(body, header, []string{secret}, at.Add(11*time.Minute)), "later")
	})
}

// anyPairSigns reports whether some t of the header, within five minutes of now, and some
// v1 of it belong together. It tries all pairs and knows no grammar.
func anyPairSigns(header string, body []byte, secret string, now int64) bool {
	for _, p := range strings.Split(header, ",") {
		_, stamp, _ := strings.Cut(p, "=")
		for at := now - 300; at <= now+300; at++ {
			if stamp != fmt.Sprint(at) && strings.TrimLeft(stamp, "+0") != fmt.Sprint(at) {
				continue
			}
			for _, q := range strings.Split(header, ",") {
				if _, v1, _ := strings.Cut(q, "="); strings.EqualFold(v1, signText(body, secret, stamp)) {
					return true
				}
			}
		}
	}
	return false
}
