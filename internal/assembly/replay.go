// Package assembly puts use cases together that do not know each other, once for the
// program and for the tests of the whole, so that the tests prove what is shipped.
package assembly

import (
	"context"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/app/secret"
)

// Replays wires the classifier and the measurement to the tables of a stage. Neither can
// reach Stripe: no reader is given to them.
func Replays(db *postgres.DB, clk clock.Clock, box secret.Box) *replay.Service[*postgres.Scratch] {
	return &replay.Service[*postgres.Scratch]{
		Ledger: db.NewReplays(), Prepare: db.Stage, Clock: clk,
		Classify: func(ctx context.Context, stage *postgres.Scratch, f replay.Frozen) error {
			c := &ingest.Classifier{Work: stage.Classification(), Reads: stage.Reads(), Box: box, Clock: clock.Fixed(f.Watermark)}
			_, err := c.Drain(ctx)
			return err
		},
		Rebuild: func(ctx context.Context, stage *postgres.Scratch, f replay.Frozen) (replay.Rebuilt, error) {
			m := &measure.Service{Ledger: stage.NewCycles(), Box: box, Clock: clock.Fixed(f.Watermark), SaltContext: onboard.SaltContext}
			got, err := m.Rebuild(ctx, f.CycleID)
			out := replay.Rebuilt{InputDigest: got.InputDigest, Units: got.Units, Cases: got.Cases, Links: map[string]string{}}
			for key, l := range got.Links {
				out.Links[key] = l.UserID
			}
			return out, err
		},
	}
}
