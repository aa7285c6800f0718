package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
)

// TestProjectionsRebuildCommand wires the command to a database with one event.
func TestProjectionsRebuildCommand(t *testing.T) {
	ctx, key := context.Background(), bytes.Repeat([]byte{9}, system.KeyBytes)
	url := postgrestest.URL(t)
	t.Setenv("DATABASE_URL", url)
	t.Setenv("LIFTBILL_ENCRYPTION_KEY", base64.StdEncoding.EncodeToString(key))
	db, err := postgres.Open(ctx, url, postgres.Options{MaxConns: 2})
	require.NoError(t, err)
	defer db.Close() //nolint:errcheck // the database is dropped
	box, err := system.NewSecretBox(key)
	require.NoError(t, err)
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, db.Onboarding().Do(ctx, func(ctx context.Context, st onboard.Stores) error {
		return st.Connections.InsertConnection(ctx, onboard.SealedConnection{Connection: account.Connection{
			ID: "acme", Environment: account.Test, Roles: account.Roles{Source: true}, StripeAccountID: "acct_1", UserIDKey: "user_id", KeyMask: "rk_test_…unit",
		}, SealedKey: []byte("x"), CreatedAt: now})
	}))
	body := []byte(`{"id":"evt_1","object":"event","type":"customer.created","created":1772323200,"livemode":false,"data":{"object":{"id":"cus_1","object":"customer","created":1772323200}}}`)
	sealed, err := box.Seal(ingest.BodyContext("acme"), body)
	require.NoError(t, err)
	_, err = db.NewInbox(box).Append(ctx, ingest.StoredEvent{ConnectionID: "acme", Environment: account.Test, EventID: "evt_1", Type: "customer.created", ObjectID: "cus_1",
		Created: now, SealedBody: sealed, BodySHA256: sha256.Sum256(body), ReceivedAt: now, Status: ingest.Pending})
	require.NoError(t, err)
	_, err = (&ingest.Classifier{Work: db.Classification(), Reads: db.Reads(), Box: box, Clock: clock.Fixed(now)}).Drain(ctx)
	require.NoError(t, err)

	out, err := execute(t, "", "projections", "rebuild")
	require.NoError(t, err)
	require.Equal(t, "acme  1 events  0 reads  1 objects  0 changed\n", out)
	out, err = execute(t, "", "projections", "rebuild", "acme", "--json")
	require.NoError(t, err)
	var got struct{ Connections []ingest.Rebuilt }
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, []ingest.Rebuilt{{ConnectionID: "acme", Events: 1, Objects: 1}}, got.Connections)
	_, err = execute(t, "", "projections", "rebuild", "nobody")
	require.ErrorContains(t, err, `there is no connection "nobody"`)
	require.Equal(t, exitFailed, exitCode(err))
}
