//go:build cases

package stripeapi_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
)

// TestSignatureVectors runs the collected vectors. Those that reject a validly
// signed body which is no JSON are about the endpoint as a whole, which accepts only
// what verifies and can be read.
func TestSignatureVectors(t *testing.T) {
	t.Parallel()
	root := os.Getenv("LIFTBILL_CASES")
	require.NotEmpty(t, root, "LIFTBILL_CASES names the folder of the cases")
	text, err := os.ReadFile(filepath.Join(root, "stripe", "signature_vectors.json"))
	require.NoError(t, err)
	var vectors []struct {
		Name, Payload, Header, Expect, Why string
		Secrets                            []string
		Now, ToleranceS                    int64
	}
	require.NoError(t, json.Unmarshal(text, &vectors))
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		require.Equal(t, int64(stripeapi.SignatureTolerance/time.Second), v.ToleranceS, v.Name)
		err := stripeapi.Verifier{}.Verify([]byte(v.Payload), v.Header, v.Secrets, time.Unix(v.Now, 0))
		accepted := err == nil && json.Valid([]byte(v.Payload))
		if v.Expect != "either" {
			require.Equal(t, v.Expect == "accept", accepted, "%s (%s): %v", v.Name, v.Why, err)
		}
	}
}
