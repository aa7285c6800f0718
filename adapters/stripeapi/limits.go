package stripeapi

import (
	"strings"
	"unicode/utf8"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Stripe's limits of what the write-back sends, in characters. Nothing is ever cut
// to fit: a shortened description or ID on an invoice would be a wrong invoice.
const (
	maxIdempotencyKey  = 255
	maxMetadataEntries = 50
	maxMetadataKey     = 40
	maxMetadataValue   = 500
	maxMemo            = 1500
	maxFooter          = 5000
	maxItemDescription = 5000
	maxCustomValue     = 140
)

// checkPlan refuses a plan that Stripe would refuse or misread, before anything is sent.
func checkPlan(p billing.InvoicePlan) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if _, err := objectPath("/v1/customers", p.Key.Customer); err != nil {
		return err
	}
	for _, f := range []struct {
		name, value string
		limit       int
	}{{"description", p.Description, maxMemo}, {"footer", p.Footer, maxFooter}, {"po_number", p.PONumber, maxCustomValue}} {
		if n := utf8.RuneCountInString(f.value); n > f.limit {
			return tooLong(f.name, n, f.limit)
		}
	}
	if p.PeriodEnd <= p.PeriodStart {
		return fault.New(fault.Invalid, "period_empty", "the period of the plan has no length")
	}
	if _, err := invoiceMetadata(p); err != nil {
		return err
	}
	for _, l := range p.Lines {
		if _, err := lineMetadata(p, l); err != nil {
			return err
		}
		if n := utf8.RuneCountInString(l.Description); n > maxItemDescription {
			return tooLong("line "+l.Line, n, maxItemDescription)
		}
	}
	return nil
}

// invoiceMetadata is the plan's metadata with the key that makes the invoice ours.
func invoiceMetadata(p billing.InvoicePlan) (map[string]string, error) {
	return ours(p.Metadata, map[string]string{metadataKey: p.Key.StripeKey()})
}

// lineMetadata is the line's metadata with our key and the line's own.
func lineMetadata(p billing.InvoicePlan, l billing.PlanLine) (map[string]string, error) {
	return ours(l.Metadata, map[string]string{metadataKey: p.Key.StripeKey(), metadataLine: l.Line})
}

// ours adds our entries to metadata and refuses what contradicts them, what Stripe
// would refuse, and an empty value, which Stripe takes as "delete this entry".
func ours(metadata, own map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(metadata)+len(own))
	for k, v := range metadata {
		out[k] = v
	}
	for k, v := range own {
		if given, ok := out[k]; ok && given != v {
			return nil, fault.New(fault.Conflict, "metadata_contradiction", "the metadata entry %s is not the plan's own", k)
		}
		out[k] = v
	}
	if len(out) > maxMetadataEntries {
		return nil, fault.New(fault.Invalid, "metadata_entries", "%d metadata entries, Stripe allows %d", len(out), maxMetadataEntries)
	}
	for k, v := range out {
		switch n := utf8.RuneCountInString(v); {
		case k == "" || utf8.RuneCountInString(k) > maxMetadataKey || strings.ContainsAny(k, "[]"):
			return nil, fault.New(fault.Invalid, "metadata_key_malformed", "%q cannot be a metadata key at Stripe", k)
		case v == "":
			return nil, fault.New(fault.Invalid, "metadata_value_empty", "the metadata entry %s is empty", k)
		case n > maxMetadataValue:
			return nil, tooLong("metadata "+k, n, maxMetadataValue)
		}
	}
	return out, nil
}
