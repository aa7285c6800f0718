package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/domain/billing"
)

// What became of our invoices stands in the projection of the issuer's invoices, which is
// the same for every order of the same events and reads, and whichever of them come.
const (
	paymentColumns = `
		coalesce(w.hosted_url, '') AS hosted_url, coalesce(w.pdf_url, '') AS pdf_url, coalesce(w.stripe_status, '') AS released_status,
		coalesce(p.status, '') AS seen_status, p.amount_due_minor, p.amount_paid_minor, p.amount_remaining_minor, coalesce(p.out_of_band_minor, 0) AS out_of_band_minor,
		coalesce(p.attempts, 0) AS pay_attempts, p.next_attempt_at, p.due_at, p.paid_at, p.voided_at, p.uncollectible_at,
		coalesce(greatest(p.said_at, p.read_at / 1000000), 0) AS seen_at`
	paymentJoin = `
	LEFT JOIN stripe_invoices p ON p.connection_id = w.issuer_connection AND p.id = w.invoice_id`
	// paymentStatus is billing.LaterStatus of the two statuses: how the invoice was released,
	// and how it was seen since. It is empty before the invoice is finalized.
	paymentStatus = `CASE WHEN w.stripe_status = 'draft' AND p.status <> 'draft' OR w.stripe_status = 'open' AND p.status IN ('uncollectible', 'paid', 'void')
		OR w.stripe_status = 'uncollectible' AND p.status IN ('paid', 'void') THEN p.status ELSE coalesce(w.stripe_status, '') END`
)

type paymentRow struct {
	HostedURL, PDFURL, ReleasedStatus, SeenStatus           string
	AmountDueMinor, AmountPaidMinor, AmountRemainingMinor   *int64
	OutOfBandMinor, SeenAt                                  int64
	PayAttempts                                             int
	NextAttemptAt, DueAt, PaidAt, VoidedAt, UncollectibleAt *time.Time
}

// payment is nil before the invoice is finalized.
func (r paymentRow) payment() *billing.Payment {
	if r.ReleasedStatus == "" {
		return nil
	}
	out := &billing.Payment{
		Status: billing.LaterStatus(r.ReleasedStatus, r.SeenStatus), DueMinor: r.AmountDueMinor, PaidMinor: r.AmountPaidMinor,
		RemainingMinor: r.AmountRemainingMinor, HostedURL: r.HostedURL, PDFURL: r.PDFURL, OutOfBandMinor: r.OutOfBandMinor, Attempts: r.PayAttempts,
		NextAttemptAt: utc(r.NextAttemptAt), DueAt: utc(r.DueAt), PaidAt: utc(r.PaidAt), VoidedAt: utc(r.VoidedAt), GivenUpAt: utc(r.UncollectibleAt),
	}
	if r.SeenAt > 0 {
		out.SeenAt = time.Unix(r.SeenAt, 0).UTC()
	}
	return out
}

// AskPayments asks for a read of every invoice of ours that may still change and of which
// nothing was heard for as long as quiet, which is what an issuer without webhooks looks
// like. It returns how many.
func (v *Invoicing) AskPayments(ctx context.Context, quiet time.Duration, at time.Time) (int, error) {
	var reads []readRow
	err := v.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Raw(`
			SELECT w.issuer_connection AS connection_id, 'invoice' AS object, w.invoice_id AS object_id, 'own_payment' AS reason
			FROM writeback_intents w JOIN connections c ON c.id = w.issuer_connection`+paymentJoin+`
			LEFT JOIN object_reads r ON r.connection_id = w.issuer_connection AND r.object = 'invoice' AND r.object_id = w.invoice_id
			WHERE w.state = 'released' AND w.invoice_id IS NOT NULL AND NOT c.paused AND coalesce(p.status, w.stripe_status) NOT IN ('paid', 'void')
				AND w.updated_at <= @since AND coalesce(greatest(p.said_at, p.read_at / 1000000), 0) <= extract(epoch FROM CAST(@since AS timestamptz))
				AND (r.object_id IS NULL OR (r.requested_at <= @since AND r.status <> 'pending'))
			ORDER BY 1, 3`, map[string]any{"since": at.Add(-quiet)}).Scan(&reads).Error
		if err != nil {
			return err
		}
		return askReads(ctx, tx, reads, at)
	})
	return len(reads), wrap(err)
}
