package replay

import (
	"context"
	"slices"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// The results that reports can be asked for by.
const (
	Equal     = "equal"
	Different = "different"
)

// Limits of a page of reports.
const (
	DefaultLimit = 100
	MaxLimit     = 500
)

// Filter selects reports. Empty fields select all; an empty scope selects nothing.
type Filter struct {
	Scope             access.Scope
	AccountID, Period string
	// Result is Equal or Different.
	Result string
	Cursor string
	Limit  int
}

// Page is one page of reports; the cursor is empty on the last one.
type Page struct {
	Items      []Report
	NextCursor string
}

// Archive reads the reports that were kept.
type Archive interface {
	// Replays lists reports, newest first.
	Replays(ctx context.Context, f Filter) (Page, error)
}

// Reports lists what was replayed.
type Reports struct{ Archive Archive }

// Replays lists the reports that the filter selects, newest first.
func (r *Reports) Replays(ctx context.Context, f Filter) (Page, error) {
	if f.Period != "" {
		if _, err := period.Parse(f.Period); err != nil {
			return Page{}, err
		}
	}
	if f.Result != "" && f.Result != Equal && f.Result != Different {
		return Page{}, fault.InvalidField("result", "filter_unknown", "%q is not a result", f.Result).Fix("Use equal or different, or leave it out")
	}
	switch {
	case f.Limit == 0:
		f.Limit = DefaultLimit
	case f.Limit < 1 || f.Limit > MaxLimit:
		return Page{}, fault.InvalidField("limit", "limit_range", "a page holds 1 to %d rows", MaxLimit)
	}
	page, err := r.Archive.Replays(ctx, f)
	for i := range page.Items {
		page.Items[i].olden()
	}
	return page, err
}

// olden completes a report of before digests were kept apart: that of the inputs is one of its
// checks.
func (r *Report) olden() {
	i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == inputCheck })
	if r.Inputs == (Digests{}) && i >= 0 {
		r.Inputs = Digests{r.Checks[i].Stored, r.Checks[i].Replayed}
	}
}
