package ingest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

// waiting holds reads in the order of their keys, as the store does.
type waiting struct {
	reads []ingest.PendingRead
	done  []string
}

func (w *waiting) PendingReads(_ context.Context, connectionID string, after ingest.PendingRead, _ int) ([]ingest.PendingRead, error) {
	for _, r := range w.reads {
		behind := r.ConnectionID > after.ConnectionID || (r.ConnectionID == after.ConnectionID && r.ObjectID > after.ObjectID)
		if behind && (connectionID == "" || connectionID == r.ConnectionID) {
			return []ingest.PendingRead{r}, nil // pages of one
		}
	}
	return nil, nil
}

func (w *waiting) FinishRead(_ context.Context, r ingest.PendingRead, _ ingest.ReadResult, _ time.Time) error {
	w.done = append(w.done, r.ObjectID)
	return nil
}

// revoked refuses one connection's key.
type revoked struct{ connectionID string }

func (r revoked) Charge(_ context.Context, connectionID, chargeID string) (ingest.Charge, error) {
	if connectionID == r.connectionID {
		return ingest.Charge{}, fault.New(fault.Forbidden, "stripe_auth", "the key was revoked")
	}
	return ingest.Charge{ID: chargeID}, nil
}

func (revoked) RefundsOf(context.Context, string, string) ([][]byte, error) { return nil, nil }

func TestOneRevokedKeyKeepsNoOtherConnectionWaiting(t *testing.T) {
	t.Parallel()
	q := &waiting{reads: []ingest.PendingRead{
		{ConnectionID: "a", ObjectID: "ch_1"}, {ConnectionID: "a", ObjectID: "ch_2"}, {ConnectionID: "b", ObjectID: "ch_3"}, {ConnectionID: "c", ObjectID: "ch_4"},
	}}
	c := &ingest.Classifier{Source: revoked{"a"}, Reads: q, Clock: clock.Fixed(time.Unix(1, 0))}
	n, err := c.ReadPending(context.Background(), "")
	require.Equal(t, 2, n)
	require.True(t, fault.Is(err, fault.Forbidden), "the failure is told")
	require.Equal(t, []string{"ch_3", "ch_4"}, q.done)

	n, err = c.ReadPending(context.Background(), "b")
	require.NoError(t, err, "what one connection waits for is not another's trouble")
	require.Equal(t, 1, n)
}
