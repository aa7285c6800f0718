package billing

// InvoiceMetadata lets the limits be tested beyond what one invoice can hold.
var InvoiceMetadata = invoiceMetadata
