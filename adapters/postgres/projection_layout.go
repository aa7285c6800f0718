package postgres

import "github.com/liftbill/liftbill/domain/projection"

// The rows of the projection tables.
type (
	subscriptionRow = projected[projection.Subscription]
	invoiceRow      = projected[projection.Invoice]
	chargeRow       = projected[projection.Charge]
	disputeRow      = projected[projection.Dispute]
	customerRow     = projected[projection.Customer]
	productRow      = projected[projection.Product]
)

var subscriptionsTable = (&projectionTable[projection.Subscription]{
	name: "stripe_subscriptions", object: "subscription",
	of:       func(s *projection.Set) map[string]*projection.Object[projection.Subscription] { return s.Subscriptions },
	keys:     []projection.Key{projection.KeyTrialEndAction},
	customer: func(s projection.Subscription) string { return s.Customer },
	restore:  func(r *subscriptionRow) { r.view.Customer = r.customer },
	lists:    subscriptionLists, unlist: subscriptionOfLists,
	steady: []string{"customer_id", "status", "created_at", "started_at", "trial_start", "trial_end", "ended_at"},
	columns: []column[projection.Subscription]{
		{"customer_id", asText, func(r *subscriptionRow) any { return &r.customer }},
		{"status", asText, func(r *subscriptionRow) any { return &r.view.Status }},
		{"currency", asText, func(r *subscriptionRow) any { return &r.view.Currency }},
		{"created_at", asTime, func(r *subscriptionRow) any { return &r.view.CreatedAt }},
		{"started_at", asTime, func(r *subscriptionRow) any { return &r.view.StartedAt }},
		{"trial_start", asTime, func(r *subscriptionRow) any { return &r.view.TrialStart }},
		{"trial_end", asTime, func(r *subscriptionRow) any { return &r.view.TrialEnd }},
		{"term_start", asTime, func(r *subscriptionRow) any { return &r.view.TermStart }},
		{"term_end", asTime, func(r *subscriptionRow) any { return &r.view.TermEnd }},
		{"cancel_at", asTime, func(r *subscriptionRow) any { return &r.view.CancelAt }},
		{"cancel_at_term_end", asBool, func(r *subscriptionRow) any { return &r.view.CancelAtTermEnd }},
		{"canceled_at", asTime, func(r *subscriptionRow) any { return &r.view.CanceledAt }},
		{"cancel_reason", asText, func(r *subscriptionRow) any { return &r.view.CancelReason }},
		{"ended_at", asTime, func(r *subscriptionRow) any { return &r.view.EndedAt }},
		{"collection_method", asText, func(r *subscriptionRow) any { return &r.view.CollectionMethod }},
		{"collection_paused", asText, func(r *subscriptionRow) any { return &r.view.CollectionPaused }},
		{"days_until_due", asAmount, func(r *subscriptionRow) any { return &r.view.DaysUntilDue }},
		{"next_pending_at", asTime, func(r *subscriptionRow) any { return &r.view.NextPendingInvoiceAt }},
		{"latest_invoice_id", asText, func(r *subscriptionRow) any { return &r.view.LatestInvoice }},
		{"has_payment_method", asBool, func(r *subscriptionRow) any { return &r.view.HasPaymentMethod }},
		{"payment_method", asText, func(r *subscriptionRow) any { return &r.view.PaymentMethod }},
		{"price_ids", asList, func(r *subscriptionRow) any { return &r.prices }},
		{"product_ids", asList, func(r *subscriptionRow) any { return &r.products }},
		{"items", asJSON, func(r *subscriptionRow) any { return &r.items }},
		{"discounts", asJSON, func(r *subscriptionRow) any { return &r.discounts }},
		{"mrr_minor", asNumber, func(r *subscriptionRow) any { return &r.view.MRR }},
		{"net_mrr_minor", asNumber, func(r *subscriptionRow) any { return &r.view.NetMRR }},
		{"list_mrr_minor", asNumber, func(r *subscriptionRow) any { return &r.view.ListMRR }},
		{"timeline", asJSON, func(r *subscriptionRow) any { return &r.timeline }},
		{"points", asInt, func(r *subscriptionRow) any { return &r.points }},
		{"stands", asText, func(r *subscriptionRow) any { return &r.stands }},
		{"since", asInt, func(r *subscriptionRow) any { return &r.since }},
	},
}).complete()

var invoicesTable = (&projectionTable[projection.Invoice]{
	name: "stripe_invoices", object: "invoice",
	of:       func(s *projection.Set) map[string]*projection.Object[projection.Invoice] { return s.Invoices },
	keys:     []projection.Key{projection.KeyCharge},
	customer: func(i projection.Invoice) string { return i.Customer },
	restore:  func(r *invoiceRow) { r.view.Customer = r.customer },
	steady:   []string{"customer_id"},
	columns: []column[projection.Invoice]{
		{"customer_id", asText, func(r *invoiceRow) any { return &r.customer }},
		{"subscription_id", asText, func(r *invoiceRow) any { return &r.view.Subscription }},
		{"number", asText, func(r *invoiceRow) any { return &r.view.Number }},
		{"status", asText, func(r *invoiceRow) any { return &r.view.Status }},
		{"currency", asText, func(r *invoiceRow) any { return &r.view.Currency }},
		{"billing_reason", asText, func(r *invoiceRow) any { return &r.view.BillingReason }},
		{"collection_method", asText, func(r *invoiceRow) any { return &r.view.CollectionMethod }},
		{"created_at", asTime, func(r *invoiceRow) any { return &r.view.CreatedAt }},
		{"period_start", asTime, func(r *invoiceRow) any { return &r.view.PeriodStart }},
		{"period_end", asTime, func(r *invoiceRow) any { return &r.view.PeriodEnd }},
		{"due_at", asTime, func(r *invoiceRow) any { return &r.view.DueAt }},
		{"next_attempt_at", asTime, func(r *invoiceRow) any { return &r.view.NextAttemptAt }},
		{"finalized_at", asTime, func(r *invoiceRow) any { return &r.view.FinalizedAt }},
		{"paid_at", asTime, func(r *invoiceRow) any { return &r.view.PaidAt }},
		{"voided_at", asTime, func(r *invoiceRow) any { return &r.view.VoidedAt }},
		{"uncollectible_at", asTime, func(r *invoiceRow) any { return &r.view.UncollectibleAt }},
		{"total_minor", asAmount, func(r *invoiceRow) any { return &r.view.Total }},
		{"subtotal_minor", asAmount, func(r *invoiceRow) any { return &r.view.Subtotal }},
		{"total_excluding_tax_minor", asAmount, func(r *invoiceRow) any { return &r.view.TotalExcludingTax }},
		{"amount_due_minor", asAmount, func(r *invoiceRow) any { return &r.view.AmountDue }},
		{"amount_paid_minor", asAmount, func(r *invoiceRow) any { return &r.view.AmountPaid }},
		{"amount_remaining_minor", asAmount, func(r *invoiceRow) any { return &r.view.AmountRemains }},
		{"out_of_band_minor", asInt, func(r *invoiceRow) any { return &r.view.OutOfBand }},
		{"attempts", asInt, func(r *invoiceRow) any { return &r.view.Attempts }},
		{"paid", asBool, func(r *invoiceRow) any { return &r.view.Paid }},
		{"own", asBool, func(r *invoiceRow) any { return &r.view.Own }},
	},
}).complete()

var chargesTable = (&projectionTable[projection.Charge]{
	name: "stripe_charges", object: "charge",
	of:       func(s *projection.Set) map[string]*projection.Object[projection.Charge] { return s.Charges },
	keys:     []projection.Key{projection.KeyInvoice},
	customer: func(c projection.Charge) string { return c.Customer },
	restore:  func(r *chargeRow) { r.view.Customer = r.customer },
	steady:   []string{"customer_id"},
	columns: []column[projection.Charge]{
		{"customer_id", asText, func(r *chargeRow) any { return &r.customer }},
		{"status", asText, func(r *chargeRow) any { return &r.view.Status }},
		{"currency", asText, func(r *chargeRow) any { return &r.view.Currency }},
		{"description", asText, func(r *chargeRow) any { return &r.view.Description }},
		{"failure_code", asText, func(r *chargeRow) any { return &r.view.FailureCode }},
		{"payment_method", asText, func(r *chargeRow) any { return &r.view.PaymentMethod }},
		{"created_at", asTime, func(r *chargeRow) any { return &r.view.CreatedAt }},
		{"amount_minor", asAmount, func(r *chargeRow) any { return &r.view.Amount }},
		{"amount_refunded_minor", asAmount, func(r *chargeRow) any { return &r.view.AmountRefunded }},
		{"refunded", asBool, func(r *chargeRow) any { return &r.view.Refunded }},
		{"disputed", asBool, func(r *chargeRow) any { return &r.view.Disputed }},
	},
}).complete()

var disputesTable = (&projectionTable[projection.Dispute]{
	name: "stripe_disputes", object: "dispute",
	of: func(s *projection.Set) map[string]*projection.Object[projection.Dispute] { return s.Disputes },
	columns: []column[projection.Dispute]{
		{"charge_id", asText, func(r *disputeRow) any { return &r.view.Charge }},
		{"status", asText, func(r *disputeRow) any { return &r.view.Status }},
		{"reason", asText, func(r *disputeRow) any { return &r.view.Reason }},
		{"currency", asText, func(r *disputeRow) any { return &r.view.Currency }},
		{"created_at", asTime, func(r *disputeRow) any { return &r.view.CreatedAt }},
		{"evidence_due_at", asTime, func(r *disputeRow) any { return &r.view.EvidenceDueAt }},
		{"amount_minor", asAmount, func(r *disputeRow) any { return &r.view.Amount }},
	},
}).complete()

var customersTable = (&projectionTable[projection.Customer]{
	name: "stripe_customers", object: "customer",
	of:   func(s *projection.Set) map[string]*projection.Object[projection.Customer] { return s.Customers },
	keys: []projection.Key{projection.KeyCashBalance},
	columns: []column[projection.Customer]{
		{"currency", asText, func(r *customerRow) any { return &r.view.Currency }},
		{"country", asText, func(r *customerRow) any { return &r.view.Country }},
		{"created_at", asTime, func(r *customerRow) any { return &r.view.CreatedAt }},
		{"balance_minor", asAmount, func(r *customerRow) any { return &r.view.Balance }},
		{"delinquent", asBool, func(r *customerRow) any { return &r.view.Delinquent }},
		{"has_payment_method", asBool, func(r *customerRow) any { return &r.view.HasPaymentMethod }},
		{"payment_method", asText, func(r *customerRow) any { return &r.view.PaymentMethod }},
	},
}).complete()

var productsTable = (&projectionTable[projection.Product]{
	name: "stripe_products", object: "product",
	of: func(s *projection.Set) map[string]*projection.Object[projection.Product] { return s.Products },
	columns: []column[projection.Product]{
		{"name", asText, func(r *productRow) any { return &r.view.Name }},
		{"active", asBool, func(r *productRow) any { return &r.view.Active }},
	},
}).complete()
