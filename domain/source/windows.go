package source

import "time"

// Windows of lists. Stripe lists the newest first, so that history is read oldest first
// only window by window.
const (
	firstSpan = 24 * time.Hour
	// MinSpan is the smallest window of objects that a dense stretch is cut into.
	MinSpan = 24 * time.Hour
	maxSpan = 512 * 24 * time.Hour
	// targetObjects is what a window should hold: twenty pages.
	targetObjects = 2000
	pageObjects   = 100
)

// NextSpan is the width of the window that follows one with so many objects.
func NextSpan(before time.Duration, objects int) time.Duration {
	switch {
	case before == 0:
		return firstSpan
	case objects == 0:
		return min(4*before, maxSpan)
	case objects < targetObjects/4:
		return min(2*before, maxSpan)
	case objects > targetObjects:
		return max(before/2, MinSpan)
	}
	return before
}

// Shrink judges the first page of a window: a full page with more behind it that
// reaches back to oldest only. When the rest would hold far more than a window should,
// it returns a smaller end; ok is false when the window may stay. No window becomes
// smaller than the minimum.
func Shrink(w Window, oldest time.Time, minimum time.Duration) (end time.Time, ok bool) {
	span, seen := w.To.Sub(w.From), w.To.Sub(oldest)
	if span <= minimum || seen <= 0 {
		return time.Time{}, false
	}
	expected := int64(pageObjects) * int64(span/time.Second) / max(1, int64(seen/time.Second))
	if expected <= targetObjects {
		return time.Time{}, false
	}
	fits := time.Duration(int64(span/time.Second)*targetObjects/expected) * time.Second
	return w.From.Add(max(fits, minimum).Truncate(time.Second)), true
}

// SliceOf cuts the next piece of a window of events: pieces are read oldest first, so
// that a run that ends early has lost nothing.
func SliceOf(w Window, span time.Duration) Window {
	if end := w.From.Add(span); end.Before(w.To) {
		w.To = end
	}
	return w
}

// Spans of event windows, by how many pages the last one took.
const (
	FirstSlice = 6 * time.Hour
	// MinSlice is the smallest.
	MinSlice = 10 * time.Minute
	maxSlice = 7 * 24 * time.Hour
)

// NextSlice is the width after a piece that took so many pages.
func NextSlice(before time.Duration, pages int) time.Duration {
	switch {
	case pages <= 2:
		return min(2*before, maxSlice)
	case pages > 20:
		return max(before/2, MinSlice)
	}
	return before
}
