package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/source"
)

// missedShown is how many missed events a person sees.
const missedShown = 20

// Health is how a source is doing.
func (s *Sources) Health(ctx context.Context, connectionID string, at time.Time) (sourcesync.Health, error) {
	c, r, err := s.load(ctx, s.db.gorm, connectionID)
	if err != nil {
		return sourcesync.Health{}, err
	}
	h := sourcesync.Health{Connection: c, Gaps: c.Horizon.Gaps}
	if h.LastPull, err = runOf(r.LastPull); err != nil {
		return h, err
	}
	if h.LastCheck, err = runOf(r.LastCheck); err != nil {
		return h, err
	}
	if h.Budget, err = s.Budget(ctx, connectionID, at); err != nil {
		return h, err
	}
	db := s.db.gorm.WithContext(ctx)
	var n struct{ MissedDay, MissedTotal, PendingEvents, PendingReads, FailedReads int }
	err = db.Raw(`SELECT
			(SELECT count(*) FROM missed_events WHERE connection_id = @id AND found_at > @day) AS missed_day,
			(SELECT count(*) FROM missed_events WHERE connection_id = @id) AS missed_total,
			(SELECT count(*) FROM event_processing WHERE connection_id = @id AND status = 'pending') AS pending_events,
			(SELECT count(*) FROM object_reads WHERE connection_id = @id AND status = 'pending') AS pending_reads,
			(SELECT count(*) FROM object_reads WHERE connection_id = @id AND status = 'failed') AS failed_reads`,
		map[string]any{"id": connectionID, "day": at.Add(-24 * time.Hour)}).Scan(&n).Error
	if err != nil {
		return h, wrap(err)
	}
	h.MissedDay, h.MissedTotal, h.PendingEvents, h.PendingReads, h.FailedReads = n.MissedDay, n.MissedTotal, n.PendingEvents, n.PendingReads, n.FailedReads
	err = db.Raw(`SELECT event_id, type, created, found_at FROM missed_events WHERE connection_id = ? ORDER BY found_at DESC, event_id LIMIT ?`, connectionID, missedShown).Scan(&h.Missed).Error
	if err != nil {
		return h, wrap(err)
	}
	h.Backfill, err = s.backfillView(ctx, connectionID)
	return h, err
}

func runOf(text *string) (*sourcesync.RunView, error) {
	if text == nil {
		return nil, nil
	}
	var d runDoc
	if err := json.Unmarshal([]byte(*text), &d); err != nil {
		return nil, err
	}
	return &sourcesync.RunView{Task: source.Task(d.Task), At: d.At.UTC(), Seen: d.Seen, New: d.New, Missed: d.Missed}, nil
}

// backfillView is the newest backfill with its progress.
func (s *Sources) backfillView(ctx context.Context, connectionID string) (*sourcesync.BackfillView, error) {
	db := s.db.gorm.WithContext(ctx)
	var r backfillRow
	if err := db.Order("state = 'done', requested_at DESC, length(id) DESC, id DESC").Limit(1).Find(&r, "connection_id = ?", connectionID).Error; err != nil || r.ID == "" {
		return nil, wrap(err)
	}
	b, err := r.domain()
	if err != nil {
		return nil, err
	}
	var rows []struct {
		Resource                       string
		Until                          time.Time
		Windows, Pages, Objects, Facts int
	}
	err = db.Raw(`SELECT resource, max(window_end) FILTER (WHERE done) AS until, count(*) AS windows, sum(pages) AS pages, sum(objects) AS objects, sum(facts) AS facts
		FROM backfill_windows WHERE backfill_id = ? GROUP BY resource`, b.ID).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	view := &sourcesync.BackfillView{Backfill: b}
	for _, res := range sourcesync.Resources() {
		for _, x := range rows {
			if x.Resource == string(res) {
				view.Progress = append(view.Progress, sourcesync.ResourceProgress{Resource: res, Until: x.Until.UTC(), Windows: x.Windows, Pages: x.Pages, Objects: x.Objects, Facts: x.Facts})
			}
		}
	}
	return view, nil
}
