package webui_test

import (
	"bytes"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/domain/account"
)

// Money of live and of test is never in one sum: not in the totals of a page, not in the
// control totals of a file, not in the formulas of a workbook.
func TestLiveAndTestAreSummedApart(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	require.NotContains(t, open(t, e, "/accruals").html, `Total USD <span class="env`, "all rows are live")
	live, test := accrualsOf()[0], accrualsOf()[0]
	live.Environment, test.Environment = account.Live, account.Test
	live.AccountID, test.AccountID = "acme", "sandbox"
	l.accruals = []accrual.Accrual{live, test}
	require.Contains(t, open(t, e, "/accruals").html, `Total USD <span class="env test">TEST</span>`)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/accruals.xlsx", nil))
	book, err := excelize.OpenReader(bytes.NewReader(w.Body.Bytes()))
	require.NoError(t, err)
	rows, err := book.GetRows("Data")
	require.NoError(t, err)
	require.Equal(t, []string{"Total USD live", "Total USD test"}, []string{rows[3][0], rows[4][0]})
	at := slices.Index(rows[0], "expected_minor")
	for _, line := range []int{4, 5} {
		name, err := excelize.CoordinatesToCellName(at+1, line)
		require.NoError(t, err)
		sum, err := book.CalcCellValue("Data", name)
		require.NoError(t, err)
		require.Equal(t, rows[1][at], sum, "each its own row")
	}
	require.NoError(t, book.Close())
}

// Whatever can be taken as CSV can be taken as a workbook and as pages, from the same page
// and with the same filters.
func TestEveryFileIsOfferedInEveryFormat(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: worker()}, webui.Options{})
	offered, served := 0, map[string]bool{}
	for _, path := range everyPage {
		p := open(t, e, path)
		for _, m := range regexp.MustCompile(`href="([^"]*)" data-key="e"`).FindAllStringSubmatch(p.html, -1) {
			csv := html.UnescapeString(m[1])
			offered++
			for _, format := range []string{".xlsx", ".pdf"} {
				other := strings.Replace(csv, ".csv", format, 1)
				require.Contains(t, p.links, other, path)
				if file, _, _ := strings.Cut(other, "?"); !served[file] {
					served[file] = true
					require.Equal(t, http.StatusOK, send(t, e, http.MethodGet, other, nil).Code, other)
				}
			}
		}
	}
	require.Greater(t, offered, 25)
}
