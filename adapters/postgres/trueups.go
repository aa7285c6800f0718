package postgres

import (
	"context"
	"iter"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/reward"
)

// TrueUps implements trueups.Ledger.
type TrueUps struct{ db *DB }

var _ trueups.Ledger = (*TrueUps)(nil)

// NewTrueUps opens the ledger of looks at settled years.
func (db *DB) NewTrueUps() *TrueUps { return &TrueUps{db} }

// Booking loads a cycle that is collected. One that is priced looks at nothing new.
func (u *TrueUps) Booking(ctx context.Context, cycleID string) (trueups.Booking, error) {
	cy, err := loadCycle(ctx, u.db.gorm, cycleID)
	if err != nil {
		return trueups.Booking{}, wrap(err)
	}
	if cy.Watermark.IsZero() {
		return trueups.Booking{}, fault.New(fault.Conflict, "not_collected", "cycle %s has no watermark", cycleID)
	}
	return u.booking(ctx, cy, cy.Watermark)
}

// Planned is the booking of a cycle that need not be there yet.
func (u *TrueUps) Planned(ctx context.Context, accountID string, m period.Month, asOf time.Time) (trueups.Booking, error) {
	cy, _, err := (&Cycles{u.db}).Planned(ctx, accountID, m)
	if err != nil {
		return trueups.Booking{}, err
	}
	return u.booking(ctx, cy, asOf)
}

func (u *TrueUps) booking(ctx context.Context, cy measure.Cycle, watermark time.Time) (trueups.Booking, error) {
	b := trueups.Booking{CycleID: cy.ID, Environment: cy.Account.Environment, End: cy.Interval.End, Watermark: watermark}
	err := u.db.gorm.WithContext(ctx).Raw(`SELECT c.id FROM cycles c WHERE c.account_id = @account AND c.period LIKE '%-settlement' AND c.period < @period AND `+consumed+`
			AND NOT EXISTS (SELECT 1 FROM invoices i WHERE i.cycle_id = @cycle) ORDER BY c.period`,
		map[string]any{"account": cy.Account.ID, "period": cy.Period.String(), "cycle": cy.ID}).Scan(&b.Settlements).Error
	return b, wrap(err)
}

// Year loads a settled year.
func (u *TrueUps) Year(ctx context.Context, settlementCycle string) (trueups.Year, error) {
	cy, err := loadCycle(ctx, u.db.gorm, settlementCycle)
	if err != nil {
		return trueups.Year{}, wrap(err)
	}
	y := trueups.Year{
		SettlementCycle: cy.ID, Account: cy.Account, Contract: cy.Contract, Plan: cy.Plan, Period: cy.Period, Interval: cy.Interval,
		YearToDate: cy.YearToDate, Watermark: cy.Watermark,
	}
	heads, err := (&Cycles{u.db}).Heads(ctx, cy)
	if err != nil {
		return y, err
	}
	for _, h := range heads {
		y.Heads = append(y.Heads, trueups.Head{SnapshotID: h.SnapshotID, Layout: h.Layout, Inputs: h.Inputs, Evidence: h.Evidence})
	}
	if y.Bill, err = u.settled(ctx, cy); err != nil {
		return y, err
	}
	tx := u.db.gorm.WithContext(ctx)
	if y.Fees, y.Lines, err = yearLines(tx, cy); err != nil {
		return y, wrap(err)
	}
	err = wrap(looks(tx, &y))
	return y, err
}

// settled is what the settlement's price was made of: what was finished when it was made.
func (u *TrueUps) settled(ctx context.Context, cy measure.Cycle) (billing.BillInput, error) {
	tx := u.db.gorm.WithContext(ctx)
	readouts, err := storedReadouts(tx, cy.ID, cy.Plan)
	if err != nil {
		return billing.BillInput{}, err
	}
	j, err := (&Invoicing{u.db}).judged(ctx, cy, readouts)
	if err != nil {
		return billing.BillInput{}, err
	}
	var before []string
	err = tx.Raw(`SELECT c.period FROM cycles c JOIN invoices i ON i.cycle_id = c.id JOIN invoices own ON own.cycle_id = ?
		WHERE c.account_id = ? AND i.created_at <= own.created_at`, cy.ID, cy.Account.ID).Scan(&before).Error
	if err != nil {
		return billing.BillInput{}, wrap(err)
	}
	then := map[string]bool{}
	for _, p := range before {
		then[p] = true
	}
	var past []billing.Past
	for _, p := range j.Past {
		text := p.Period.String()
		if p.Settlement {
			text = p.Period.Settlement().String()
		}
		if then[text] {
			past = append(past, p)
		}
	}
	return billing.BillInput{
		Contract: cy.Contract, Period: cy.Period.Add(0), Snapshots: cy.Plan.Plan().ErrorBudget.Snapshots, Readouts: readouts, HighWater: j.HighWater,
		Context: billing.Context{Settlement: true, ClosesYear: true, Past: past, Outcomes: j.Outcomes, Adjustments: j.Adjustments, WritingClosed: j.PricedClosed},
	}, nil
}

// yearLines are what the cycles of a settled year came to, by snapshot and by kind.
func yearLines(tx *gorm.DB, cy measure.Cycle) (map[string]int64, map[billing.LineKind]int64, error) {
	of := `FROM cycles c JOIN invoices i ON i.cycle_id = c.id `
	where := ` WHERE c.account_id = ? AND c.period >= ? AND c.period <= ? AND i.phase <> 'shadow' AND ` + consumed
	args := []any{cy.Account.ID, cy.YearStart.String(), cy.Period.String()}
	var rows []struct {
		Name  string
		Minor int64
	}
	fees, lines := map[string]int64{}, map[billing.LineKind]int64{}
	err := tx.Raw(`SELECT l.snapshot_id AS name, sum(l.fee_minor)::bigint AS minor `+of+`JOIN cycle_lines l ON l.cycle_id = c.id`+where+` GROUP BY 1`, args...).Scan(&rows).Error
	if err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		fees[r.Name] = r.Minor
		lines[billing.LineLift] += r.Minor
	}
	rows = nil
	err = tx.Raw(`SELECT f.kind AS name, sum(f.amount_minor)::bigint AS minor `+of+`JOIN cycle_charges f ON f.cycle_id = c.id`+where+` GROUP BY 1`, args...).Scan(&rows).Error
	for _, r := range rows {
		lines[billing.LineKind(r.Name)] += r.Minor
	}
	return fees, lines, err
}

// looks adds what was looked at before.
func looks(tx *gorm.DB, y *trueups.Year) error {
	y.BookedBy, y.Taken, y.Booked = map[string]bool{}, map[string]trueups.Fact{}, map[string]int64{}
	var before []struct {
		BookingCycle string
		Watermark    time.Time
	}
	if err := tx.Raw(`SELECT booking_cycle, watermark FROM true_ups WHERE settlement_cycle = ? ORDER BY number`, y.SettlementCycle).Scan(&before).Error; err != nil {
		return err
	}
	for _, b := range before {
		y.Looks++
		y.BookedBy[b.BookingCycle], y.Seen = true, b.Watermark.UTC()
	}
	if y.Looks == 0 {
		return nil
	}
	var facts []struct {
		FactKey, UnitID, SnapshotID, Cause, Origin string
		HappenedAt                                 time.Time
		AmountMinor                                int64
	}
	err := tx.Raw(`SELECT f.fact_key, f.unit_id, f.snapshot_id, f.cause, f.origin, f.happened_at, sum(f.amount_minor)::bigint AS amount_minor
		FROM true_up_facts f JOIN true_ups t ON t.id = f.true_up_id WHERE t.settlement_cycle = ? GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(f.amount_minor) <> 0`, y.SettlementCycle).Scan(&facts).Error
	if err != nil {
		return err
	}
	for _, f := range facts {
		origin, err := period.Parse(f.Origin)
		if err != nil {
			return err
		}
		y.Taken[f.FactKey] = trueups.Fact{
			Key: f.FactKey, UnitID: f.UnitID, SnapshotID: f.SnapshotID, Cause: billing.AdjustmentReason(f.Cause), Origin: origin, At: f.HappenedAt.UTC(), AmountMinor: f.AmountMinor,
		}
	}
	var booked []struct {
		SnapshotID string
		Minor      int64
	}
	err = tx.Raw(`SELECT l.snapshot_id, sum(l.amount_minor)::bigint AS minor FROM true_up_lines l JOIN true_ups t ON t.id = l.true_up_id WHERE t.settlement_cycle = ? GROUP BY 1`, y.SettlementCycle).Scan(&booked).Error
	for _, b := range booked {
		y.Booked[b.SnapshotID] = b.Minor
		y.BookedMinor += b.Minor
	}
	return err
}

// Late lists what the settlement could not see: recorded behind its watermark, or of after
// its run-off; of payments in the year, or that go back from one. Whose it is follows the
// payment, and units are those that the settlement knew. Of a payment that the settlement had
// for nobody's nothing goes back.
func (u *TrueUps) Late(ctx context.Context, y trueups.Year, watermark time.Time) ([]trueups.Late, error) {
	var rows []struct {
		FactKey, Kind, UnitID string
		AmountMinor           int64
		EffectiveAt, LinkAt   time.Time
		OwnInvoice            bool
	}
	err := u.db.gorm.WithContext(ctx).Raw(`
		WITH facts AS MATERIALIZED (
			SELECT `+factColumns+`, r.kind, r.amount_minor, r.effective_at FROM reward_events r`+factJoins+`
			WHERE r.connection_id = @source AND r.kind IN @kinds AND r.amount_minor <> 0 AND r.currency = @currency AND NOT r.historic
				AND r.effective_at >= @start AND r.recorded_at <= @watermark AND (r.recorded_at > @seen OR r.effective_at >= @end)
				AND (r.kind <> @confirmed OR r.effective_at < @end)),
		owned AS MATERIALIZED (
			SELECT f.*, `+ownerMeasured+` AS user_id FROM facts f`+ownerJoins+`
			WHERE f.link_at >= @start AND f.link_at < @end AND (NOT @subscription OR f.subscription_id <> '')
				AND (f.paid_key IS NULL OR b.user_id IS NOT NULL OR EXISTS (SELECT 1 FROM reward_events q
					WHERE q.connection_id = f.connection_id AND q.fact_key = f.paid_key AND q.recorded_at > @seen))),
		units AS MATERIALIZED (
			SELECT user_id, min(unit_id) AS unit_id FROM decisions WHERE account_id = @account AND recorded_at <= @seen
				AND user_id IN (SELECT user_id FROM owned) GROUP BY user_id)
		SELECT f.fact_key, f.kind, f.amount_minor, f.effective_at, f.link_at, f.own_invoice,
			CASE WHEN f.user_id = '' THEN '' ELSE coalesce(u.unit_id, 'user:' || f.user_id) END AS unit_id
		FROM owned f LEFT JOIN units u ON u.user_id = f.user_id ORDER BY f.fact_key`, map[string]any{
		"source": y.Account.SourceConnection, "kinds": moneyKinds(), "currency": string(y.Contract.Terms.Currency), "start": y.YearToDate.Start, "end": y.YearToDate.End,
		"watermark": watermark, "seen": y.Watermark, "confirmed": reward.RevenueConfirmation.String(), "subscription": y.Plan.Plan().Reward.SubscriptionOnly, "account": y.Account.ID,
	}).Scan(&rows).Error
	out := make([]trueups.Late, len(rows))
	for i, r := range rows {
		out[i] = trueups.Late{Cause: causeOf(r.Kind), Late: lift.Late{
			Key: r.FactKey, UnitID: r.UnitID, AmountMinor: r.AmountMinor, At: r.EffectiveAt.UTC(), PaidAt: r.LinkAt.UTC(), OwnInvoice: r.OwnInvoice,
		}}
	}
	return out, wrap(err)
}

// causeOf is why a fact trues a year up.
func causeOf(kind string) billing.AdjustmentReason {
	switch reward.Kind(kind) {
	case reward.Refund, reward.RefundFailed:
		return billing.AdjustRefund
	case reward.Dispute, reward.DisputeWon:
		return billing.AdjustDispute
	default:
		return billing.AdjustLateEvent
	}
}

// Exposures are the decisions that the settlement read, and those since.
func (u *TrueUps) Exposures(ctx context.Context, y trueups.Year, watermark time.Time) (year, later []lift.Exposure, links []lift.Link, err error) {
	cycles := &Cycles{u.db}
	cy, err := cycles.Cycle(ctx, y.SettlementCycle)
	if err != nil {
		return nil, nil, nil, err
	}
	if year, err = cycles.Exposures(ctx, cy, y.Watermark); err != nil {
		return nil, nil, nil, err
	}
	if links, err = cycles.Links(ctx, cy); err != nil {
		return nil, nil, nil, err
	}
	// Only a later year's own measurement takes what is later than its first decision.
	measured, err := measuredUntil(u.db.gorm.WithContext(ctx), cy)
	if err != nil {
		return nil, nil, nil, wrap(err)
	}
	cy.YearToDate = period.Interval{Start: cy.Exposed.End, End: measured}
	if measured.After(cy.Exposed.End) {
		later, err = cycles.Exposures(ctx, cy, watermark)
	}
	return year, later, links, err
}

// measuredUntil is the end of the last contract year with a sealed plan behind a cycle's.
func measuredUntil(tx *gorm.DB, cy measure.Cycle) (time.Time, error) {
	zone, err := cy.Contract.Zone()
	if err != nil {
		return time.Time{}, err
	}
	var first string
	if err := tx.Raw(`SELECT coalesce(max(first_period), '') FROM measurement_plans WHERE account_id = ? AND first_period > ?`, cy.Account.ID, cy.YearStart.String()).Scan(&first).Error; err != nil || first == "" {
		return cy.Exposed.End, err
	}
	m, err := period.ParseMonth(first)
	if err != nil {
		return time.Time{}, err
	}
	return m.Add(lift.PeriodsPerYear - 1).In(zone).End, nil
}

// Units streams the frozen units of a cycle's snapshot, of its present revision.
func (u *TrueUps) Units(ctx context.Context, cycleID, snapshotID string) lift.Source {
	cycles := &Cycles{u.db}
	return func(from, to int) iter.Seq2[lift.PlacedUnit, error] {
		return func(yield func(lift.PlacedUnit, error) bool) {
			cy, err := cycles.Cycle(ctx, cycleID)
			if err != nil {
				yield(lift.PlacedUnit{}, err)
				return
			}
			cycles.Units(ctx, cy, snapshotID)(from, to)(yield)
		}
	}
}
