// Package ope holds the numerics of off-policy evaluation on float64.
//
// This part of it is the billing estimator aipw-hajek-ridge/1: the realised
// incremental revenue of the units that a policy snapshot treated, from a
// randomised holdout, adjusted by a cross-fitted ridge regression.
//
// Formulas (u ranges over N units, h or P_u is the probability of the baseline):
//
//	fold        k(u) = BE64(SHA256("fold/v1" 0x00 unit_id)[:8]) mod K
//	ridge       beta_-k = (G_-k + lambda n_-k diag(0, var_1..var_d))^-1 g_-k
//	residual    r_u = Y_u - x_u' beta_-k(u)
//	weights     w_u = holdout/P_u,  W = sum w_u,  w~_u = w_u N/W
//	level       R = sum w_u r_u / W
//	score       psi_u = (1 - w~_u)(r_u - R)
//	estimate    T = sum psi_u
//	variances   V_cr = N/(N-1) sum (psi_u - mean psi)^2
//	            V_b  = sum_{w>0} w~_u (w~_u - 1)(r_u - R)^2
//	            V_0  = sum c_u (r_u - mean r)^2,  c_u = 1/P_u - 1
//	            V    = max(V_cr, V_b, V_0)
//
// All of these are quadratic forms of moments (Partial, Moments): the sums of
// products of features and outcome by fold and arm, which one pass collects in a
// size that does not depend on the number of units. Only the unit with the largest
// score takes a second look (Scorer, Top).
//
// The number does not depend on the machine, on the order of the input or on
// how the work is cut: only + - x / and square root are used, every product is
// written float64(a*b) so that no compiler may fuse it with an addition, and
// moments are collected inside 256 canonical buckets (SHA256(unit_id)[0]) in
// ascending unit_id and merged from bucket 0 to bucket 255.
//
// The package is pure and imports the standard library only. Money is not its
// business: revenue enters as integer minor units and leaves as a float64.
package ope
