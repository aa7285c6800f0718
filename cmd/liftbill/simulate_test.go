package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/internal/validation"
)

func TestSimulateCommand(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "validation.md")
	out, err := execute(t, "", "simulate", "--json", "--seed", "7", "--scale", "0.01", "--out", page)
	require.NoError(t, err)
	var rep validation.Report
	require.NoError(t, json.Unmarshal([]byte(out), &rep))
	require.True(t, rep.Passed)
	require.Equal(t, uint64(7), rep.Seed)
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(raw), "seed 7, scale 0.01")
	require.FileExists(t, filepath.Join(filepath.Dir(page), "img", "power.svg"))

	_, err = execute(t, "", "simulate", "--scale", "0")
	require.ErrorContains(t, err, "scale")
	require.Equal(t, exitUsage, exitCode(err))
}
