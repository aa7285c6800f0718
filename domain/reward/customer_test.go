package reward_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/reward"
)

func customerObj(metadata obj) obj {
	return obj{"id": "cus_1", "object": "customer", "created": t0, "metadata": metadata}
}

func TestCustomerMapping(t *testing.T) {
	t.Parallel()
	was := func(v any) obj { return obj{"metadata": obj{"user_id": v}} }
	for _, c := range []struct {
		name, event  string
		now, prev    obj
		user, past   string
		facts, shown int
		anomaly      string
	}{
		{"at creation", "created", obj{"user_id": " u_1 "}, nil, "u_1", "", 1, 1, ""},
		{"without a user", "created", obj{"userId": "u_1"}, nil, "", "", 0, 0, ""},
		{"added later", "updated", obj{"user_id": "u_1"}, was(nil), "u_1", "", 1, 1, ""},
		{"added to none", "updated", obj{"user_id": "u_1"}, obj{"metadata": obj{}}, "u_1", "", 1, 1, ""},
		{"added to null", "updated", obj{"user_id": "u_1"}, obj{"metadata": nil}, "u_1", "", 1, 1, ""},
		{"another key changed", "updated", obj{"user_id": "u_1", "k": "v"}, obj{"metadata": obj{"k": nil}}, "", "", 0, 0, ""},
		{"changed", "updated", obj{"user_id": "u_2"}, was("u_1"), "u_2", "u_1", 1, 1, ""},
		{"removed", "updated", obj{}, was("u_1"), "", "u_1", 1, 0, ""},
		{"blanks only", "updated", obj{"user_id": "u_1 "}, was("u_1"), "", "", 0, 0, ""},
		{"something else changed", "updated", obj{"user_id": "u_1"}, obj{"email": "a@example.test"}, "", "", 0, 0, ""},
		{"longest possible", "created", obj{"user_id": strings.Repeat("ü", 500)}, nil, strings.Repeat("ü", 500), "", 1, 1, ""},
		{"longer than possible", "created", obj{"user_id": strings.Repeat("u", 501)}, nil, "", "", 0, 0, "user_id_too_long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := classify(t, event("customer."+c.event, customerObj(c.now), c.prev))
			require.Equal(t, c.anomaly, got.Anomaly)
			require.Len(t, got.Facts, c.facts)
			require.Len(t, got.Signals, c.shown)
			if c.facts > 0 {
				require.Equal(t, []string{c.user, c.past, "cus_1"}, []string{got.Facts[0].UserID, got.Facts[0].PreviousUserID, got.Facts[0].Customer})
			}
		})
	}
	t.Run("the key is configurable", func(t *testing.T) {
		t.Parallel()
		got, err := reward.Classify(event("customer.created", customerObj(obj{"uid": "7", "user_id": "no"}), nil), reward.Config{UserIDKey: "uid"})
		require.NoError(t, err)
		require.Equal(t, "7", got.Signals[0].UserID)
	})
	t.Run("there and back is three statements", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		for _, e := range [][]byte{
			event("customer.created", customerObj(obj{"user_id": "a"}), nil),
			event("customer.updated", customerObj(obj{"user_id": "b"}), was("a")),
			event("customer.updated", customerObj(obj{"user_id": "a"}), was("b")),
		} {
			seen[keys(classify(t, e))[0]] = true
		}
		require.Len(t, seen, 3)
	})
	t.Run("a deleted customer is no churn", func(t *testing.T) {
		t.Parallel()
		got := classify(t, event("customer.deleted", customerObj(obj{"user_id": "a"}), nil))
		require.Equal(t, []string{"customer_deleted"}, kinds(got))
		require.Empty(t, got.Signals)
	})
}
