package reconcile_test

import (
	"encoding/csv"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

var (
	rowRE  = regexp.MustCompile(`(?s)<tr id="row-([a-z2-7]{26})">(.*?)</tr>`)
	cellRE = regexp.MustCompile(`(?s)<t[hd][^>]*>(.*?)</t[hd]>`)
	lineRE = regexp.MustCompile(`(?s)<tr data-line="([a-z]+)">(.*?)</tr>`)
	tagRE  = regexp.MustCompile(`<[^>]*>`)
)

// plain is the text of a piece of a page.
func plain(html string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("&nbsp;", " ", "&#39;", "'", "&#34;", `"`, "&amp;", "&").Replace(tagRE.ReplaceAllString(html, " "))), " ")
}

func cellsOf(row string) []string {
	var out []string
	for _, m := range cellRE.FindAllStringSubmatch(row, -1) {
		out = append(out, plain(m[1]))
	}
	return out
}

// file reads an export of a page by the names of its columns.
func (p *planted) file(t *testing.T, path string) []map[string]string {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(p.Page(t, p.session, path))).ReadAll()
	require.NoError(t, err)
	for strings.HasPrefix(lines[0][0], "#") {
		lines = lines[1:]
	}
	var out []map[string]string
	for _, line := range lines[1:] {
		m := map[string]string{}
		for i, name := range lines[0] {
			m[name] = line[i]
		}
		out = append(out, m)
	}
	return out
}

// requirePage demands that the list of breaks, its file and the API say the same of an
// account's month: each break once, with its amount and its effect.
func (p *planted) requirePage(t *testing.T, c *pipelinetest.Company) {
	t.Helper()
	where := "?show=all&account=" + c.ID + "&period=" + pipelinetest.Month
	want := map[string]httpapi.Break{}
	for _, b := range p.breaks(t, "account="+c.ID) {
		want[b.ID] = b
	}
	shown := map[string][]string{}
	for _, m := range rowRE.FindAllStringSubmatch(p.Page(t, p.session, "/breaks"+where), -1) {
		require.NotContains(t, shown, m[1], "a break stands on the page once")
		shown[m[1]] = cellsOf(m[2])
	}
	require.Len(t, shown, len(want))
	rows := p.file(t, "/breaks.csv"+where)
	require.Len(t, rows, len(want))
	for _, row := range rows {
		b := want[row["break"]]
		require.Equal(t, []string{b.Type, string(b.State), fmt.Sprint(b.AtStake.Minor), fmt.Sprint(b.Difference.Minor)}, []string{row["type"], row["state"], row["at_stake_minor"], row["difference_minor"]})
		cells := shown[b.ID]
		require.Contains(t, cells[0], b.Type)
		require.Contains(t, cells[2], strings.ReplaceAll(string(b.State), "_", " "))
		require.Equal(t, row["effect"], cells[9])
		require.Equal(t, p.want[c.ID][recon.Type(b.Type)], b.AtStake.Minor)
		if row["at_stake"] != "" {
			require.Contains(t, strings.ReplaceAll(cells[7], ",", ""), row["at_stake"], b.Type)
		}
		one := plain(p.Page(t, p.session, "/breaks/"+b.ID))
		require.Contains(t, one, strings.ReplaceAll(string(b.State), "_", " "))
		require.Contains(t, strings.ToLower(one), strings.ToLower(row["effect"]))
	}
}

// requireTiesOnThePage demands 0.00 on every line of the month's tie-out.
func (p *planted) requireTiesOnThePage(t *testing.T, c *pipelinetest.Company, lines []recon.TieOutLine) {
	t.Helper()
	path := "/cycles/" + c.CycleID()
	if c == p.borealis { // it was not billed
		path = "/accounts/" + c.ID + "/months/" + pipelinetest.Month
	}
	page := p.Page(t, p.session, path)
	require.Contains(t, plain(page), "The month ties out at 0.00.")
	shown := lineRE.FindAllStringSubmatch(page, -1)
	require.Len(t, shown, len(lines))
	for i, m := range shown {
		require.Equal(t, string(lines[i].Line), m[1])
		cells := cellsOf(m[2])
		for n, minor := range []int64{lines[i].LeftMinor, lines[i].RightMinor, lines[i].DifferenceMinor, lines[i].ExplainedMinor} {
			want, err := money.New(minor, money.Currency(lines[i].Currency))
			require.NoError(t, err)
			require.Equal(t, want.Major().StringFixed(2)+" "+strings.ToUpper(lines[i].Currency), strings.ReplaceAll(cells[n+1], ",", ""), "%s: %s", lines[i].Line, cells)
		}
		require.Equal(t, "0.00 "+strings.ToUpper(lines[i].Currency)+" ✓", cells[6])
	}
}

// requireCoverage demands that what does not meet is counted on the page of join coverage,
// with the amounts of the breaks.
func (p *planted) requireCoverage(t *testing.T) {
	t.Helper()
	gaps := func(c *pipelinetest.Company) map[string]map[string]string {
		out := map[string]map[string]string{}
		for _, row := range p.file(t, "/coverage.csv?period="+pipelinetest.Month+"&account="+c.ID) {
			out[row["reason"]] = row
		}
		require.Contains(t, p.Page(t, p.session, "/coverage?period="+pipelinetest.Month+"&account="+c.ID), `id="gaps"`)
		return out
	}
	borealis, cedar := gaps(p.borealis), gaps(p.cedar)
	require.Equal(t, fmt.Sprint(p.want["borealis"][recon.DuplicateReward]), borealis["duplicate_reward"]["amount_minor"])
	require.Equal(t, "1", borealis["duplicate_reward"]["count"])
	require.Equal(t, "2900", borealis["never_mapped"]["amount_minor"])
	require.Equal(t, "0", borealis["propensity_out_of_range"]["count"])
	require.Equal(t, "1", cedar["propensity_out_of_range"]["count"])
	require.Equal(t, fmt.Sprint(p.want["cedar-test"][recon.RewardWithoutDecision]), cedar["reward_without_decision"]["amount_minor"])
	require.Contains(t, cedar, "duplicate_decision", "users who were decided about again are counted")
}
