//go:build e2e

package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// reader is somebody from finance with a mouse: it counts what is clicked.
type reader struct {
	t      *testing.T
	ctx    context.Context
	clicks int
}

func (r *reader) click(selector string) {
	r.t.Helper()
	r.clicks++
	require.NoError(r.t, chromedp.Do(r.ctx, chromedp.WaitVisible(selector)))
	require.NoError(r.t, chromedp.Do(r.ctx, chromedp.Click(selector)), selector)
}

func (r *reader) text(selector string) string {
	r.t.Helper()
	got, err := chromedp.Run(r.ctx, chromedp.Text(selector))
	require.NoError(r.t, err, selector)
	return got
}

func (r *reader) shot(name string) { shot(r.t, r.ctx, name) }

// evaluate reads something of the page.
func evaluate[T any](r *reader, script string) T {
	r.t.Helper()
	got, err := chromedp.Run(r.ctx, chromedp.Evaluate[T](script))
	require.NoError(r.t, err, script)
	return got
}

// checkWhy goes from the sign-in to "why is this line 412.37 and not 415?", and works the
// line out again from nothing but the text of the page.
func checkWhy(t *testing.T, ctx context.Context, s demoState) {
	t.Helper()
	r := &reader{t: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(s.API+"/you")))
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(`.who button`)))
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(`input[name=email]`)))
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys(`input[name=email]`, s.Email)))
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys(`input[name=password]`, s.Password)))
	r.click(`main form button`)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(`section.standing`)))
	overview := r.text("main")
	for _, want := range []string{"Paid revenue", "Payment success", "What waits for you", "Is data flowing?"} {
		require.Contains(t, overview, want)
	}
	r.shot("overview")
	r.click(`nav[aria-label="Billing"] a[href="/cycles"]`)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(`table.board`)))
	r.shot("close-board")
	r.click(`main a[href^="/cycles/acme."]`)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(`#lines`)))
	r.shot("cycle")
	r.click(`main .why a[href*="/lines/"]`)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(`table.explain`)))
	require.Less(t, r.clicks, 6, "from the sign-in to the arithmetic of a line")
	t.Logf("%d clicks from the sign-in to the arithmetic of a line", r.clicks)
	require.Contains(t, r.text("main"), "Everything agrees")
	fee := r.recomputed()

	// Not 415: the reader types what was expected, and the page says how far off it is.
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys(`input[name=expected]`, "415")))
	r.click(`.ask button`)
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(`#answer`)))
	off := new(big.Rat).Sub(fee, big.NewRat(41_500, 1))
	require.Contains(t, strings.ReplaceAll(r.text("#answer"), ",", ""), new(big.Rat).Quo(off.Abs(off), big.NewRat(100, 1)).FloatString(2))
	r.shot("line")
	r.exported(s, fee)
}

// recomputed follows the page with a calculator: the base from the figures of its step, the
// fee from that base and the share, each compared with what the page shows beside it.
func (r *reader) recomputed() *big.Rat {
	r.t.Helper()
	step := func(name, cell string) string {
		return evaluate[string](r, `document.querySelector('tr[data-step="`+name+`"] `+cell+`').textContent.trim()`)
	}
	number := func(text string) *big.Rat {
		v, ok := new(big.Rat).SetString(strings.ReplaceAll(strings.TrimSpace(text), ",", ""))
		require.True(r.t, ok, text)
		return v
	}
	cents := func(name string) *big.Rat { return new(big.Rat).Mul(number(step(name, ".n")), big.NewRat(100, 1)) }
	floor := func(v *big.Rat) *big.Rat { return new(big.Rat).SetInt(new(big.Int).Div(v.Num(), v.Denom())) }

	observed, counterfactual, ok := strings.Cut(step("measure", ".inputs"), " − ")
	require.True(r.t, ok)
	measured := floor(new(big.Rat).Sub(number(observed), number(counterfactual)))
	require.Zero(r.t, measured.Cmp(cents("measure")), "the measured lift")

	figure, before, ok := strings.Cut(step("base", ".inputs"), " − ")
	require.True(r.t, ok)
	base := new(big.Rat).Sub(number(figure), number(before))
	require.Positive(r.t, base.Sign())
	require.Zero(r.t, base.Cmp(cents("base")), "the base")

	left, share, ok := strings.Cut(step("fee", ".inputs"), " × ")
	require.True(r.t, ok)
	require.Zero(r.t, number(left).Cmp(base), "the fee is a share of that base")
	require.True(r.t, strings.HasPrefix(step("fee", ".formula"), "round down("), "what the demo's contracts say")
	fee := floor(new(big.Rat).Mul(base, number(share)))
	require.Zero(r.t, fee.Cmp(cents("fee")), "the fee")
	major := new(big.Rat).Quo(fee, big.NewRat(100, 1)).FloatString(2)
	require.Contains(r.t, strings.ReplaceAll(r.text("h1"), ",", ""), major, "the headline is the amount that was worked out")
	return fee
}

// exported takes the file of the line and of the month, reads them back and compares them
// with the page; the audit log has both.
func (r *reader) exported(s demoState, fee *big.Rat) {
	r.t.Helper()
	dir := r.t.TempDir()
	require.NoError(r.t, chromedp.Do(r.ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir})
		return err
	})))
	r.click(`main a[data-key="e"]`)
	lines := downloaded(r.t, dir, "liftbill-line-*.csv")
	header := lines[0]
	found := false
	for _, row := range lines[1:] {
		cells := map[string]string{}
		for i, name := range header {
			cells[name] = row[i]
		}
		if cells["figure"] == "Fee" {
			found = true
			require.Equal(r.t, fee.Num().String(), cells["amount_minor"], "the file says what the page says")
			require.Equal(r.t, "true", cells["holds"])
		}
	}
	require.True(r.t, found)

	require.NoError(r.t, chromedp.Do(r.ctx, chromedp.Navigate(s.API+"/cycles")))
	r.click(`main a[data-key="e"]`)
	lines = downloaded(r.t, dir, "liftbill-cycles-*.csv")
	require.Len(r.t, lines, 1+3, "the month has three accounts")
	require.NoError(r.t, chromedp.Do(r.ctx, chromedp.Navigate(s.API+"/audit?action=export.given")))
	log := r.text("main")
	require.Contains(r.t, log, "/lines/")
	require.Contains(r.t, log, "GET /cycles.{format}?", "what was selected is written down")
	r.shot("audit-exports")
}

// downloaded waits for a file, checks its digest and returns the lines of its table.
func downloaded(t *testing.T, dir, pattern string) [][]string {
	t.Helper()
	var raw []byte
	require.Eventually(t, func() bool {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) == 0 {
			return false
		}
		raw, err = os.ReadFile(names[0])
		return err == nil && strings.Contains(string(raw), "#digest")
	}, time.Minute, 100*time.Millisecond, pattern)
	all, err := csv.NewReader(strings.NewReader(string(raw))).ReadAll()
	require.NoError(t, err)
	rest, n, digest := string(raw), 0, ""
	for ; strings.HasPrefix(all[n][0], "#"); n++ {
		if all[n][0] == "#digest" {
			digest = all[n][2]
		}
		_, rest, _ = strings.Cut(rest, "\r\n")
	}
	sum := sha256.Sum256([]byte(rest))
	require.Equal(t, hex.EncodeToString(sum[:]), digest, "the digest is that of the table")
	return all[n:]
}
