// Package pipelinetest wires the real use cases on a PostgreSQL database of their
// own and an in-process stand-in of Stripe, for the tests of the write-back and of
// the workflows: a deployment with its HTTP API and a small month (Deployment), or
// one cycle that is about to be written to Stripe (Bill).
//
// Import it from tests only. What it checks with, Audit, shares no code with what
// it checks: it reads the stand-in's objects as JSON.
package pipelinetest
