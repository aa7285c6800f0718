// Package uow is the unit of work: one database transaction over the stores that
// a use case names. No network call belongs inside Do.
package uow

import "context"

// UnitOfWork runs fn with stores of one transaction. It commits when fn returns
// nil and rolls back otherwise; the error is returned as it is.
type UnitOfWork[S any] interface {
	Do(ctx context.Context, fn func(ctx context.Context, stores S) error) error
}
