package ingest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

// waiting holds reads in the order of their keys, as the store does.
type waiting struct {
	reads     []ingest.PendingRead
	used      int
	done      []string
	facts     []string
	postponed map[string]ingest.Postponed
	counted   map[string]int
}

func (w *waiting) PendingReads(_ context.Context, f ingest.ReadFilter, _ int) ([]ingest.PendingRead, error) {
	for _, r := range w.reads {
		behind := r.ConnectionID > f.After.ConnectionID || (r.ConnectionID == f.After.ConnectionID && r.ObjectID > f.After.ObjectID)
		if behind && (f.ConnectionID == "" || f.ConnectionID == r.ConnectionID) {
			return []ingest.PendingRead{r}, nil // pages of one
		}
	}
	return nil, nil
}

func (w *waiting) FinishRead(_ context.Context, r ingest.PendingRead, seen []reward.Observation, _ time.Time) error {
	w.done = append(w.done, r.ObjectID)
	for _, o := range seen {
		for _, f := range o.Facts {
			w.facts = append(w.facts, f.Key)
		}
	}
	return nil
}

func (w *waiting) PostponeRead(_ context.Context, r ingest.PendingRead, p ingest.Postponed, _ time.Time) error {
	if w.postponed == nil {
		w.postponed = map[string]ingest.Postponed{}
	}
	w.postponed[r.ObjectID] = p
	return nil
}

func (w *waiting) Budget(context.Context, string, time.Time) (source.Budget, error) {
	return source.Budget{Used: w.used}, nil
}

func (w *waiting) AddReads(_ context.Context, connectionID string, n int, _ time.Time) error {
	if w.counted == nil {
		w.counted = map[string]int{}
	}
	w.counted[connectionID] += n
	return nil
}

// stripe answers with objects and errors by ID, and counts what it was asked.
type stripe struct {
	objects map[string]string
	errs    map[string]error
	asked   []string
	sent    int
}

func (s *stripe) Object(_ context.Context, connectionID, object, id string) ([]byte, error) {
	s.asked, s.sent = append(s.asked, id), s.sent+1
	for _, key := range []string{id, connectionID} {
		if err := s.errs[key]; err != nil {
			return nil, err
		}
	}
	if raw, ok := s.objects[id]; ok {
		return []byte(raw), nil
	}
	return fmt.Appendf(nil, `{"id":%q,"object":%q,"created":1,"currency":"usd"}`, id, object), nil
}

func (s *stripe) RefundsOf(_ context.Context, _, chargeID string) ([][]byte, error) {
	s.sent++
	return [][]byte{fmt.Appendf(nil, `{"id":"re_%s","object":"refund","created":1,"currency":"usd","amount":5,"status":"succeeded","charge":%q}`, chargeID, chargeID)}, nil
}

func (s *stripe) TakeReads(string) int {
	n := s.sent
	s.sent = 0
	return n
}

func reader(q *waiting, s *stripe) *ingest.Classifier {
	return &ingest.Classifier{Source: s, Reads: q, Clock: clock.Fixed(time.Unix(1000, 0))}
}

func charge(connectionID, id string) ingest.PendingRead {
	return ingest.PendingRead{ConnectionID: connectionID, Object: "charge", ObjectID: id, Asked: 1}
}

func TestOneRevokedKeyKeepsNoOtherConnectionWaiting(t *testing.T) {
	t.Parallel()
	q := &waiting{reads: []ingest.PendingRead{charge("a", "ch_1"), charge("a", "ch_2"), charge("b", "ch_3"), charge("c", "ch_4")}}
	s := &stripe{errs: map[string]error{"a": fault.New(fault.Forbidden, "stripe_auth", "the key was revoked").Fix("Replace the key")}}
	n, err := reader(q, s).ReadPending(t.Context(), "")
	require.Equal(t, 2, n)
	require.True(t, fault.Is(err, fault.Forbidden), "the failure is told")
	require.Equal(t, []string{"ch_3", "ch_4"}, q.done)
	require.Equal(t, []string{"ch_1", "ch_3", "ch_4"}, s.asked, "a key that is refused is not tried again at once")
	require.Equal(t, ingest.Postponed{Reason: "stripe_auth", Action: "Replace the key", Attempts: 1, NextAttempt: time.Unix(1060, 0).UTC()}, q.postponed["ch_1"])
	require.Equal(t, map[string]int{"a": 1, "b": 2, "c": 2}, q.counted)

	n, err = reader(q, s).ReadPending(t.Context(), "b")
	require.NoError(t, err, "what one connection waits for is not another's trouble")
	require.Equal(t, 1, n)
}

// TestEveryKindIsRead: what an event could not tell is told by its object, under the
// keys that the event would have used.
func TestEveryKindIsRead(t *testing.T) {
	t.Parallel()
	read := func(object, id, raw, want string) {
		t.Helper()
		q := &waiting{reads: []ingest.PendingRead{{ConnectionID: "a", Object: object, ObjectID: id}}}
		n, err := reader(q, &stripe{objects: map[string]string{id: raw}}).ReadDue(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Contains(t, q.facts, want)
	}
	read("charge", "ch_1", `{"id":"ch_1","object":"charge","created":1,"customer":"cus_1","invoice":null}`, "refund:re_ch_1")
	read("invoice", "in_1", `{"id":"in_1","object":"invoice","created":1,"status":"paid","currency":"usd","amount_paid":7,"total":7,"status_transitions":{"paid_at":9}}`, "revenue_confirmation:in_1")
	read("subscription", "sub_1", `{"id":"sub_1","object":"subscription","created":1,"status":"canceled","currency":"usd","customer":"cus_1","start_date":1,"ended_at":9}`, "churn:sub_1:9")
	read("refund", "re_1", `{"id":"re_1","object":"refund","created":1,"currency":"usd","amount":5,"status":"succeeded","charge":"ch_1"}`, "refund:re_1")
	read("dispute", "dp_1", `{"id":"dp_1","object":"dispute","created":1,"currency":"usd","amount":5,"status":"lost","charge":"ch_1"}`, "dispute:dp_1")
	read("credit_note", "cn_1", `{"id":"cn_1","object":"credit_note","created":1,"currency":"usd","out_of_band_amount":5,"status":"issued","invoice":"in_1"}`, "refund:cn_1")
	read("customer", "cus_1", `{"id":"cus_1","object":"customer","created":1,"metadata":{"user_id":"u"}}`, "customer_mapping:cus_1:u")
}

// TestReadsThatFail: each error has its pause, and what cannot end otherwise is handed
// to a person at once.
func TestReadsThatFail(t *testing.T) {
	t.Parallel()
	away := fault.New(fault.Unavailable, "stripe_transient", "away")
	for name, c := range map[string]struct {
		object   string
		attempts int
		err      error
		want     ingest.Postponed
		told     bool
	}{
		"away":          {"invoice", 0, away, ingest.Postponed{Reason: "stripe_transient", Attempts: 1, NextAttempt: time.Unix(1060, 0).UTC()}, true},
		"away for long": {"invoice", 9, away, ingest.Postponed{Reason: "stripe_transient", Attempts: 10, NextAttempt: time.Unix(4600, 0).UTC()}, true},
		"away for too long": {"invoice", ingest.MaxAttempts - 1, away, ingest.Postponed{Reason: "stripe_transient", Attempts: ingest.MaxAttempts, NextAttempt: time.Unix(4600, 0).UTC(), Final: true,
			Action: "Look at x_1 in the Stripe Dashboard; the next event about it reads it again"}, true},
		"asked to wait": {"invoice", 3, fault.Wrap(wait{90 * time.Second}, fault.RateLimited, "stripe_throttled", "slow down"),
			ingest.Postponed{Reason: "stripe_throttled", Attempts: 3, NextAttempt: time.Unix(1090, 0).UTC()}, true},
		"gone": {"refund", 0, fault.New(fault.NotFound, "stripe_not_found", "gone"), ingest.Postponed{Reason: "stripe_not_found", Attempts: 1, NextAttempt: time.Unix(1060, 0).UTC(), Final: true,
			Action: "Look at x_1 in the Stripe Dashboard; the next event about it reads it again"}, false},
		"deleted": {"invoice", 0, fault.New(fault.NotFound, "stripe_not_found", "gone"), ingest.Postponed{Reason: "stripe_not_found", Attempts: 1, NextAttempt: time.Unix(1060, 0).UTC(), Final: true,
			Action: "Look at x_1 in the Stripe Dashboard; the next event about it reads it again", Gone: deleted("invoice")}, false},
		"a name that the key may not see": {"product", 0, fault.New(fault.Forbidden, "stripe_permission", "no").Fix("Grant rak_product_read"), ingest.Postponed{Reason: "stripe_permission", Attempts: 1,
			NextAttempt: time.Unix(1060, 0).UTC(), Final: true, Action: "Grant rak_product_read"}, false},
		"a name, away": {"product", 0, away, ingest.Postponed{Reason: "stripe_transient", Attempts: 1, NextAttempt: time.Unix(1060, 0).UTC()}, false},
		"not understood": {"refund", 0, nil, ingest.Postponed{Reason: "amount_missing", Attempts: 1, NextAttempt: time.Unix(1060, 0).UTC(), Final: true,
			Action: "Look at x_1 in the Stripe Dashboard; the next event about it reads it again"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &waiting{reads: []ingest.PendingRead{{ConnectionID: "a", Object: c.object, ObjectID: "x_1", Attempts: c.attempts}}}
			s := &stripe{errs: map[string]error{}}
			if c.err != nil {
				s.errs["x_1"] = c.err
			}
			_, err := reader(q, s).ReadPending(t.Context(), "a")
			require.Equal(t, c.told, err != nil)
			require.Equal(t, c.want, q.postponed["x_1"])
			require.Empty(t, q.done)
		})
	}
}

func deleted(object string) *projection.Observation {
	o := projection.Gone(object, "x_1", time.Unix(1000, 0))
	return &o
}

type wait struct{ d time.Duration }

func (w wait) Error() string             { return "wait" }
func (w wait) RetryAfter() time.Duration { return w.d }

// TestReadsKeepToTheAllowance: on a schedule a connection reads no more than Stripe
// allows it; the close of a month reads all the same.
func TestReadsKeepToTheAllowance(t *testing.T) {
	t.Parallel()
	q := &waiting{used: 9_997, reads: []ingest.PendingRead{charge("a", "ch_1"), charge("a", "ch_2"), charge("a", "ch_3")}}
	s := &stripe{objects: map[string]string{}}
	for _, id := range []string{"ch_1", "ch_2", "ch_3"} {
		s.objects[id] = fmt.Sprintf(`{"id":%q,"object":"charge","created":1,"invoice":null}`, id)
	}
	_, err := reader(q, s).ReadDue(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"ch_1", "ch_2"}, q.done, "three reads were left, two per charge")
	_, err = reader(q, s).ReadPending(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, []string{"ch_1", "ch_2", "ch_1", "ch_2", "ch_3"}, q.done)
}
