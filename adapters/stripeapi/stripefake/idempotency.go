package stripefake

import (
	"crypto/sha256"
	"maps"
	"net/http"
	"strings"
)

// idemEntry is what the server remembers of the first request with a key.
type idemEntry struct {
	key     string
	path    string
	print   [32]byte
	created int64
	busy    bool
	resp    *response
	reqID   string
}

const idemRetention = 24 * hour

// idempotent runs a POST with a key: the first execution is kept, status and
// body, including errors and 500s; later ones replay it. Requests refused by
// validation, by a conflict or by a rate limit leave nothing behind.
func (c *call) idempotent(tree *node, h handler, fault *FaultRule) *response {
	var b strings.Builder
	tree.canonical("", &b)
	mine := &idemEntry{key: c.idem, path: c.path, print: sha256.Sum256([]byte(b.String())), busy: true, reqID: c.reqID}
	if resp := c.r.claim(mine); resp != nil {
		return resp
	}
	if fault != nil && fault.Kind == FaultDelay {
		c.s.sleep(fault.Delay) // the key stays in use meanwhile
	}
	resp, executed := c.execute(h, fault)
	c.r.settle(mine, resp, executed)
	return resp
}

// claim takes the key, or answers in its place.
func (r *realm) claim(mine *idemEntry) *response {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.s.Clock.Now().Unix()
	r.prune(now)
	first := r.idem[mine.key]
	if first == nil {
		mine.created = now
		r.idem[mine.key] = mine
		r.idemOrder = append(r.idemOrder, mine)
		return nil
	}
	const other = "Try using a key other than '%s' if you meant to execute a different request."
	switch {
	case first.path != mine.path:
		return errorResponse(&apiError{status: http.StatusBadRequest, typ: "idempotency_error",
			message: "Keys for idempotent requests can only be used for the same endpoint they were first used for ('" + mine.path + "' vs '" + first.path + "'). " + strings.Replace(other, "%s", mine.key, 1)}, mine.reqID)
	case first.print != mine.print:
		return errorResponse(&apiError{status: http.StatusBadRequest, typ: "idempotency_error",
			message: "Keys for idempotent requests can only be used with the same parameters they were first used with. " + strings.Replace(other, "%s", mine.key, 1)}, mine.reqID)
	case first.busy:
		return errorResponse(keyInUse(mine.key), mine.reqID)
	}
	replay := &response{status: first.resp.status, body: first.resp.body, header: maps.Clone(first.resp.header)}
	if replay.header == nil {
		replay.header = map[string]string{}
	}
	replay.header["Idempotent-Replayed"] = "true"
	replay.header["Original-Request"] = first.reqID
	return replay
}

func keyInUse(key string) *apiError {
	return &apiError{status: http.StatusConflict, typ: "invalid_request_error", code: "idempotency_key_in_use",
		message: "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): " + key + ". Please try again later."}
}

// settle keeps the answer of an executed request and frees the key otherwise.
func (r *realm) settle(mine *idemEntry, resp *response, executed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	mine.busy, mine.resp = false, resp
	if !executed && r.idem[mine.key] == mine {
		delete(r.idem, mine.key)
	}
}

// prune forgets keys that are 24 hours old.
func (r *realm) prune(now int64) {
	n := 0
	for n < len(r.idemOrder) && r.idemOrder[n].created+idemRetention <= now {
		old := r.idemOrder[n]
		if r.idem[old.key] == old && !old.busy {
			delete(r.idem, old.key)
		}
		r.idemOrder[n] = nil
		n++
	}
	r.idemOrder = r.idemOrder[n:]
}
