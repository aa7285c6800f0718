// Package localstack starts what liftbill needs on one bare machine: a private
// PostgreSQL cluster and a Temporal server, each as a supervised child that
// ends with this process, however this process ends.
//
// It serves `liftbill demo` and the tests. A production deployment is given
// addresses instead and starts nothing.
package localstack
