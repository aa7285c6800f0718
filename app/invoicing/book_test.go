package invoicing_test

import (
	"context"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
)

// testBook is a book in which everybody is a test account.
type testBook struct{ invoicing.PayerBook }

func (b testBook) PayerWish(ctx context.Context, cycleID string) (invoicing.PayerWish, error) {
	w, err := b.PayerBook.PayerWish(ctx, cycleID)
	w.Environment = account.Test
	return w, err
}

func (b testBook) SetupOf(ctx context.Context, accountID string) (invoicing.Setup, error) {
	st, err := b.PayerBook.SetupOf(ctx, accountID)
	st.Environment = account.Test
	return st, err
}
