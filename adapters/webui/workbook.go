package webui

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// dataSheet holds the rows, reportSheet what an auditor asks of them.
const (
	reportSheet = "Report"
	dataSheet   = "Data"
)

// workbook writes the report as XLSX: numbers as numbers, times as times of UTC, a frozen
// header, and the totals as formulas over the rows. Amounts go in as text that the file
// format reads as a number, so that no cent passes through a float.
func (r report) workbook(h head) (_ []byte, err error) {
	f := excelize.NewFile()
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := f.SetSheetName("Sheet1", reportSheet); err != nil {
		return nil, err
	}
	if _, err := f.NewSheet(dataSheet); err != nil {
		return nil, err
	}
	for i, line := range h.Lines {
		for j, text := range line {
			if err := f.SetCellStr(reportSheet, cellName(j, i), text); err != nil {
				return nil, err
			}
		}
	}
	if err := f.SetColWidth(reportSheet, "A", "E", 24); err != nil {
		return nil, err
	}
	if err := r.fill(f); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := f.Write(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// fill writes the header, the rows and a line of totals below them.
func (r report) fill(f *excelize.File) error {
	bold, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	if err != nil {
		return err
	}
	look, err := newLooks(f)
	if err != nil {
		return err
	}
	table := r.table()
	for j, name := range table[0] {
		if err := f.SetCellStr(dataSheet, cellName(j, 0), name); err != nil {
			return err
		}
	}
	for i, row := range r.Rows {
		at := 0
		for k, c := range r.Columns {
			cells := textCells(c, row[k])
			if err := fillCell(f, at, i+1, row[k], cells, look); err != nil {
				return err
			}
			at += len(cells)
		}
	}
	if err := r.totals(f, bold); err != nil {
		return err
	}
	width := len(table[0])
	if err := f.SetCellStyle(dataSheet, "A1", cellName(width-1, 0), bold); err != nil {
		return err
	}
	if err := f.SetColWidth(dataSheet, "A", columnName(width-1), 18); err != nil {
		return err
	}
	return f.SetPanes(dataSheet, &excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
}

// looks are the formats of cells: excelize's numbers 3 and 4 group by thousands, without
// and with two decimals.
type looks struct{ times, whole, cents int }

func newLooks(f *excelize.File) (looks, error) {
	moment := "yyyy-mm-dd hh:mm:ss"
	var l looks
	for into, style := range map[*int]*excelize.Style{&l.times: {CustomNumFmt: &moment}, &l.whole: {NumFmt: 3}, &l.cents: {NumFmt: 4}} {
		var err error
		if *into, err = f.NewStyle(style); err != nil {
			return l, err
		}
	}
	return l, nil
}

func fillCell(f *excelize.File, at, line int, cell any, cells []string, look looks) error {
	switch v := cell.(type) {
	case cash:
		style := look.cents
		if !strings.Contains(cells[1], ".") {
			style = look.whole
		}
		for n, text := range cells {
			if text == "" {
				continue
			}
			if err := f.SetCellDefault(dataSheet, cellName(at+n, line), text); err != nil {
				return err
			}
		}
		return f.SetCellStyle(dataSheet, cellName(at+1, line), cellName(at+1, line), style)
	case int64:
		return f.SetCellDefault(dataSheet, cellName(at, line), cells[0])
	case time.Time:
		if v.IsZero() {
			return nil
		}
		if err := f.SetCellValue(dataSheet, cellName(at, line), v.UTC()); err != nil {
			return err
		}
		return f.SetCellStyle(dataSheet, cellName(at, line), cellName(at, line), look.times)
	default:
		return f.SetCellStr(dataSheet, cellName(at, line), cells[0])
	}
}

// totals adds lines of formulas: one, or one for each environment and currency that rows
// have, by the columns that tell them apart.
func (r report) totals(f *excelize.File, bold int) error {
	last := len(r.Rows) + 1
	if len(r.Rows) == 0 {
		return nil
	}
	controls := r.controls()
	places := placesOf(controls)
	width := len(r.table()[0])
	for n, p := range places {
		label := strings.Join(strings.Fields("Total "+strings.ToUpper(p.Currency)+" "+p.Environment), " ")
		if len(places) == 1 {
			label = "Total"
		}
		if err := f.SetCellStr(dataSheet, cellName(0, last+n), label); err != nil {
			return err
		}
		if err := r.sums(f, last, last+n, p, places, controls); err != nil {
			return err
		}
		if err := f.SetCellStyle(dataSheet, cellName(0, last+n), cellName(width-1, last+n), bold); err != nil {
			return err
		}
	}
	return nil
}

// placesOf are the environments and currencies that have sums. Counts share the line of a
// currency where their environment has one only.
func placesOf(controls []control) []control {
	var out []control
	add := func(p control) {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	for _, c := range controls {
		if c.Currency != "" {
			add(control{Currency: c.Currency, Environment: c.Environment})
		}
	}
	for _, c := range controls {
		if c.Currency == "" && currenciesOf(out, c.Environment) != 1 {
			add(control{Environment: c.Environment})
		}
	}
	if len(out) == 0 {
		return []control{{}}
	}
	return out
}

// currenciesOf counts the currencies of an environment.
func currenciesOf(places []control, env string) (n int) {
	for _, p := range places {
		if p.Environment == env && p.Currency != "" {
			n++
		}
	}
	return n
}

// sums writes the formulas of one line of totals, over the rows above the line last.
func (r report) sums(f *excelize.File, last, line int, p control, places, controls []control) error {
	byEnvironment, byCurrency := r.among(r.apart(), p.Environment, last), r.among("currency", p.Currency, last)
	several, at := currenciesOf(places, p.Environment) > 1, 0
	for _, c := range r.Columns {
		from := at
		at += c.cells()
		has := slices.ContainsFunc(controls, func(t control) bool {
			return t.Column == c.Name && t.Environment == p.Environment && (t.Currency == p.Currency || t.Currency == "" && !several)
		})
		money := c.Kind == columnMoney
		if !has || money && several && byCurrency == "" {
			continue // sums that no column tells apart are on the first sheet only
		}
		for k := max(from, 1); k < at; k++ {
			rows := columnName(k) + "2:" + columnName(k) + strconv.Itoa(last)
			formula := "SUM(" + rows + ")"
			if criteria := byEnvironment + byCurrency; len(places) > 1 && money && criteria != "" {
				formula = "SUMIFS(" + rows + criteria + ")"
			} else if len(places) > 1 && byEnvironment != "" {
				formula = "SUMIFS(" + rows + byEnvironment + ")"
			}
			if err := f.SetCellFormula(dataSheet, cellName(k, line), formula); err != nil {
				return err
			}
		}
	}
	return nil
}

// among is the criterion of a formula that a column of text has a value, as the rows write
// it; empty where there is no such column, or nothing to ask of it.
func (r report) among(name, value string, last int) string {
	at := 0
	for i, c := range r.Columns {
		if c.Name != name || c.Kind != columnText {
			at += c.cells()
			continue
		}
		for _, row := range r.Rows {
			if text, ok := row[i].(string); ok && value != "" && strings.EqualFold(text, value) {
				return ",$" + columnName(at) + "$2:$" + columnName(at) + "$" + strconv.Itoa(last) + `,"` + text + `"`
			}
		}
		return ""
	}
	return ""
}

// cells is how many cells a column takes in a file.
func (c column) cells() int {
	if c.Kind == columnMoney {
		return 2
	}
	return 1
}

func columnName(i int) string {
	name, err := excelize.ColumnNumberToName(i + 1)
	if err != nil {
		return "A" // the columns of a report are few
	}
	return name
}

func cellName(column, line int) string { return columnName(column) + strconv.Itoa(line+1) }
