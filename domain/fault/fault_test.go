package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
)

func TestErrorIsOneLine(t *testing.T) {
	t.Parallel()
	require.EqualError(t, fault.New(fault.Conflict, "c", "%d is taken", 7), "7 is taken")
	require.EqualError(t, fault.InvalidField("share", "c", "too high").Fix("Use at most %d", 1), "share: too high. Use at most 1")
	require.EqualError(t, fault.Wrap(io.EOF, fault.Unavailable, "c", "no answer"), "no answer: EOF")
}

func TestKindAndCodeOfAChain(t *testing.T) {
	t.Parallel()
	inner := fault.New(fault.RateLimited, "slow_down", "wait")
	wrapped := fmt.Errorf("outer: %w", inner)
	require.Equal(t, fault.RateLimited, fault.KindOf(wrapped))
	require.Equal(t, "slow_down", fault.CodeOf(wrapped))
	require.True(t, fault.Is(wrapped, fault.RateLimited))
	require.False(t, fault.Is(wrapped, fault.Invalid))
	// The outermost fault decides: whoever wrapped it knew more.
	outer := fault.Wrap(wrapped, fault.Unavailable, "later", "try again")
	require.Equal(t, fault.Unavailable, fault.KindOf(outer))
	require.ErrorIs(t, outer, inner)
	require.Equal(t, fault.Internal, fault.KindOf(errors.Join(io.EOF)))
	require.Equal(t, "internal", fault.CodeOf(io.EOF))
	require.False(t, fault.Is(nil, fault.Internal))
	require.True(t, fault.Is(io.EOF, fault.Internal), "what nobody classified is a bug")
}

func TestFieldAndRemedy(t *testing.T) {
	t.Parallel()
	e := fault.New(fault.Invalid, "c", "m").On("roles").Fix("Use %s", "source")
	require.Equal(t, "roles", e.Field)
	require.Equal(t, "Use source", e.Remedy)
}
