package lift_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/lift"
)

// FuzzRestore: no stored text panics, and one that is accepted is its own canonical form.
func FuzzRestore(f *testing.F) {
	s := sealed(f)
	f.Add(s.JSON())
	f.Add([]byte(`{"schema":"liftbill.manifest/1","period":"2026-01"}`))
	f.Add([]byte(`{"lambda":"1e999999999","holdout_probability":"0.0000000000001"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := lift.RestoreSealed(raw, lift.Digest256(raw), sealedAt)
		if err == nil {
			require.Equal(t, raw, p.JSON())
		}
		if r, err := lift.RestoreReadout(raw, lift.CaseIDOf(raw), s); err == nil {
			require.Equal(t, raw, r.ManifestJSON())
		}
	})
}
