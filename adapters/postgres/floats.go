package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/reward"
)

// floats scans float8[] as text; PostgreSQL writes the shortest text that reads
// back to the same bits.
type floats []float64

// Scan implements sql.Scanner.
func (f *floats) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("scan float8[]: got %T", src)
	}
	s = strings.Trim(s, "{}")
	*f = []float64{}
	if s == "" {
		return nil
	}
	for _, part := range strings.Split(s, ",") {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return fmt.Errorf("scan float8[]: %w", err)
		}
		*f = append(*f, v)
	}
	return nil
}

// moneyKinds are the facts whose signed amounts sum to net paid revenue.
func moneyKinds() []string {
	return []string{
		reward.RevenueConfirmation.String(), reward.Refund.String(), reward.RefundFailed.String(),
		reward.Dispute.String(), reward.DisputeWon.String(),
	}
}
