package webui

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/go-fonts/dejavu/dejavusanscondensedbold"
	"golang.org/x/image/font/sfnt"

	"github.com/liftbill/liftbill/domain/fault"
)

// maxPDF bounds the rows of a PDF; more is for a spreadsheet.
const maxPDF = 5_000

// section is a table of a PDF below its own heading.
type section struct {
	Heading string
	Note    string
	Columns []column
	// Labels are the headings of the columns; empty takes their names.
	Labels []string
	Rows   [][]any
}

// The page is A4 across, in millimetres.
const (
	pdfWidth, pdfHeight   = 297.0, 210.0
	pdfMargin, pdfFoot    = 10.0, 12.0
	pdfLine, pdfSmall     = 3.9, 7.5 // height of a line of text, and its size in points
	pdfPad                = 1.2
	pdfCellMost, pdfLeast = 62.0, 9.0
	pdfCellWide           = 130.0
)

// pdfFont is the family that is embedded: DejaVu Sans Condensed, of which only the glyphs
// that are used go into a file.
const pdfFont = "dejavu"

// missingGlyph stands for a character that the font does not have.
const missingGlyph = '□'

// glyphs knows which characters the font has.
var glyphs = sync.OnceValues(func() (*sfnt.Font, error) { return sfnt.Parse(dejavusanscondensed.TTF) })

// sheet draws the pages of one report.
type sheet struct {
	*fpdf.Fpdf
	face    *sfnt.Font
	buf     sfnt.Buffer
	missing int
}

// pdf is the report on pages: what an auditor asks of it first, then its tables. sections
// are the report's own table unless they say it in more detail. The same content at the same
// time gives the same bytes. The digest is that of the table as CSV, which has every
// character and every minor unit.
func (r report) pdf(h head, at time.Time, sections ...section) ([]byte, error) {
	if len(r.Rows) > maxPDF {
		return nil, fault.New(fault.Invalid, "pdf_too_large", "a PDF holds %d rows and the selection has %d", maxPDF, len(r.Rows)).Fix("Choose a filter, or take the CSV or the XLSX")
	}
	face, err := glyphs()
	if err != nil {
		return nil, err
	}
	s := &sheet{Fpdf: fpdf.New("L", "mm", "A4", ""), face: face}
	s.SetCatalogSort(true)
	s.SetCreationDate(at.UTC())
	s.SetModificationDate(at.UTC())
	s.SetTitle(s.text(r.Title), true)
	s.SetProducer("liftbill", true)
	s.SetLang("en")
	s.AddUTF8FontFromBytes(pdfFont, "", dejavusanscondensed.TTF)
	s.AddUTF8FontFromBytes(pdfFont, "B", dejavusanscondensedbold.TTF)
	s.SetMargins(pdfMargin, pdfMargin, pdfMargin)
	s.SetAutoPageBreak(false, pdfFoot)
	s.AliasNbPages("{pages}")
	foot := s.text(fmt.Sprintf("liftbill · %s · version %d · run %s · digest %s…", r.Name, r.Version, at.UTC().Format(time.RFC3339), h.Digest[:16]))
	s.SetFooterFunc(func() { s.footer(foot) })
	s.AddPage()
	s.title(r.Title)
	s.head(h)
	if len(sections) == 0 {
		sections = []section{{Columns: r.Columns, Labels: r.Labels, Rows: r.Rows}}
	}
	for _, sec := range sections {
		s.section(sec)
	}
	if s.missing > 0 {
		s.note(fmt.Sprintf("%d characters are shown as %c because the font does not have them; the CSV has them.", s.missing, missingGlyph))
	}
	var out bytes.Buffer
	err = s.Output(&out)
	return out.Bytes(), err
}

// text replaces what cannot be drawn: line breaks by spaces, and characters that the font
// does not have.
func (s *sheet) text(in string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ':
			return -1
		}
		if i, err := s.face.GlyphIndex(&s.buf, r); r > 0xffff || err != nil || i == 0 {
			s.missing++
			return missingGlyph
		}
		return r
	}, in)
}

func (s *sheet) footer(text string) {
	s.SetY(pdfHeight - pdfFoot + 2)
	s.SetFont(pdfFont, "", 7)
	s.SetTextColor(90, 90, 90)
	s.CellFormat(pdfWidth-2*pdfMargin-30, pdfLine, text, "", 0, "L", false, 0, "")
	s.CellFormat(30, pdfLine, fmt.Sprintf("page %d of {pages}", s.PageNo()), "", 0, "R", false, 0, "")
	s.SetTextColor(0, 0, 0)
}

func (s *sheet) title(text string) {
	s.SetFont(pdfFont, "B", 15)
	s.MultiCell(0, 7, s.text(text), "", "L", false)
	s.Ln(1)
}

// head writes the lines that stand above the table in a CSV, too.
func (s *sheet) head(h head) {
	last := ""
	for _, line := range h.Lines {
		s.room(pdfLine)
		name, rest := strings.TrimPrefix(line[0], "#"), line[1:]
		label := name
		if name == last {
			label = "" // several of a kind stand below one name
		}
		last = name
		if name == "digest" {
			rest = []string{rest[0], rest[1], "of the header line and the rows of the same report as CSV"}
		}
		s.SetFont(pdfFont, "B", pdfSmall)
		s.CellFormat(26, pdfLine, s.text(label), "", 0, "L", false, 0, "")
		s.SetFont(pdfFont, "", pdfSmall)
		s.MultiCell(0, pdfLine, s.text(strings.Join(rest, "  ")), "", "L", false)
	}
	s.Ln(2)
}

// room begins a page where less than a height is left, and says whether it did.
func (s *sheet) room(height float64) bool {
	if s.GetY()+height <= pdfHeight-pdfFoot {
		return false
	}
	s.AddPage()
	return true
}

func (s *sheet) note(text string) {
	s.room(2 * pdfLine)
	s.SetFont(pdfFont, "", pdfSmall)
	s.SetTextColor(90, 90, 90)
	s.MultiCell(0, pdfLine, s.text(text), "", "L", false)
	s.SetTextColor(0, 0, 0)
	s.Ln(1)
}

// section draws a table. Columns that do not fit beside each other follow below, with the
// first column again, so that a row is found.
func (s *sheet) section(sec section) {
	if sec.Heading != "" {
		s.room(8 + 4*pdfLine)
		s.Ln(1)
		s.SetFont(pdfFont, "B", 10.5)
		s.CellFormat(0, 6, s.text(sec.Heading), "", 1, "L", false, 0, "")
	}
	if sec.Note != "" {
		s.note(sec.Note)
	}
	if len(sec.Rows) == 0 {
		return
	}
	t := s.tableOf(sec)
	groups := t.groups()
	for i, group := range groups {
		if i > 0 {
			s.Ln(3)
			s.room(4 * pdfLine)
		}
		if len(groups) > 1 {
			s.note(fmt.Sprintf("Columns %d to %d of %d", group[min(1, len(group)-1)]+1, group[len(group)-1]+1, len(t.labels)))
		}
		s.table(t, group)
	}
	s.Ln(2)
}

// pdfTable is a table as text with the widths of its columns.
type pdfTable struct {
	labels []string
	right  []bool
	rows   [][]string
	widths []float64
	// totals is the last line; nil where nothing is summed.
	totals []string
}

func (s *sheet) tableOf(sec section) pdfTable {
	t := pdfTable{}
	for i, c := range sec.Columns {
		label := words(c.Name)
		if len(sec.Labels) > i {
			label = sec.Labels[i]
		}
		t.labels = append(t.labels, s.text(label))
		t.right = append(t.right, c.Kind == columnMoney || c.Kind == columnCount)
	}
	for _, row := range sec.Rows {
		cells := make([]string, len(sec.Columns))
		for i := range sec.Columns {
			cells[i] = s.text(shown(row[i]))
		}
		t.rows = append(t.rows, cells)
	}
	t.totals = s.totals(sec)
	t.widths = s.widths(t)
	return t
}

// widths are what the cells need, up to a bound above which they are broken into lines; the
// bound is wide where there are few columns.
func (s *sheet) widths(t pdfTable) []float64 {
	most := pdfCellMost
	if len(t.labels) <= 5 {
		most = pdfCellWide
	}
	out := make([]float64, len(t.labels))
	measure := func(rows ...[]string) {
		for _, row := range rows {
			for i := range row {
				out[i] = max(out[i], min(s.GetStringWidth(row[i])+2*pdfPad+0.4, most))
			}
		}
	}
	for i := range out {
		out[i] = pdfLeast
	}
	s.SetFont(pdfFont, "", pdfSmall)
	measure(t.rows...)
	s.SetFont(pdfFont, "B", pdfSmall)
	measure(t.labels, t.totals)
	return out
}

// totals are the sums of the columns, per environment and currency.
func (s *sheet) totals(sec section) []string {
	controls := report{Columns: sec.Columns, Rows: sec.Rows}.controls()
	if len(controls) == 0 {
		return nil
	}
	out := make([]string, len(sec.Columns))
	for i, c := range sec.Columns {
		var parts []string
		for _, t := range controls {
			switch {
			case t.Column != c.Name:
			case c.Kind == columnMoney:
				parts = append(parts, strings.TrimSpace(shown(cashOf(t.Value, t.Currency))+" "+t.Environment))
			default:
				parts = append(parts, strings.TrimSpace(count64(t.Value)+" "+t.Environment))
			}
		}
		out[i] = strings.Join(parts, " + ")
	}
	if out[0] == "" {
		out[0] = "Total"
	}
	return out
}

// shown is a cell as a person reads it: money grouped, with its currency.
func shown(cell any) string {
	switch v := cell.(type) {
	case cash:
		if v.Minor == nil {
			return "–"
		}
		a := amount(*v.Minor, v.Currency)
		return strings.TrimSpace(a.Digits + " " + a.Currency)
	case int64:
		return count64(v)
	case time.Time:
		return stamp(v)
	case string:
		return v
	default:
		return "–"
	}
}

// groups are the columns that fit beside each other; every group begins with the first one.
func (t pdfTable) groups() [][]int {
	room := pdfWidth - 2*pdfMargin
	group, used := []int{0}, t.widths[0]
	var out [][]int
	for i := 1; i < len(t.widths); i++ {
		if used+t.widths[i] > room {
			out = append(out, group)
			group, used = []int{0}, t.widths[0]
		}
		group, used = append(group, i), used+t.widths[i]
	}
	return append(out, group)
}

// table draws the rows of a group of columns; every page repeats the header.
func (s *sheet) table(t pdfTable, group []int) {
	header := func() {
		if strings.Join(t.labels, "") != "" {
			s.row(t, group, t.labels, "B", true)
		}
	}
	header()
	for i, cells := range t.rows {
		if s.room(s.heightOf(t, group, cells)) {
			header()
		}
		s.row(t, group, cells, "", i%2 == 1)
	}
	if t.totals != nil {
		if s.room(s.heightOf(t, group, t.totals)) {
			header()
		}
		s.row(t, group, t.totals, "B", false)
	}
}

// lines breaks a cell's text into lines of its column.
func (s *sheet) lines(text string, width float64) []string {
	if s.GetStringWidth(text) <= width-2*pdfPad {
		return []string{text}
	}
	return s.SplitText(text, width-2*pdfPad+2*s.GetCellMargin())
}

func (s *sheet) heightOf(t pdfTable, group []int, cells []string) float64 {
	n := 1
	for _, i := range group {
		n = max(n, len(s.lines(cells[i], t.widths[i])))
	}
	return float64(n)*pdfLine + pdfPad
}

func (s *sheet) row(t pdfTable, group []int, cells []string, style string, tint bool) {
	s.SetFont(pdfFont, style, pdfSmall)
	height, x, y := s.heightOf(t, group, cells), pdfMargin, s.GetY()
	width := 0.0
	for _, i := range group {
		width += t.widths[i]
	}
	if tint {
		shade := 246
		if style == "B" {
			shade = 232
		}
		s.SetFillColor(shade, shade, shade)
		s.Rect(x, y, width, height, "F")
	}
	if style == "B" {
		s.SetDrawColor(120, 120, 120)
		s.SetLineWidth(0.2)
		s.Line(x, y+height, x+width, y+height)
		if !tint {
			s.Line(x, y, x+width, y)
		}
	}
	for _, i := range group {
		align := "L"
		if t.right[i] {
			align = "R"
		}
		for n, line := range s.lines(cells[i], t.widths[i]) {
			s.SetXY(x+pdfPad, y+pdfPad/2+float64(n)*pdfLine)
			s.CellFormat(t.widths[i]-2*pdfPad, pdfLine, line, "", 0, align, false, 0, "")
		}
		x += t.widths[i]
	}
	s.SetXY(pdfMargin, y+height)
}
