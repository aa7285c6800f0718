// Package evaluate estimates from one decision log what a policy would have
// earned, what a baseline would have earned, and the difference.
//
// It is for analysis and for checking the billing estimator of package ope; no
// money is computed from it. The formulas are those of the Open Bandit Pipeline
// (st-tech/zr-obp 0.5.5, obp/ope/estimators.py). For row i with reward r, action
// a, logging probability p, w = dist[a]/p, q = predicted reward of a, and
// D = sum_k dist[k] q[k] / sum_k dist[k], an estimate is the mean of
//
//	ipw        w r
//	snipw      w r / mean(w)
//	dm         D
//	dr         D + w (r - q)
//	sndr       D + w (r - q) / mean(w)
//	switch_dr  D + w 1[w <= switch] (r - q)
//	dros       D + (dros w / (w^2 + dros)) (r - q)
//	dr_clip    D + min(w, clip) (r - q)
//	ipw_clip   min(w, clip) r
//
// where dist is the policy's or the baseline's distribution over the actions.
//
// Every variance is centred before it is squared and every sum is compensated,
// so that an offset of 1e12 costs no digits. A number that the formulas leave
// undefined (0/0, a variance of one row) is a Number without a value and null in
// JSON: the package never returns a NaN or an infinity. Products are written
// float64(a*b), so that no compiler may fuse them with an addition.
package evaluate
