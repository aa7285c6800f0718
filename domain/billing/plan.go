package billing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
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
	Interval period.Interval
	Priced   Priced
	Names    map[string]string       // snapshot ID to name
	Readouts map[string]lift.Readout // snapshot ID to readout
}

// NewInvoicePlan writes down everything that Stripe will be sent. Lines stand in
// the order of their snapshot IDs; only positive fees become lines.
func NewInvoicePlan(in PlanInput) (InvoicePlan, error) {
	t := in.Contract.Terms
	p := InvoicePlan{
		Key:     IntentKey{IssuerConnection: in.Account.IssuerConnection, Customer: in.Account.PayerCustomer, Currency: string(t.Currency), Period: in.Period.String(), Part: "1/1"},
		CycleID: CycleID(in.Account.ID, in.Period), AccountID: in.Account.ID,
		CollectionMethod: t.CollectionMethod, DaysUntilDue: t.DaysUntilDue, PONumber: t.PONumber,
		Description: fmt.Sprintf("Measured incremental revenue, %s", in.Period.Name()),
		Footer:      "Each line is a share of the incremental revenue that was measured against a randomised holdout. The case ID names the readout from which it can be recomputed.",
		PeriodStart: in.Interval.Start.Unix(), PeriodEnd: in.Interval.End.Unix(),
	}
	var cases []string
	for _, l := range in.Priced.Lines {
		if l.Fee <= 0 {
			continue
		}
		r, ok := in.Readouts[l.SnapshotID]
		if !ok {
			return InvoicePlan{}, fault.New(fault.Internal, "readout_missing", "line %s has no readout", l.SnapshotID)
		}
		cases = append(cases, r.CaseID)
		p.Lines = append(p.Lines, planLine(in, l, r))
	}
	sort.Slice(p.Lines, func(i, j int) bool { return p.Lines[i].Line < p.Lines[j].Line })
	sort.Strings(cases)
	meta, err := invoiceMetadata(p, in.Account.Environment, t, cases)
	if err != nil {
		return InvoicePlan{}, err
	}
	p.Metadata = meta
	p.Metadata["lb_plan_sha256"] = p.Hash()
	return p, nil
}

func planLine(in PlanInput, l Line, r lift.Readout) PlanLine {
	t := in.Contract.Terms
	name := in.Names[l.SnapshotID]
	if name == "" || name == l.SnapshotID {
		name = l.SnapshotID
	} else {
		name += " (" + l.SnapshotID + ")"
	}
	amount := func(minor int64) string {
		a, err := money.New(minor, t.Currency)
		if err != nil {
			return strconv.FormatInt(minor, 10)
		}
		return a.String()
	}
	basis := "measured incremental revenue"
	if t.Basis == lift.BasisProven {
		basis = "proven incremental revenue"
	}
	return PlanLine{
		Line: l.SnapshotID, AmountMinor: l.Fee,
		Description: fmt.Sprintf("%s: %s × share %s of %s (measured %s, lower bound %s, year to date; case %s)",
			name, amount(l.DeltaMinor), t.Share, basis, amount(l.PointMinor), amount(l.BoundMinor), r.CaseID),
		Metadata: map[string]string{
			"lb_line": l.SnapshotID, "lb_snapshot": l.SnapshotID, "lb_readout": r.CaseID,
			"lb_lift": strconv.FormatInt(l.PointMinor, 10), "lb_bound": strconv.FormatInt(l.BoundMinor, 10),
			"lb_base": strconv.FormatInt(l.DeltaMinor, 10), "lb_share": t.Share,
			"lb_ess": strconv.FormatFloat(r.Estimate.Result.ESS, 'f', 0, 64),
		},
	}
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
