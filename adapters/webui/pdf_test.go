package webui_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/ledongthuc/pdf"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/domain/money"
)

func getPDF(t *testing.T, e *echo.Echo, path string) ([]byte, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	require.Equal(t, http.StatusOK, w.Code, "%s: %s", path, w.Body.String())
	require.Equal(t, "application/pdf", w.Header().Get("Content-Type"))
	return w.Body.Bytes(), w.Header()
}

// readPDF is the text of a file as a reader of PDFs finds it, without its spaces, which the
// breaking of lines decides.
func readPDF(t *testing.T, raw []byte) (text string, pages int) {
	t.Helper()
	r, err := pdf.NewReader(bytes.NewReader(raw), int64(len(raw)))
	require.NoError(t, err)
	var all strings.Builder
	for n := 1; n <= r.NumPage(); n++ {
		page := r.Page(n)
		for _, name := range page.Fonts() {
			require.False(t, page.Font(name).V.Key("ToUnicode").IsNull(), "text can be copied and searched")
		}
		pdf.Interpret(page.V.Key("Contents"), func(stack *pdf.Stack, op string) {
			var operands []pdf.Value
			for stack.Len() > 0 {
				operands = append(operands, stack.Pop())
			}
			if op != "Tj" {
				return
			}
			// The codes are those of the font's ToUnicode: UTF-16, high byte first.
			codes := operands[0].RawString()
			require.Zero(t, len(codes)%2)
			for i := 0; i < len(codes); i += 2 {
				all.WriteRune(rune(codes[i])<<8 | rune(codes[i+1]))
			}
			all.WriteByte(' ')
		})
	}
	return squeezed(all.String()), r.NumPage()
}

func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

// TestEveryPDFSaysWhatItsCSVSays: each export is there as a PDF on the same address, with
// the same head and digest, and every row of the CSV can be read in it. DUMP keeps the files.
func TestEveryPDFSaysWhatItsCSVSays(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: signedIn()}, webui.Options{})
	for n, pattern := range everyExport {
		path := strings.Replace(pattern, "%s", "pdf", 1)
		f := download(t, e, strings.Replace(pattern, "%s", "csv", 1))
		raw, header := getPDF(t, e, path)
		if dir := os.Getenv("DUMP"); dir != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.pdf", n)), raw, 0o600))
		}
		require.Equal(t, f.digest, header.Get("Report-Digest"), path)
		require.Contains(t, header.Get("Content-Disposition"), ".pdf")
		text, pages := readPDF(t, raw)
		for page := 1; page <= pages; page++ {
			require.Contains(t, text, squeezed(fmt.Sprintf("page %d of %d", page, pages)), path)
		}
		require.Contains(t, text, squeezed(f.head["#report"][0][0]), path)
		require.Contains(t, text, strings.TrimPrefix(f.digest, "sha256:"), path)
		require.Contains(t, text, squeezed("rows "+f.head["#rows"][0][0]), path)
		for _, total := range f.head["#control total"] {
			require.Contains(t, text, squeezed(strings.Join(total, " ")), path)
		}
		for _, p := range f.head["#parameter"] {
			require.Contains(t, text, squeezed(strings.Join(p, " ")), path)
		}
		statement := strings.HasPrefix(path, "/cycles/") && strings.Contains(path, "/export.pdf") && !strings.Contains(path, "/lines/")
		for i, h := range f.header {
			money, isMoney := strings.CutSuffix(h, "_minor")
			for _, row := range f.rows {
				switch {
				case isMoney && !statement && row[i] != "":
					require.Contains(t, text, squeezed(grouped(f, row, i+1)), "%s: %s", path, money)
				case h == "account_name", h == "snapshot", h == "case_id", h == "period", h == "code":
					require.Contains(t, text, squeezed(strings.TrimPrefix(row[i], "'")), "%s: %s", path, h)
				}
			}
		}
		again, _ := getPDF(t, e, path)
		require.Equal(t, raw, again, "%s: the same content at the same time is the same file", path)
	}
}

// grouped is an amount of a CSV as pages show it, without its currency.
func grouped(_ file, row []string, i int) string {
	sign, digits := "", row[i]
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	whole, cents, has := strings.Cut(digits, ".")
	out := sign + money.Group(whole)
	if has {
		out += "." + cents
	}
	return out
}

// TestStatementHasTheCyclesFigures: the statement of a cycle has both sides, each line with
// its amount, and what was withheld with its reason.
func TestStatementHasTheCyclesFigures(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	raw, _ := getPDF(t, e, "/cycles/acme.2026-10/export.pdf")
	text, _ := readPDF(t, raw)
	tie := l.tieOuts["acme.2026-10"]
	require.Contains(t, text, squeezed("4,120.50 USD 4,120.50 USD 0.00 USD"), "engine, Stripe, difference")
	for _, x := range tie.Lines {
		require.Contains(t, text, squeezed(x.SnapshotName))
		if x.Billed {
			require.Contains(t, text, x.CaseID)
			continue
		}
		require.Contains(t, text, squeezed(x.Explanation))
	}
	require.Contains(t, text, tie.ContractHash)
	require.Contains(t, text, tie.InputDigest)
	require.Contains(t, text, squeezed("Out of scope: the contract measures and bills USD only"))
	require.Contains(t, text, squeezed("EUR Sum of the buckets 3 777.00 EUR"))
}

// TestPDFKeepsNames: names of any script that the font has are in the file as they are; what
// it does not have is a box, and the file says so.
func TestPDFKeepsNames(t *testing.T) {
	t.Parallel()
	l := fixture()
	l.accruals[0].AccountName = "Žluťoučký Πελάτης Ελλάς, Москва Ðæß − ✓"
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	raw, _ := getPDF(t, e, "/accruals.pdf")
	text, _ := readPDF(t, raw)
	require.Contains(t, text, squeezed(l.accruals[0].AccountName))
	require.NotContains(t, text, "□")
	l.accruals[0].AccountName = "株式会社 \U0001F600\nAcme"
	raw, _ = getPDF(t, e, "/accruals.pdf")
	text, _ = readPDF(t, raw)
	require.Contains(t, text, "□□□□□Acme")
	require.Contains(t, text, squeezed("5 characters are shown as □ because the font does not have them"))
}

// TestPDFIsBounded: what nobody would read on paper is refused with a remedy.
func TestPDFIsBounded(t *testing.T) {
	t.Parallel()
	l := fixture()
	for len(l.accruals) <= 5_000 {
		l.accruals = append(l.accruals, l.accruals[0])
	}
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/accruals.pdf", nil))
	require.NotEqual(t, http.StatusOK, w.Code)
	w = httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/accruals.csv", nil))
	require.Equal(t, http.StatusOK, w.Code)
}
