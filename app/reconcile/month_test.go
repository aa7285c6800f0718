package reconcile_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

func TestScratch(t *testing.T) {
	d, companies := pipelinetest.LiveMonth(t)
	for _, c := range companies {
		d.BillMonth(t, c)
	}
	for _, c := range companies {
		out, err := d.Reconciler().Reconcile(t.Context(), c.ID, pipelinetest.Month, recon.Machine(), func(string) {})
		require.NoError(t, err)
		t.Logf("%+v", out)
		s, err := d.Reconciler().Summary(t.Context(), c.ID, pipelinetest.Month)
		require.NoError(t, err)
		t.Logf("%+v", s)
	}
}
