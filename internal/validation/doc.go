// Package validation simulates worlds whose true lift is known, runs the real
// estimator and the real billing rule on them, and counts how often they are
// wrong. Everything follows from one seed: neither the number of workers nor
// their schedule reaches a result.
package validation
