package httpapi

// The bounds of what is in flight.
const (
	MaxDeliveries    = maxDeliveries
	MaxDeliveryBytes = maxDeliveryBytes
)
