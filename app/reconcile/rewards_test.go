package reconcile_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// shelf is a list of n facts, of which every step-th was joined and every step-th was fetched.
type shelf struct {
	reconcile.Reader
	n, step, reads int
}

func (b *shelf) fact(i int) reconcile.RewardEvent {
	return reconcile.RewardEvent{ConnectionID: "acme", FactKey: strconv.Itoa(i), EventID: strconv.Itoa(i), EffectiveAt: time.Unix(int64(i), 0).UTC()}
}

func (b *shelf) RewardEvents(_ context.Context, f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error) {
	b.reads++
	from, _ := strconv.Atoi(f.Cursor)
	var p reconcile.Page[reconcile.RewardEvent]
	for i := from; i < min(b.n, from+f.Limit); i++ {
		p.Items = append(p.Items, b.fact(i))
	}
	if from+f.Limit < b.n {
		p.NextCursor = strconv.Itoa(from + f.Limit)
	}
	return p, nil
}

func (b *shelf) Tellers(_ context.Context, _ string, ids []string) (map[string]reconcile.Teller, error) {
	out := map[string]reconcile.Teller{}
	for _, id := range ids {
		if n, _ := strconv.Atoi(id); n%b.step == 0 {
			out[id] = reconcile.Teller{EventID: id, Type: "invoice.paid", Source: "pull"}
		}
	}
	return out, nil
}

func (b *shelf) Places(_ context.Context, _ string, facts []lift.FactRef) (map[string][]lift.Placement, error) {
	out := map[string][]lift.Placement{}
	for _, f := range facts {
		p := lift.Placement{Traced: lift.Traced{Attribution: lift.Attribution{Key: f.Key, Bucket: lift.BucketUnmapped}, Latest: -1, First: -1}}
		if n, _ := strconv.Atoi(f.Key); n%b.step == 0 {
			p.SnapshotID, p.Bucket = "s", ""
		}
		out[f.Key] = []lift.Placement{p}
	}
	return out, nil
}

// TestFiltersWithoutAnIndex: every page size finds every fact that they select, once and in
// order; no page is longer than asked for, and none looks at more than it may.
func TestFiltersWithoutAnIndex(t *testing.T) {
	t.Parallel()
	for _, step := range []int{1, 3, 50, 100_000} {
		for _, limit := range []int{1, 7, 100, reconcile.MaxLimit} {
			for name, f := range map[string]reconcile.RewardEventsFilter{
				"joined": {Joined: "yes"}, "type": {Type: "invoice.paid"}, "source": {Source: "pull"},
			} {
				b := &shelf{n: 601, step: step}
				svc := &reconcile.Service{Reader: b, Places: b}
				var got, want []string
				for i := 0; i < b.n; i += step {
					want = append(want, strconv.Itoa(i))
				}
				f.AccountID, f.Limit = "acme", limit
				for pages := 0; ; pages++ {
					require.Less(t, pages, 700)
					before := b.reads
					p, err := svc.RewardEvents(t.Context(), f)
					require.NoError(t, err)
					require.LessOrEqual(t, len(p.Items), limit)
					require.LessOrEqual(t, b.reads-before, 20)
					for _, e := range p.Items {
						got = append(got, e.FactKey)
					}
					if f.Cursor = p.NextCursor; f.Cursor == "" {
						break
					}
				}
				require.Equal(t, want, got, fmt.Sprint(name, step, limit))
			}
		}
	}
	b := &shelf{n: 30, step: 3}
	svc := &reconcile.Service{Reader: b, Places: b}
	for joined, n := range map[string]int{"no": 20, "unmapped": 20, "no_decision": 0} {
		p, err := svc.RewardEvents(t.Context(), reconcile.RewardEventsFilter{AccountID: "acme", Joined: joined})
		require.NoError(t, err)
		require.Len(t, p.Items, n, joined)
	}
	p, err := svc.RewardEvents(t.Context(), reconcile.RewardEventsFilter{AccountID: "acme"})
	require.NoError(t, err)
	require.Nil(t, p.Items[0].Places, "who does not ask does not pay")
	require.Equal(t, "read", p.Items[1].Source())
}

func TestRewardEventFiltersAreChecked(t *testing.T) {
	t.Parallel()
	svc := &reconcile.Service{Reader: &shelf{step: 1}}
	for field, f := range map[string]reconcile.RewardEventsFilter{
		"mapped": {Mapped: "maybe"}, "state": {State: "odd"}, "source": {Source: "pigeon"}, "joined": {Joined: "perhaps"}, "from": {From: "yesterday"},
		"to": {From: "2026-10-02", To: "2026-10-01"}, "currency": {Currency: "dollars"}, "sort": {Sort: "amount"}, "period": {Period: "2026-13"},
	} {
		_, err := svc.RewardEvents(t.Context(), f)
		var told *fault.Error
		require.ErrorAs(t, err, &told, field)
		require.Equal(t, field, told.Field)
		require.NotEmpty(t, told.Code)
	}
}

func TestRewardEventIDs(t *testing.T) {
	t.Parallel()
	e := reconcile.RewardEvent{FactKey: "upgrade:sub_1:a~b>c@1", EffectiveAt: time.Date(2026, 10, 1, 2, 3, 4, 5_000, time.FixedZone("x", 7200))}
	at, key, err := reconcile.ParseRewardEventID(e.ID())
	require.NoError(t, err)
	require.True(t, at.Equal(e.EffectiveAt))
	require.Equal(t, e.FactKey, key)
	for _, id := range []string{"", "x", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z~", "~k"} {
		_, _, err := reconcile.ParseRewardEventID(id)
		require.Equal(t, "reward_event_id", fault.CodeOf(err), id)
	}
}
