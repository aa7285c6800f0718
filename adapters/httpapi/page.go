package httpapi

import (
	"context"
	"encoding/base64"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
)

// pageOf cuts one page out of a short list that is ordered by key. The cursor is
// the last key of the page before, so rows that come and go don't shift pages.
func pageOf[T any](all []T, key func(T) string, cursor string, limit int) ([]T, string, error) {
	if limit == 0 {
		limit = reconcile.DefaultLimit
	}
	if limit < 1 || limit > reconcile.MaxLimit {
		return nil, "", fault.InvalidField("limit", "limit_range", "a page holds 1 to %d rows", reconcile.MaxLimit)
	}
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, "", fault.InvalidField("cursor", "cursor_malformed", "this is no cursor of this list").Fix("Pass next_cursor back as it is, or leave it out")
	}
	start := 0
	for start < len(all) && key(all[start]) <= string(after) {
		start++
	}
	end := min(start+limit, len(all))
	if end == len(all) {
		return all[start:], "", nil
	}
	return all[start:end], base64.RawURLEncoding.EncodeToString([]byte(key(all[end-1]))), nil
}

// convertAll never gives nil, so that an empty list is [] in JSON.
func convertAll[A, B any](in []A, f func(A) B) []B {
	out := make([]B, 0, len(in))
	for _, v := range in {
		out = append(out, f(v))
	}
	return out
}

type requestIDKey struct{}

// requestIDOf is the ID that the requestID middleware put into the context.
func requestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
