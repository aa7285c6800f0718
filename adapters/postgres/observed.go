package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

// observed counts what a batch of objects brought.
type observed struct{ facts, duplicates, beyond int }

// observe is the one place where objects, as opposed to events, enter the ledger: read
// from a list or by their ID. It books whose money charges were, the facts that the
// horizon admits, customer links, what the objects are now, and the reads that are
// still needed. lineage names where an object came from.
func (q *queue) observe(ctx context.Context, tx *gorm.DB, connectionID string, objects []reward.Observation, lineage func(reward.Observation) string, at time.Time) (observed, error) {
	at, err := afterFreeze(ctx, tx, at, factsOf(connectionID))
	if err != nil {
		return observed{}, err
	}
	var rows []factRow
	var reads []readRow
	var owners []ownerRow
	var told []telling
	seen := seenObjects{}
	for _, o := range objects {
		seen.add(connectionID, projection.Observe(o.Classification))
		told = append(told, telling{connectionID, o.UserIDKey, lineage(o), o.Facts, o.Identity.Holdings, o.SeenAt})
		if w := o.Owner; w != nil {
			owners = append(owners, ownerRow{w.Charge, w.Customer, w.Invoice, w.OwnInvoice})
		}
		for _, f := range o.Facts {
			rows = append(rows, rowOf(connectionID, lineage(o), f))
			if f.Charge != "" && f.Customer == "" {
				reads = append(reads, readRow{connectionID, "charge", f.Charge, "owner"})
			}
		}
		for _, r := range o.NeedsRead {
			reads = append(reads, readRow{connectionID, r.Object, r.ID, r.Reason})
		}
	}
	if err := bookOwners(ctx, tx, connectionID, owners); err != nil {
		return observed{}, err
	}
	if err := observeAids(ctx, tx, connectionID, objects); err != nil {
		return observed{}, err
	}
	out, err := q.bookObserved(ctx, tx, rows, at)
	if err != nil {
		return out, err
	}
	if _, err := bookTellings(ctx, tx, told, at); err != nil {
		return out, err
	}
	undecided, err := seen.book(ctx, tx.Statement.ConnPool, at)
	if err != nil {
		return out, err
	}
	reads, err = stillNeeded(ctx, tx, connectionID, reads)
	if err != nil {
		return out, err
	}
	// Read within the very second that it was to settle: once more, later.
	return out, askReads(ctx, tx, append(reads, undecided...), at)
}

// observeAids keeps the hashes of the addresses that were read, as far as the connection
// maps by them now.
func observeAids(ctx context.Context, tx *gorm.DB, connectionID string, objects []reward.Observation) error {
	if !slices.ContainsFunc(objects, func(o reward.Observation) bool { return o.Identity.Email != "" }) {
		return nil
	}
	var by struct{ MapByEmail, MapByDomain bool }
	if err := tx.WithContext(ctx).Raw(`SELECT map_by_email, map_by_domain FROM connections WHERE id = ?`, connectionID).Scan(&by).Error; err != nil {
		return wrap(err)
	}
	var aids []aidOf
	for _, o := range objects {
		if a := ingest.AidOf(by.MapByEmail, by.MapByDomain, o.Classification); a != nil && o.Identity.Email != "" {
			aids = append(aids, aidOf{connectionID, *a})
		}
	}
	return bookAids(ctx, tx, aids)
}

// bookObserved books facts that were read off objects. Whose a customer is, observe says.
func (q *queue) bookObserved(ctx context.Context, tx *gorm.DB, rows []factRow, at time.Time) (observed, error) {
	told := len(rows)
	rows, err := admitted(ctx, tx, rows)
	if err != nil {
		return observed{}, err
	}
	beyond := told - len(rows)
	if rows, err = othersOnly(ctx, tx, rows); err != nil {
		return observed{}, err
	}
	fresh, err := q.bookFacts(ctx, tx, rows, at)
	if err != nil {
		return observed{}, err
	}
	return observed{facts: len(fresh), duplicates: len(rows) - len(fresh), beyond: beyond}, nil
}

type ownerRow struct {
	ChargeID   string `json:"charge_id"`
	CustomerID string `json:"customer_id"`
	InvoiceID  string `json:"invoice_id"`
	OwnInvoice bool   `json:"own_invoice"`
}

func bookOwners(ctx context.Context, tx *gorm.DB, connectionID string, owners []ownerRow) error {
	if len(owners) == 0 {
		return nil
	}
	doc, err := json.Marshal(owners)
	if err != nil {
		return err
	}
	return wrap(tx.WithContext(ctx).Exec(`
		INSERT INTO charge_owners (connection_id, charge_id, customer_id, invoice_id, own_invoice)
		SELECT ?, charge_id, customer_id, invoice_id, own_invoice OR EXISTS (SELECT 1 FROM writeback_intents w WHERE w.invoice_id = o.invoice_id)
		FROM jsonb_to_recordset(?::jsonb) AS o(charge_id text, customer_id text, invoice_id text, own_invoice boolean)
		ON CONFLICT (connection_id, charge_id) DO NOTHING`, connectionID, string(doc)).Error)
}

// stillNeeded leaves out charges whose owner is known: an object says that its charge
// has to be joined, not that the charge has changed.
func stillNeeded(ctx context.Context, tx *gorm.DB, connectionID string, reads []readRow) ([]readRow, error) {
	var charges []string
	for _, r := range reads {
		if r.Object == "charge" {
			charges = append(charges, r.ObjectID)
		}
	}
	if len(charges) == 0 {
		return reads, nil
	}
	var known []string
	err := tx.WithContext(ctx).Raw(`SELECT charge_id FROM charge_owners WHERE connection_id = ? AND charge_id IN ?`, connectionID, charges).Scan(&known).Error
	if err != nil {
		return nil, wrap(err)
	}
	has := map[string]bool{}
	for _, id := range known {
		has[id] = true
	}
	var out []readRow
	for _, r := range reads {
		if r.Object != "charge" || !has[r.ObjectID] {
			out = append(out, r)
		}
	}
	return out, nil
}

// admitted leaves out the facts that the horizon of their connection does not admit.
func admitted(ctx context.Context, tx *gorm.DB, rows []factRow) ([]factRow, error) {
	horizons := map[string]*source.Horizon{}
	for _, r := range rows {
		if source.Judged(r.fact, r.live) {
			horizons[r.ConnectionID] = nil
		}
	}
	if len(horizons) == 0 {
		return rows, nil
	}
	for id := range horizons {
		h, err := horizonOf(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		horizons[id] = &h
	}
	out := make([]factRow, 0, len(rows))
	for _, r := range rows {
		if h := horizons[r.ConnectionID]; h == nil || h.Admits(r.fact, r.live) {
			out = append(out, r)
		}
	}
	return out, nil
}

// horizonOf is the horizon of a connection; one that nobody has looked at yet begins
// where the connection does.
func horizonOf(ctx context.Context, tx *gorm.DB, connectionID string) (source.Horizon, error) {
	var r struct {
		Start  time.Time
		Listed bool
	}
	err := tx.WithContext(ctx).Raw(`
		SELECT coalesce(s.events_horizon, c.created_at) AS start, coalesce(s.listed, false) AS listed
		FROM connections c LEFT JOIN source_syncs s ON s.connection_id = c.id WHERE c.id = ?`, connectionID).Scan(&r).Error
	if err != nil {
		return source.Horizon{}, wrap(err)
	}
	h := source.Horizon{Start: r.Start.UTC(), Listed: r.Listed}
	h.Gaps, err = gapsOf(ctx, tx, connectionID)
	return h, err
}

func gapsOf(ctx context.Context, tx *gorm.DB, connectionID string) ([]source.Gap, error) {
	var rows []struct {
		Starts, Ends      time.Time
		Delivered, Listed bool
	}
	err := tx.WithContext(ctx).Raw(`SELECT starts, ends, delivered, listed FROM source_gaps WHERE connection_id = ? ORDER BY starts`, connectionID).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	var out []source.Gap
	for _, g := range rows {
		out = append(out, source.Gap{From: g.Starts.UTC(), To: g.Ends.UTC(), Delivered: g.Delivered, Listed: g.Listed})
	}
	return out, nil
}
