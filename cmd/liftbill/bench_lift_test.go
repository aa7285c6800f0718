package main

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
)

// TestBenchLift runs the benchmark once at its smallest size on a real PostgreSQL: what it
// times must work, and what it prints must be there. No figure is asserted.
func TestBenchLift(t *testing.T) {
	t.Parallel()
	rep, err := benchLift(t.Context(), benchLiftFlags{units: 10_000, features: 10, runs: 1, postgres: true, database: postgrestest.URL(t)}, io.Discard)
	require.NoError(t, err)
	require.Len(t, rep.Rows, 1)
	require.Positive(t, rep.Rows[0].Number.CPU)
	require.NotNil(t, rep.Rows[0].Postgres)
	require.Positive(t, rep.Rows[0].Postgres.CopyText.Wall)
	require.Positive(t, rep.Rows[0].Postgres.Readout.Wall)
	var out bytes.Buffer
	require.NoError(t, printLift(&out, rep))
	require.Contains(t, out.String(), "from PostgreSQL")
}
