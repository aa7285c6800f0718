// Package lift turns decisions and revenue into a readout: the measured lift of
// one policy snapshot in one period, judged by the guardrail, with a case ID
// that anyone can recompute.
//
// The path is Plan (sealed before the period) -> Join (every cent of revenue on
// one snapshot or in a named bucket) -> UnitTable -> Measure (package ope) ->
// Judge (every check, always) -> NewReadout (manifest and case ID) -> Settle
// (what may be billed). Only Judge makes a Billable, and Settle bills nothing
// else. Floats become money in FloorMinor and nowhere else.
package lift
