package mapping_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/mapping"
)

func at(n int) time.Time { return time.Date(2026, 10, 1, 0, 0, n, 0, time.UTC) }

// told is what an event of Stripe's says.
func told(seq int64, from time.Time, previous, user string) mapping.Statement {
	return mapping.Statement{Subject: "cus_1", User: user, Previous: previous, Source: mapping.Metadata, Key: "user_id", From: from, Seq: seq}.Identified("c", 0)
}

func decided(seq int64, from time.Time, user string) mapping.Statement {
	return mapping.Statement{Subject: "cus_1", User: user, Source: mapping.Manual, From: from, Seq: seq}.Identified("c", 0)
}

// seen is what an object showed when it was read.
func seen(seq int64, from time.Time, user string) mapping.Statement {
	return mapping.Statement{Subject: "cus_1", User: user, Source: mapping.Metadata, Key: "user_id", From: from, Seen: true, Seq: seq}.Identified("c", 0)
}

func deleted(seq int64, from time.Time) mapping.Statement {
	return mapping.Statement{Subject: "cus_1", Source: mapping.Metadata, From: from, Deleted: true, Seq: seq}.Identified("c", 0)
}

// show writes spans as "from-to user|state", with F for the time of a former user.
func show(spans []mapping.Span) []string {
	var out []string
	edge := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return fmt.Sprint(int(t.Sub(at(0)).Seconds()))
	}
	for _, s := range spans {
		what := s.User
		if s.State != mapping.Linked {
			what = "(" + string(s.State) + s.User + ")"
		}
		if s.Former {
			what += " F"
		}
		out = append(out, edge(s.From)+"-"+edge(s.To)+" "+what)
	}
	return out
}

func TestSpans(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   []mapping.Statement
		want []string
	}{
		"nothing was said":                         {nil, nil},
		"a late mapping joins what was before it":  {[]mapping.Statement{told(1, at(9), "", "a")}, []string{"- a"}},
		"a change keeps the time before it":        {[]mapping.Statement{told(1, at(1), "", "a"), told(2, at(9), "a", "b")}, []string{"-9 a", "9- b"}},
		"the earliest change tells of the former":  {[]mapping.Statement{told(1, at(9), "a", "b")}, []string{"-9 a F", "9- b"}},
		"a lost change in the middle":              {[]mapping.Statement{told(1, at(1), "", "a"), told(2, at(9), "x", "b")}, []string{"-9 a", "9- b"}},
		"read, and nothing else":                   {[]mapping.Statement{seen(1, at(9), "a")}, []string{"- a"}},
		"read long after a change that was lost":   {[]mapping.Statement{told(1, at(1), "", "a"), seen(2, at(9000), "b")}, []string{"-9000 a", "9000- b"}},
		"changed while it was read":                {[]mapping.Statement{seen(1, at(9), "a"), told(2, at(7), "a", "b")}, []string{"-7 a F", "7- b"}},
		"changed just after it was read":           {[]mapping.Statement{seen(1, at(7), "b"), told(2, at(9), "a", "b")}, []string{"-9 a F", "9- b"}},
		"read, and told of an earlier change":      {[]mapping.Statement{seen(1, at(9000), "b"), told(2, at(9), "a", "b")}, []string{"-9 a F", "9- b"}},
		"read under another entry":                 {[]mapping.Statement{{ID: "1", Subject: "cus_1", User: "z", Source: mapping.Metadata, Key: "old", From: at(9), Seen: true, Seq: 1}, told(2, at(9), "", "a")}, []string{"- a"}},
		"a removal ends a link":                    {[]mapping.Statement{told(1, at(1), "", "a"), told(2, at(9), "a", "")}, []string{"-9 a", "9- (unlinked)"}},
		"only the removal was told":                {[]mapping.Statement{told(1, at(9), "a", "")}, []string{"-9 a F", "9- (unlinked)"}},
		"set again after a removal":                {[]mapping.Statement{told(1, at(1), "a", ""), told(2, at(9), "", "b")}, []string{"-1 a F", "1-9 (unlinked)", "9- b"}},
		"told twice":                               {[]mapping.Statement{told(1, at(1), "", "a"), told(2, at(3), "", "a")}, []string{"- a"}},
		"a chain within one second":                {[]mapping.Statement{told(3, at(1), "", "a"), told(1, at(1), "a", "b"), told(2, at(1), "b", "c")}, []string{"- c"}},
		"a chain that had a user before":           {[]mapping.Statement{told(2, at(1), "z", "a"), told(1, at(1), "a", "b")}, []string{"-1 z F", "1- b"}},
		"back and forth within one second":         {[]mapping.Statement{told(1, at(1), "a", "b"), told(2, at(1), "b", "a")}, []string{"1- (conflict)"}},
		"two users in one second":                  {[]mapping.Statement{told(1, at(1), "", "a"), told(2, at(1), "", "b")}, []string{"1- (conflict)"}},
		"a later statement ends the contradiction": {[]mapping.Statement{told(1, at(1), "", "a"), told(2, at(1), "", "b"), told(3, at(5), "b", "c")}, []string{"1-5 (conflict)", "5- c"}},
		"a person maps a customer":                 {[]mapping.Statement{decided(1, time.Time{}, "a")}, []string{"- a"}},
		"a person's link and the same metadata":    {[]mapping.Statement{decided(1, time.Time{}, "a"), told(2, at(5), "", "a")}, []string{"- a"}},
		"metadata contradicts the person":          {[]mapping.Statement{decided(1, time.Time{}, "a"), told(2, at(5), "", "b")}, []string{"-5 a", "5- (conflict)"}},
		"the person decides once more":             {[]mapping.Statement{decided(1, time.Time{}, "a"), told(2, at(5), "", "b"), decided(3, at(5), "b")}, []string{"-5 a", "5- b"}},
		"metadata changes what the person said":    {[]mapping.Statement{decided(1, time.Time{}, "a"), told(2, at(5), "a", "b")}, []string{"-5 a", "5- b"}},
		"the person knew of the metadata":          {[]mapping.Statement{told(1, at(5), "", "b"), decided(2, time.Time{}, "a")}, []string{"-5 a", "5- b"}},
		"an entry that goes away":                  {[]mapping.Statement{decided(1, time.Time{}, "a"), told(2, at(5), "x", "")}, []string{"- a"}},
		"a person says nobody's":                   {[]mapping.Statement{told(1, at(1), "", "a"), decided(2, at(4), "")}, []string{"-4 a", "4- (unlinked)"}},
		"metadata after nobody's":                  {[]mapping.Statement{decided(1, at(4), ""), told(2, at(6), "", "b")}, []string{"4-6 (unlinked)", "6- b"}},
		"the customer was deleted":                 {[]mapping.Statement{told(1, at(1), "", "a"), deleted(2, at(7))}, []string{"-7 a", "7- (closeda)"}},
		"deleted, and never mapped":                {[]mapping.Statement{deleted(1, at(7))}, []string{"7- (closed)"}},
		"changed and deleted in one second":        {[]mapping.Statement{deleted(1, at(7)), told(2, at(7), "a", "b")}, []string{"-7 a F", "7- (closedb)"}},
	} {
		require.Equal(t, c.want, show(mapping.Spans(c.in, "user_id")), name)
	}
}

// Renaming the metadata entry loses nobody: where the new entry says nothing, what was
// read before stands.
func TestSpansOfARenamedEntry(t *testing.T) {
	t.Parallel()
	old := []mapping.Statement{told(1, at(1), "", "a"), told(2, at(5), "a", "b")}
	require.Equal(t, []string{"-5 a", "5- b"}, show(mapping.Spans(old, "uid")))
	uid := told(3, at(3), "", "u")
	uid.Key = "uid"
	require.Equal(t, []string{"- u"}, show(mapping.Spans(append(old, uid), "uid")))
	require.Equal(t, []string{"-5 a", "5- b"}, show(mapping.Spans(append(old, uid), "user_id")), "and back again")
	require.Equal(t, []string{"- u"}, show(mapping.Spans(append(old, uid), "third")), "the newest of the former entries")
}

// Where events tell a whole life, reading the customer adds nothing: neither long after it
// nor while it changes, when the read may be a few seconds old.
func TestReadsChangeNothingBesideEvents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		all := h.statements()
		for i := range all {
			all[i].Seq = int64(i)
		}
		want := show(mapping.Spans(all, "user_id"))
		for i := range rapid.IntRange(0, 4).Draw(t, "reads") {
			n := rapid.SampledFrom([]int{0, 2, 5, 9, 14, 9000}).Draw(t, "read at")
			if user := h.userAt(n + rapid.IntRange(-3, 3).Draw(t, "off")); user != "" && len(all) > 0 {
				all = append(all, seen(int64(100+i), at(n), user))
			}
		}
		require.Equal(t, want, show(mapping.Spans(all, "user_id")))
	})
}

// A link keeps its version as long as nothing else is said.
func TestSpansNameTheirStatement(t *testing.T) {
	t.Parallel()
	a, again, b := told(1, at(1), "", "a"), told(2, at(3), "", "a"), told(3, at(9), "a", "b")
	spans := mapping.Spans([]mapping.Statement{b, again, a}, "user_id")
	require.Len(t, spans, 2)
	require.Equal(t, []string{a.ID, b.ID}, []string{spans[0].LinkID, spans[1].LinkID})
	require.NotEqual(t, a.ID, a.Identified("c", 1).ID, "made again after a retraction it is another one")
	require.NotEqual(t, a.ID, a.Identified("other", 0).ID)
	require.Len(t, a.ID, 26)
}

// history is a true life of one customer: when which user was set.
type history struct {
	times []int
	users []string
}

func drawHistory(t *rapid.T) history {
	var h history
	now, user := 0, ""
	for range rapid.IntRange(0, 6).Draw(t, "changes") {
		now += rapid.IntRange(1, 3).Draw(t, "seconds")
		next := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "user")
		if next == user {
			continue
		}
		user = next
		h.times, h.users = append(h.times, now), append(h.users, user)
	}
	return h
}

func (h history) statements() []mapping.Statement {
	var out []mapping.Statement
	before := ""
	for i := range h.times {
		out = append(out, told(0, at(h.times[i]), before, h.users[i]))
		before = h.users[i]
	}
	return out
}

// userAt is the truth, with the first user reaching back to the beginning.
func (h history) userAt(n int) string {
	user, first := "", true
	for i := range h.times {
		if h.times[i] > n {
			break
		}
		user, first = h.users[i], false
	}
	if first && len(h.users) > 0 {
		return h.users[0]
	}
	return user
}

func lookUp(spans []mapping.Span, n int) string {
	found := ""
	hits := 0
	for _, s := range spans {
		if !at(n).Before(s.From) && (s.To.IsZero() || at(n).Before(s.To)) {
			found, hits = s.User, hits+1
		}
	}
	if hits > 1 {
		return "spans overlap"
	}
	return found
}

// Whatever the order in which the statements of a life arrive, and however often,
// the spans are the same and tell the truth.
func TestSpansDoNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		all := h.statements()
		for i := range all {
			all[i].Seq = int64(i)
		}
		want := mapping.Spans(all, "user_id")
		seed := rapid.Uint64().Draw(t, "order")
		shuffled := append([]mapping.Statement{}, all...)
		rng := rand.New(rand.NewPCG(seed, 1))
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for i := range shuffled {
			shuffled[i].Seq = int64(i)
		}
		got := mapping.Spans(shuffled, "user_id")
		require.Equal(t, want, got)
		for n := -1; n < 30; n++ {
			require.Equal(t, h.userAt(n), lookUp(got, n), "second %d of %v", n, h)
		}
		for i := 1; i < len(got); i++ {
			require.Equal(t, got[i-1].To, got[i].From, "no gap")
		}
	})
}

// A person's decision that knows everything is never quarantined.
func TestADecisionThatKnowsEverythingStands(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := drawHistory(t).statements()
		last := 0
		for i := range all {
			all[i].Seq = int64(i)
			last = int(all[i].From.Sub(at(0)).Seconds())
		}
		n := rapid.IntRange(last, last+5).Draw(t, "at")
		all = append(all, decided(100, at(n), "p"))
		require.Equal(t, "p", lookUp(mapping.Spans(all, "user_id"), n))
		require.Equal(t, "p", lookUp(mapping.Spans(all, "user_id"), n+1000))
	})
}
