// Package tabular reads the two tables that analysts bring as CSV, plain or
// gzipped: the decision log of an off-policy evaluation and the unit table of a
// readout.
//
// A table is read strictly: a header with known names, the same number of fields
// in every row, numbers in plain decimal or scientific notation. Whatever cannot
// be used is refused with the zero-based row (the header is none), the line of the
// file, the column and the reason. Nothing is guessed and nothing is left out.
package tabular
