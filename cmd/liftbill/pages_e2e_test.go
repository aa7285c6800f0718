//go:build e2e

package main_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browser opens headless Chromium with a profile of its own.
func browser(t *testing.T) context.Context {
	t.Helper()
	profile, err := os.MkdirTemp("", "liftbill-chromium-")
	require.NoError(t, err)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.WSURLReadTimeout(2*time.Minute), chromedp.DisableGPU, chromedp.UserDataDir(profile),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1400, 1000))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		cancel()
		stop()
		// Chromium may still be writing when its context ends.
		require.Eventually(t, func() bool { return os.RemoveAll(profile) == nil }, time.Minute, 100*time.Millisecond)
	})
	return ctx
}

var linkPattern = regexp.MustCompile(`http://\S+/sign-in/link\?link=\S+`)

// enter signs in with the link that the demo printed, out again, and in with the password.
func enter(t *testing.T, ctx context.Context, s demoState, output string) {
	t.Helper()
	at := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool {
			got, err := chromedp.Run(ctx, chromedp.Location())
			require.NoError(t, err)
			return got == s.API+want
		}, time.Minute, 50*time.Millisecond, want)
	}
	link := linkPattern.FindString(output)
	require.NotEmpty(t, link, output)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(link)))
	shot(t, ctx, "sign-in-link")
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(`main button`)))
	at("/cycles")
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(s.API+"/access")))
	shot(t, ctx, "access")
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(s.API+"/audit")))
	shot(t, ctx, "audit")
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(s.API+"/you")))
	shot(t, ctx, "you")
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(`.who button`)))
	at("/sign-in")
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(s.API+"/cycles?period=all")))
	at("/sign-in?next=%2Fcycles%3Fperiod%3Dall")
	shot(t, ctx, "sign-in")
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys(`input[name=email]`, s.Email)))
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys(`input[name=password]`, s.Password)))
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(`main form button`)))
	at("/cycles?period=all")
}

// checkPages follows the path of somebody from finance: the sign-in, the month, one
// cycle, the readout behind a line, and the run in Temporal's console.
func checkPages(t *testing.T, s demoState, output string) {
	t.Helper()
	ctx := browser(t)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(s.API+"/cycles")))
	within, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	enter(t, within, s, output)
	text := func(selector string) string {
		t.Helper()
		got, err := chromedp.Run(within, chromedp.Text(selector))
		require.NoError(t, err)
		return got
	}
	board := text("main")
	for _, want := range []string{"Acme Notes", "Borealis CRM", "Cedar Forms (test)", "invoiced", "dry run", "0.00"} {
		require.Contains(t, board, want)
	}
	open := func(address string) {
		t.Helper()
		require.NoError(t, chromedp.Do(within, chromedp.Navigate(address)))
	}
	link, err := chromedp.Run(within, chromedp.Evaluate[string](`[...document.querySelectorAll('main a')].find(a => a.textContent.includes('Acme Notes')).href`))
	require.NoError(t, err)
	open(link)
	tie := text("main")
	for _, want := range []string{"Why the invoice is this amount", "Trial offer v3", "billed", "withheld", "Where the paid revenue went"} {
		require.Contains(t, tie, want)
	}
	link, err = chromedp.Run(within, chromedp.Evaluate[string](`document.querySelector('main a[href^="/readouts/"]').href`))
	require.NoError(t, err)
	open(link)
	require.Contains(t, text("main"), "LCB_NOT_POSITIVE")
	shot(t, within, "readout")
	checkWhy(t, within, s)
	open(s.Console + "/namespaces/default/workflows")
	require.NoError(t, chromedp.Do(within, chromedp.WaitVisible(`a[href*="account-bill"]`)))
	require.Contains(t, text("body"), "account-bill/live/acme/")
	shot(t, within, "console")
}

// shot keeps a picture for whoever wants to look; LIFTBILL_SHOTS names the folder.
func shot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("LIFTBILL_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

// known reports whether the accounts are there: the demo comes up before it makes them.
func known(t *testing.T, stripe string, accounts ...string) bool {
	t.Helper()
	type account struct {
		ID string `json:"id"`
	}
	var list struct {
		Accounts []account `json:"accounts"`
	}
	getJSON(t, stripe+"/_fake/accounts", &list)
	for _, want := range accounts {
		if !slices.Contains(list.Accounts, account{want}) {
			return false
		}
	}
	return true
}
