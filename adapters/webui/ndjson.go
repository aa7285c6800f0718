package webui

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// ndjson writes the report with one JSON object per line. The first line holds the head under
// "report", with the SHA-256 of the lines below it; every other line is a row by the names of
// the columns: counts and minor units as numbers, major units and times as text, and null for
// what is not known.
func (r report) ndjson(h head) ([]byte, error) {
	var rows bytes.Buffer
	for _, row := range r.Rows {
		rows.WriteByte('{')
		first := true
		put := func(name string, value any) error {
			raw, err := json.Marshal(value)
			if err != nil {
				return err
			}
			if !first {
				rows.WriteByte(',')
			}
			first = false
			key, err := json.Marshal(name)
			rows.Write(key)
			rows.WriteByte(':')
			rows.Write(raw)
			return err
		}
		for i, c := range r.Columns {
			if c.Kind == columnMoney {
				v, _ := row[i].(cash)
				if err := put(c.Name+"_minor", v.Minor); err != nil {
					return nil, err
				}
			}
			if err := put(c.Name, plainCell(row[i])); err != nil {
				return nil, err
			}
		}
		rows.WriteString("}\n")
	}
	sum := sha256.Sum256(rows.Bytes())
	top, err := json.Marshal(map[string]any{"report": map[string]any{"head": h.Lines, "lines_sha256": hex.EncodeToString(sum[:])}})
	if err != nil {
		return nil, err
	}
	return append(append(top, '\n'), rows.Bytes()...), nil
}

// plainCell is a cell as JSON takes it; nil is not known.
func plainCell(cell any) any {
	switch v := cell.(type) {
	case cash:
		if v.Minor == nil {
			return nil
		}
		return major(*v.Minor, v.Currency)
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return v.UTC().Format(time.RFC3339Nano)
	}
	return cell
}
