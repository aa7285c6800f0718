// Package webhookload plays Stripe towards a real deployment on this machine: it
// records the events of a customer's life once, sends any number of copies of that
// life as signed deliveries, and measures or checks what became of them. It starts
// the private PostgreSQL and the processes that it measures; the commands
// `liftbill bench ingest` and `liftbill bench kill` are made of it.
//
// It reads the machine's clock, because what it measures happens in real time.
package webhookload
