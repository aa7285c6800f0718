package webui

import (
	"bytes"
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

// totals adds a line of formulas; money only where all rows have one currency.
func (r report) totals(f *excelize.File, bold int) error {
	last := len(r.Rows) + 1
	if len(r.Rows) == 0 {
		return nil
	}
	if err := f.SetCellStr(dataSheet, cellName(0, last), "Total"); err != nil {
		return err
	}
	currencies := map[string]map[string]bool{}
	for _, c := range r.controls() {
		if currencies[c.Column] == nil {
			currencies[c.Column] = map[string]bool{}
		}
		currencies[c.Column][c.Currency] = true
	}
	at := 0
	for _, c := range r.Columns {
		n := 1
		if c.Kind == columnMoney {
			n = 2
		}
		for k := range n {
			if c.Sum && len(currencies[c.Name]) == 1 && at+k > 0 {
				col := columnName(at + k)
				if err := f.SetCellFormula(dataSheet, cellName(at+k, last), "SUM("+col+"2:"+col+strconv.Itoa(last)+")"); err != nil {
					return err
				}
			}
		}
		at += n
	}
	return f.SetCellStyle(dataSheet, cellName(0, last), cellName(at-1, last), bold)
}

func columnName(i int) string {
	name, err := excelize.ColumnNumberToName(i + 1)
	if err != nil {
		return "A" // the columns of a report are few
	}
	return name
}

func cellName(column, line int) string { return columnName(column) + strconv.Itoa(line+1) }
