package webui

import (
	"net/url"
)

// query makes the address of a list from names and values; empty values are left
// out, so that a link says no more than it selects.
func query(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// Choice is one entry of a select.
type Choice struct {
	Value, Label string
	Selected     bool
}

// choices puts the entry for "everything" first and marks the present one.
func choices(all, present string, values []string, label func(string) string) []Choice {
	out := []Choice{{Label: all, Selected: present == ""}}
	for _, v := range values {
		out = append(out, Choice{Value: v, Label: label(v), Selected: v == present})
	}
	return out
}
