package billing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Limits of Stripe's metadata.
const (
	maxMetadataValue = 500
	maxReadoutKeys   = 36 // leaves room for the other keys below Stripe's 50
)

// PlanInput is what an invoice plan is made of.
type PlanInput struct {
	Account  account.Account
	Contract Contract
	Period   period.Month
	// Revision counts how often the period was computed; 0 is the first time.
	Revision int
	Interval period.Interval
	Priced   Priced
	Names    map[string]string       // snapshot ID to name
	Readouts map[string]lift.Readout // snapshot ID to readout
}

// partOf is the part of an invoice's key. Each revision has keys of its own at Stripe, so that
// what is left of one is never taken for another's.
func partOf(revision int) string {
	if revision <= 1 {
		return "1/1"
	}
	return "1/1-r" + strconv.Itoa(revision)
}

// NewInvoicePlan writes down everything that Stripe will be sent: the lines of the
// ledger with what of them is billed, lifts in the order of their snapshot IDs, then
// the other fees in the order of operations. A price that bills nothing has no lines.
func NewInvoicePlan(in PlanInput) (InvoicePlan, error) {
	t := in.Contract.Terms
	p := InvoicePlan{
		Key:     IntentKey{IssuerConnection: in.Account.IssuerConnection, Customer: in.Account.PayerCustomer, Currency: string(t.Currency), Period: in.Period.String(), Part: partOf(in.Revision)},
		CycleID: CycleID(in.Account.ID, in.Period), AccountID: in.Account.ID,
		CollectionMethod: t.CollectionMethod, DaysUntilDue: t.DaysUntilDue, PONumber: t.PONumber,
		PeriodStart: in.Interval.Start.Unix(), PeriodEnd: in.Interval.End.Unix(),
	}
	rows := map[string]Row{}
	for _, r := range in.Priced.Rows {
		rows[r.SnapshotID] = r
	}
	var cases []string
	var fees []PlanLine
	for _, l := range in.Priced.Lines {
		switch {
		case l.BilledMinor <= 0:
		case l.Kind != LineLift:
			fees = append(fees, feeLine(in.Priced, l, t))
		default:
			r, ok := in.Readouts[l.SnapshotID]
			if !ok {
				return InvoicePlan{}, fault.New(fault.Internal, "readout_missing", "line %s has no readout", l.SnapshotID)
			}
			if l.permit.IsZero() || l.permit.SnapshotID() != l.SnapshotID || l.permit.CaseID() != r.CaseID {
				return InvoicePlan{}, fault.New(fault.Internal, "lift_not_permitted", "line %s says lift, and no guardrail permitted it", l.SnapshotID)
			}
			cases = append(cases, r.CaseID)
			p.Lines = append(p.Lines, liftLine(in, l, rows[l.SnapshotID], r))
		}
	}
	sort.Slice(p.Lines, func(i, j int) bool { return p.Lines[i].Line < p.Lines[j].Line })
	sort.Strings(cases)
	p.Description, p.Footer = wording(in, len(p.Lines), len(fees))
	p.Lines = append(p.Lines, fees...)
	meta, err := invoiceMetadata(p, in.Account.Environment, t, cases)
	if err != nil {
		return InvoicePlan{}, err
	}
	if in.Revision > 1 {
		meta["lb_revision"] = strconv.Itoa(in.Revision)
	}
	p.Metadata = meta
	p.Metadata["lb_plan_sha256"] = p.Hash()
	return p, nil
}

// wording names what the invoice holds, so that a fee never stands under the heading of a
// measured lift.
func wording(in PlanInput, lifts, fees int) (description, footer string) {
	const (
		measured = "Each line is a share of the incremental revenue that was measured against a randomised holdout. The case ID names the readout from which it can be recomputed."
		mixed    = "Each line with a case ID is a share of the incremental revenue that was measured against a randomised holdout, and can be recomputed from the readout that the ID names. Lines without one are fees as agreed; they were not measured."
		agreed   = "The lines are fees as agreed; they were not measured."
	)
	switch {
	case fees == 0:
		description, footer = "Measured incremental revenue, "+in.Period.Name(), measured
	case lifts == 0:
		description, footer = "Agreed fees, "+in.Period.Name(), agreed
	default:
		description, footer = "Measured incremental revenue and agreed fees, "+in.Period.Name(), mixed
	}
	if days := in.Contract.Terms.DisputeDays; days > 0 {
		footer += fmt.Sprintf(" A line can be disputed within %d days of the invoice.", days)
	}
	return description, footer
}

func liftLine(in PlanInput, l Line, row Row, r lift.Readout) PlanLine {
	t := in.Contract.Terms
	name := in.Names[l.SnapshotID]
	if name == "" || name == l.SnapshotID {
		name = l.SnapshotID
	} else {
		name += " (" + l.SnapshotID + ")"
	}
	amount := func(minor int64) string { return amountText(minor, t.Currency) }
	basis := "proven incremental revenue"
	if t.Rule().BillsPoint(r.Verdict.Look) {
		basis = "measured incremental revenue"
	}
	share := t.Share
	if t.Tiers != nil {
		share = "tiers"
	}
	return PlanLine{
		Line: l.Key, AmountMinor: l.BilledMinor,
		Description: fmt.Sprintf("%s: %s of %s (measured %s, lower bound %s, year to date; case %s)%s",
			name, l.Text, basis, amount(row.PointMinor), amount(row.BoundMinor), r.CaseID, reduced(in.Priced, l, t)),
		Metadata: map[string]string{
			"lb_line": l.Key, "lb_kind": string(l.Kind), "lb_snapshot": l.SnapshotID, "lb_readout": r.CaseID,
			"lb_lift": minorText(row.PointMinor), "lb_bound": minorText(row.BoundMinor),
			"lb_base": minorText(row.DeltaMinor), "lb_share": share,
			"lb_ess": strconv.FormatFloat(r.Estimate.Result.ESS, 'f', 0, 64),
		},
	}
}

// feeLine is a line that nothing measured: it has no snapshot and no readout.
func feeLine(p Priced, l Line, t Terms) PlanLine {
	meta := map[string]string{"lb_line": l.Key, "lb_kind": string(l.Kind)}
	if l.Origin != "" {
		meta["lb_origin"] = l.Origin
	}
	return PlanLine{Line: l.Key, Kind: l.Kind, AmountMinor: l.BilledMinor, Description: l.Text + reduced(p, l, t), Metadata: meta}
}

// reductionNames say what takes something off a line.
var reductionNames = map[LineKind]string{
	LineTiers: "the tier that was reached", LineAdjustment: "true-ups", LineSettlementCredit: "the settlement of the year",
	LineCap: "the cap", LineHoldback: "the holdback", LineCarryIn: "the credit carried forward",
}

// reduced says what was taken off a line and why, empty when nothing was. Caps and
// holdbacks take from performance fees only.
func reduced(p Priced, l Line, t Terms) string {
	if l.BilledMinor == l.AmountMinor {
		return ""
	}
	var why []string
	for _, r := range p.Lines {
		fromPerformance := r.Kind == LineCap || r.Kind == LineHoldback
		if r.AmountMinor < 0 && (l.Kind.isPerformance() || !fromPerformance) && !slices.Contains(why, reductionNames[r.Kind]) {
			why = append(why, reductionNames[r.Kind])
		}
	}
	return fmt.Sprintf("; %s less %s for %s", amountText(l.AmountMinor, t.Currency), amountText(l.AmountMinor-l.BilledMinor, t.Currency), strings.Join(why, ", "))
}

// invoiceMetadata keeps every case ID when they fit and always their digest and
// count; it refuses rather than truncates.
func invoiceMetadata(p InvoicePlan, env account.Environment, t Terms, cases []string) (map[string]string, error) {
	joined := strings.Join(cases, ",")
	sum := sha256.Sum256([]byte(joined))
	meta := map[string]string{
		"lb_key": p.Key.StripeKey(), "lb_cycle": p.Key.Period, "lb_account": p.AccountID,
		"lb_schema": "1", "lb_env": env.String(), "lb_part": p.Key.Part,
		"lb_readouts_n": strconv.Itoa(len(cases)), "lb_readouts_sha256": hex.EncodeToString(sum[:]),
	}
	if t.PONumber != "" {
		meta["lb_po_number"] = t.PONumber
	}
	if t.CaseIDsInMetadata != nil && *t.CaseIDsInMetadata {
		chunks := chunk(cases, maxMetadataValue)
		if len(chunks) <= maxReadoutKeys {
			for i, c := range chunks {
				meta["lb_readouts_"+strconv.Itoa(i+1)] = c
			}
		}
	}
	for k, v := range meta {
		if len(k) > 40 || len(v) > maxMetadataValue {
			return nil, fault.New(fault.Invalid, "metadata_too_long", "metadata %s does not fit into Stripe's limit", k)
		}
	}
	return meta, nil
}

// chunk joins ids with commas into values of at most limit bytes, never splitting an id.
func chunk(ids []string, limit int) []string {
	var out []string
	cur := ""
	for _, id := range ids {
		switch {
		case cur == "":
			cur = id
		case len(cur)+1+len(id) > limit:
			out = append(out, cur)
			cur = id
		default:
			cur += "," + id
		}
	}
	if cur != "" {
		out = append(out, cur)
	}
	return out
}
