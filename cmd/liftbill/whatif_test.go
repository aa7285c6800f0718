package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/whatif"
	"github.com/liftbill/liftbill/domain/fault"
)

func TestWhatIfPrintsOldAndNew(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, printWhatIf(&out, whatif.Answer{
		AccountID: "acme", Currency: "usd", Asked: 4, ShadowMonths: 1, OldMinor: 30_000, NewMinor: 16_000, DifferenceMinor: -14_000, HeldBackMinor: 1_500, BalanceMinor: -30,
		Months: []whatif.Compared{
			{Period: "2026-10", State: "invoiced", OldMinor: 30_000, NewMinor: 16_000, DifferenceMinor: -14_000, Lines: []whatif.Line{{Line: "a", AmountMinor: 15_500}, {Line: "fee:platform_fee", AmountMinor: 500}}},
			{Period: "2026-11", State: "withheld", Held: "credit_carried"},
			{Period: "2026-12", State: "withheld", Phase: "shadow", Shadow: true, WritingClosed: true, OldShadowMinor: 2_000, NewShadowMinor: 1_000},
		},
		Terms: []string{"Share 0.10 of the measured incremental revenue"},
	}))
	text := out.String()
	require.Regexp(t, `2026-10 +invoiced +300\.00 USD +160\.00 USD +-140\.00 USD +a 15500, platform_fee 500`, text)
	require.Regexp(t, `2026-11 +withheld +0\.00 USD +0\.00 USD +0\.00 USD +\(credit_carried\)`, text)
	require.Regexp(t, `total +300\.00 USD +160\.00 USD +-140\.00 USD`, text)
	require.Regexp(t, `2026-12 +withheld +0\.00 USD +0\.00 USD +0\.00 USD +\(shadow, in no total: would have been 20\.00 USD, now 10\.00 USD\)`, text)
	require.Contains(t, text, "1 of the months are shadow ones")
	require.Contains(t, text, "Only 3 of the 4 months")
	require.Contains(t, text, "15.00 USD held back, -0.30 USD carried forward")
	require.Contains(t, text, "  Share 0.10 of the measured incremental revenue\n")
}

func TestWhatIfReadsTerms(t *testing.T) {
	t.Parallel()
	raw, err := readTerms(strings.NewReader(`{"share":"0.1"}`), "-")
	require.NoError(t, err)
	require.JSONEq(t, `{"share":"0.1"}`, string(raw))
	file := filepath.Join(t.TempDir(), "terms.json")
	require.NoError(t, os.WriteFile(file, []byte(`{}`), 0o600))
	raw, err = readTerms(nil, file)
	require.NoError(t, err)
	require.Equal(t, "{}", string(raw))
	_, err = readTerms(nil, file+".missing")
	require.Equal(t, "terms_unreadable", fault.CodeOf(err))
	require.Equal(t, exitUsage, exitCode(err))
	_, err = readTerms(strings.NewReader(strings.Repeat(" ", maxTermsBytes+1)), "-")
	require.Equal(t, "terms_malformed", fault.CodeOf(err))
}
