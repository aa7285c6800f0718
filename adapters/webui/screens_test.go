//go:build e2e

package webui_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
)

// chromium opens a headless browser with a profile of its own.
func chromium(t *testing.T) context.Context {
	t.Helper()
	profile, err := os.MkdirTemp("", "liftbill-webui-")
	require.NoError(t, err)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.WSURLReadTimeout(2*time.Minute), chromedp.DisableGPU, chromedp.UserDataDir(profile), chromedp.Flag("disable-component-update", true))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		cancel()
		stop()
		require.Eventually(t, func() bool { return os.RemoveAll(profile) == nil }, time.Minute, 100*time.Millisecond)
	})
	return ctx
}

// scheme is the colour scheme that the reader's system prefers.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

// screens are the pages that are looked at.
var screens = map[string]string{
	"overview": "/", "board": "/cycles", "tieout": "/cycles/fees.2026-10", "line": "/cycles/acme.2026-10/lines/trial-nudge-7?expected=415", "charge": "/cycles/fees.2026-10/lines/fee:holdback",
	"shadow": "/cycles/shade.2026-10", "readout": "/readouts/" + caseGood, "readout-again": "/readouts/" + caseAgain, "invoices": "/invoices", "invoice": "/invoices/acme.2026-10", "events": "/events", "rewards": "/accounts/acme/events", "reward": eventPath("paid:in_2", 2), "reward-none": eventPath("paid:in_3", 3), "connections": "/connections", "first": "/connections/acme-stripe?first=wait", "waiting": "/connections/sandbox-stripe?first=stop", "connection": "/connections/acme-stripe?checklist=acme", "replays": "/replays", "accounts": "/accounts", "snapshots": "/snapshots", "snapshot": "/accounts/acme/snapshots/trial-nudge-7", "accruals": "/accruals",
	"customers": "/accounts/acme/customers", "customer": "/accounts/acme/customers/cus_RkA1b2C3d4E5f6", "empty": "/cycles/nothing",
	"month": "/accounts/acme/months/2026-09", "breaks": "/breaks", "break": "/breaks/" + breakAmount, "break-forced": "/breaks/" + breakGhost, "compare": "/connections/acme-stripe/compare?object=invoice&object_id=in_1", "coverage": "/coverage",
	"adjustments": "/adjustments", "corrections": "/cycles/acme.2026-10/corrections", "contracts": "/contracts", "whatif": "/accounts/acme/whatif?share=0.15",
}

// contrasts finds text below the ratio of WCAG AA against the first opaque background.
const contrasts = `(() => {
  const rgb = (c) => { const m = c.match(/[\d.]+/g).map(Number); if (c.startsWith("color(srgb")) return [m[0]*255, m[1]*255, m[2]*255, m[3] ?? 1]; return [m[0], m[1], m[2], m[3] ?? 1]; };
  const lum = (c) => { const f = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const out = [];
  for (const el of document.querySelectorAll("body *")) {
    if (![...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !el.offsetParent || el.closest("svg, .sr, option, select, .skip")) continue;
    const style = getComputedStyle(el);
    let back = null;
    for (let p = el; p && !back; p = p.parentElement) { const b = rgb(getComputedStyle(p).backgroundColor); if (b[3] === 1) back = b; }
    if (!back) back = [255, 255, 255, 1];
    const a = lum(rgb(style.color)), b = lum(back), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) out.push(el.tagName + "." + el.className + " " + el.textContent.trim().slice(0, 30) + " " + ratio.toFixed(2));
  }
  return out;
})()`

// printed reports what of a page would be on paper.
const printed = `[...document.querySelectorAll("nav, .filters, .steps, .pager, aside form, table.explain, h1")].filter((e) => e.offsetParent).map((e) => e.tagName + "." + e.className)`

// TestPrint lays pages out for paper: the navigation and what can be pressed stay away, the
// line with its arithmetic, share and amount is all there.
func TestPrint(t *testing.T) {
	server := httptest.NewServer(newDoor(fixture(), &door{caller: signedIn()}, webui.Options{}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(chromium(t), 4*time.Minute)
	defer cancel()
	paper := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
		return err
	})
	require.NoError(t, chromedp.Do(ctx, paper, chromedp.Navigate(server.URL+screens["line"])))
	left, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](printed))
	require.NoError(t, err)
	require.Equal(t, []string{"H1.", "TABLE.explain"}, left)
	text, err := chromedp.Run(ctx, chromedp.Text("main"))
	require.NoError(t, err)
	for _, want := range []string{"4,120.50 USD", "Measured lift", "Lower bound", "0.20", "On the invoice"} {
		require.Contains(t, text, want)
	}
	// The widest tables have no column beside the sheet: A4 across, without its margins.
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(1032, 720)))
	for _, path := range []string{"/cycles?mode=live&state=invoiced", "/breaks?show=all", "/invoices?status=open&q=in_1", "/accounts", "/accruals", "/adjustments", "/contracts", "/events", "/audit", "/replays", "/accounts/acme/events", "/cycles/acme.2026-10", "/cycles/fees.2026-10"} {
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL+path)))
		width, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth`))
		require.NoError(t, err)
		require.LessOrEqual(t, width, 1033, "%s loses columns on paper", path)
	}
	for path, want := range map[string]string{"/cycles?mode=live&state=invoiced": "Selected: invoiced; live", "/invoices?status=open&q=in_1": "Selected: Status at Stripe open; Invoice, number or payer in_1"} {
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL+path)))
		said, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("main .paper").innerText`))
		require.NoError(t, err)
		require.Equal(t, want, said, "the sheet says what was selected")
	}
}

// TestLongNames: a name without a space does not push a page over its edge, on a screen nor on
// a phone.
func TestLongNames(t *testing.T) {
	l := fixture()
	name := strings.Repeat("Donaudampfschifffahrtsgesellschaft", 4)
	for i := range l.cycles {
		l.cycles[i].AccountName = name
	}
	for i := range l.accounts {
		l.accounts[i].Name = name
	}
	for i := range l.invoices {
		l.invoices[i].AccountName = name
	}
	for id, tie := range l.tieOuts {
		tie.AccountName = name
		l.tieOuts[id] = tie
	}
	server := httptest.NewServer(newDoor(l, &door{caller: signedIn()}, webui.Options{}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(chromium(t), 4*time.Minute)
	defer cancel()
	for _, width := range []int64{1400, 390} {
		require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)))
		for _, path := range []string{"/", "/cycles", "/cycles/acme.2026-10", "/cycles/acme.2026-10/lines/trial-nudge-7", "/cycles/acme.2026-10/corrections", "/invoices", "/invoices/acme.2026-10", "/accounts", "/accounts/acme/events", "/accounts/acme/customers", "/accounts/acme/whatif", "/accounts/acme/months/2026-11", "/breaks/" + breakAmount} {
			require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL+path)))
			wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
			require.NoError(t, err)
			require.LessOrEqual(t, wide, width+1, "%s at %d", path, width)
			first, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`Math.max(0, ...[...document.querySelectorAll(".wide tbody th:first-child, .wide tbody th:first-child a")].map((e) => e.getBoundingClientRect().width))`))
			require.NoError(t, err)
			require.LessOrEqual(t, first, 400.0, "%s at %d: the column that stays leaves room for the others", path, width)
			inside, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`[...document.querySelectorAll(".wide tbody th:first-child")].every((e) => e.scrollWidth <= e.clientWidth + 1)`))
			require.NoError(t, err)
			require.True(t, inside, "%s at %d: a name lies over the next column", path, width)
		}
	}
}

// TestKeys follows the keyboard: rows, the open row in the address, help, and jumps.
func TestKeys(t *testing.T) {
	server := httptest.NewServer(newDoor(fixture(), &door{caller: worker()}, webui.Options{}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(chromium(t), 4*time.Minute)
	defer cancel()
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL+"/cycles"), chromedp.KeyEvent("j"), chromedp.KeyEvent("j")))
	at, err := chromedp.Run(ctx, chromedp.Location())
	require.NoError(t, err)
	require.Equal(t, server.URL+"/cycles#row-northwind.2026-10", at)
	open, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.activeElement.closest("tr").id === "row-northwind.2026-10"`))
	require.NoError(t, err)
	require.True(t, open, "the focus is in the row")
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("?")))
	open, err = chromedp.Run(ctx, chromedp.Evaluate[bool](`document.getElementById("keys").open`))
	require.NoError(t, err)
	require.True(t, open)
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("\u001b"), chromedp.KeyEvent("g"), chromedp.KeyEvent("i"), chromedp.WaitVisible(`select[name=status]`)))
	at, err = chromedp.Run(ctx, chromedp.Location())
	require.NoError(t, err)
	require.Equal(t, server.URL+"/invoices", at)
	// The driver sends a key and its letter apart; a browser keeps the letter back when the
	// key was taken.
	passed, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true, cancelable: true }))`))
	require.NoError(t, err)
	require.False(t, passed, "the letter does not go into the field")
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("j")))
	typed, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.activeElement.value`))
	require.NoError(t, err)
	require.Equal(t, "j", typed, "a key in a field is text")
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL+"/breaks"), chromedp.KeyEvent("j"), chromedp.KeyEvent("x")))
	marked, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("input[name=pick]:checked").value`))
	require.NoError(t, err)
	require.Equal(t, breakAmount, marked)
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("a")))
	field, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.activeElement.name`))
	require.NoError(t, err)
	require.Equal(t, "owner", field)
	_, err = chromedp.Run(ctx, chromedp.Evaluate[bool](`(() => { const box = document.querySelector("input[type=search]"), data = new DataTransfer(); data.setData("text", "in_1QHaaaG9RKHgCVdKaaa"); return box.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })); })()`))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		at, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.readyState === "complete" ? location.href : ""`)) // the keys listen by then
		return err == nil && strings.Contains(at, "q=in_1QHaaaG9RKHgCVdKaaa")
	}, time.Minute, 100*time.Millisecond, "an ID that is pasted into the search is searched")
	_, err = chromedp.Run(ctx, chromedp.Evaluate[bool](`(() => { const data = new DataTransfer(); data.setData("text", "in_1QHk2vG9RKHgCVdKx01"); return document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true })); })()`))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		at, err := chromedp.Run(ctx, chromedp.Location())
		return err == nil && at == server.URL+"/invoices/acme.2026-10"
	}, time.Minute, 100*time.Millisecond, "an ID that is pasted into a page leads to what it is")
}

// TestFocusAndMotion: what the keyboard is at can be seen on every kind of control, the first
// stop skips the navigation, and nothing moves for whoever asked that nothing should.
func TestFocusAndMotion(t *testing.T) {
	server := httptest.NewServer(newDoor(fixture(), &door{caller: worker()}, webui.Options{}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(chromium(t), time.Minute)
	defer cancel()
	still := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	})
	require.NoError(t, chromedp.Do(ctx, still, chromedp.Navigate(server.URL+"/breaks"), chromedp.KeyEvent("\t")))
	seen := map[string]bool{}
	for n := range 70 {
		at, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect(); return [e.tagName, s.outlineStyle, s.outlineWidth, r.width > 0 && r.left >= 0 ? "seen" : "hidden", e.textContent.trim()]; })()`))
		require.NoError(t, err)
		if at[0] == "BODY" || at[0] == "HTML" {
			break // behind the last stop
		}
		at[4] = at[4][:min(len(at[4]), 40)]
		if n == 0 {
			require.Equal(t, "Skip to the content", at[4])
		}
		require.NotEqual(t, "none", at[1], "%v", at)
		require.NotEqual(t, "0px", at[2], "%v", at)
		require.Equal(t, "seen", at[3], "%v", at)
		seen[at[0]] = true
		require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("\t")))
	}
	for _, control := range []string{"A", "BUTTON", "SELECT", "INPUT"} {
		require.True(t, seen[control], control)
	}
	moving, err := chromedp.Run(ctx, chromedp.Evaluate[int](`[...document.querySelectorAll("*")].filter((e) => { const s = getComputedStyle(e); return s.animationName !== "none" || (s.transitionDuration !== "0s" && s.transitionProperty !== "none") || s.scrollBehavior === "smooth"; }).length`))
	require.NoError(t, err)
	require.Zero(t, moving)
}

// TestScreens opens every page in a real browser, wide and narrow, light and dark: no page
// scrolls sideways, text has the contrast that WCAG asks for, and no script fails.
// LIFTBILL_SHOTS names a folder for pictures of them, for somebody to look at.
func TestScreens(t *testing.T) {
	server := httptest.NewServer(newDoor(fixture(), &door{caller: worker()}, webui.Options{}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(chromium(t), 8*time.Minute)
	defer cancel()
	for _, look := range []struct {
		name, scheme  string
		width, height int64
	}{{"light", "light", 1400, 900}, {"dark", "dark", 1400, 900}, {"narrow", "light", 390, 844}, {"narrow-dark", "dark", 390, 844}} {
		require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(look.width, look.height), scheme(look.scheme)))
		for name, path := range screens {
			require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL+path)))
			wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
			require.NoError(t, err)
			pale, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](contrasts))
			require.NoError(t, err)
			if dir := os.Getenv("LIFTBILL_SHOTS"); dir != "" {
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s.png", name, look.name)), png, 0o600))
			}
			if wide > look.width {
				t.Errorf("%s, %s: the page is %d wide on a screen of %d", name, look.name, wide, look.width)
			}
			if len(pale) > 0 {
				t.Errorf("%s, %s: too little contrast: %s", name, look.name, strings.Join(pale, "; "))
			}
		}
	}
}
