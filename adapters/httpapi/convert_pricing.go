package httpapi

import (
	"encoding/json"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
)

// pricingOf takes over the terms beyond share and basis.
func pricingOf(t billing.Terms, in ContractCreate) billing.Terms {
	if in.Tiers.Mode != "" || in.Tiers.Reset != "" || in.Tiers.Above != nil {
		t.Tiers = &billing.Tiers{Mode: billing.TierMode(in.Tiers.Mode), Reset: billing.Window(in.Tiers.Reset)}
		for _, tier := range in.Tiers.Above {
			t.Tiers.Above = append(t.Tiers.Above, billing.Tier{FromMinor: tier.FromMinor, Share: tier.Share})
		}
	}
	if in.Caps != (Caps{}) {
		t.Caps = &billing.Caps{MonthMinor: in.Caps.MonthMinor, YearMinor: in.Caps.YearMinor, TotalMinor: in.Caps.TotalMinor, Excess: billing.CapExcess(in.Caps.Excess)}
	}
	if m := in.MinimumCommitment; m.AmountMinor != 0 {
		t.Minimum = &billing.Minimum{AmountMinor: m.AmountMinor, Every: billing.Window(m.Every)}
		for _, c := range m.Counts {
			t.Minimum.Counts = append(t.Minimum.Counts, billing.Counted(c))
		}
	}
	for _, o := range in.Outcomes {
		t.Outcomes = append(t.Outcomes, billing.OutcomePrice{Kind: o.Kind, PriceMinor: o.PriceMinor, Included: o.Included})
	}
	for _, p := range in.Phases {
		t.Phases = append(t.Phases, billing.Phase{Kind: billing.PhaseKind(p.Kind), Months: p.Months, Factor: p.Factor, WaiveFixed: p.WaiveFixedFees})
	}
	if in.Holdback != (Holdback{}) {
		t.Holdback = &billing.Holdback{Share: in.Holdback.Share, ReleaseAfterMonths: in.Holdback.ReleaseAfterMonths}
	}
	if n := in.Netting; n != (Netting{}) {
		t.Netting = &billing.Netting{Mode: billing.NettingMode(n.Mode), Rate: n.Rate, LookbackDays: n.LookbackDays}
	}
	if u := in.TrueUp; u != (TrueUp{}) {
		t.TrueUp = &billing.TrueUp{Direction: billing.TrueUpDirection(u.Direction), LimitMonths: u.LimitMonths}
	}
	if a := in.Approval; a != (Approval{}) {
		t.Approval = &billing.Approval{
			Mode: billing.ApprovalMode(a.Mode), AutoBelowMinor: a.AutoBelowMinor, WaitDays: a.WaitDays, RemindDays: a.RemindDays, OnTimeout: billing.ApprovalTimeout(a.OnTimeout),
		}
	}
	t.FloorMinor, t.PlatformFeeMinor, t.DisputeDays = in.FloorMinor, in.PlatformFeeMinor, in.DisputeDays
	return t
}

// amendmentOf is a new version's terms. Its members are a contract's, without those that
// last for the contract's life, which the use case takes from the version before.
func amendmentOf(in ContractAmendment) (billing.Terms, error) {
	raw, err := json.Marshal(in)
	if err != nil {
		return billing.Terms{}, err
	}
	var create ContractCreate
	if err := json.Unmarshal(raw, &create); err != nil {
		return billing.Terms{}, err
	}
	t := termsOf(create)
	t.EffectiveFrom = in.EffectiveFrom
	return t, nil
}

// toContract shows every term, with its default where it is not agreed on.
func toContract(c billing.Contract) (Contract, error) {
	t := c.Terms
	risk, err := lift.KnownRisk(t.Rule())
	if err != nil {
		return Contract{}, err
	}
	out := Contract{
		ID: c.ID, AccountID: c.AccountID, Environment: Environment(c.Environment), Version: c.Version, EffectiveFrom: c.EffectiveFrom.String(),
		Share: t.Share, Basis: string(t.Basis), Settlement: string(risk.Rule.Settlement), KnownRisk: toKnownRisk(risk), PortfolioCap: t.Capped(), Currency: string(t.Currency), TimeZone: t.TimeZone,
		CloseLagDays: t.CloseLagDays, CollectionMethod: string(t.CollectionMethod), DaysUntilDue: t.DaysUntilDue,
		Rounding: string(t.Rounding), FirstPeriod: t.FirstPeriod, PoNumber: t.PONumber,
		CaseIdsInMetadata: t.CaseIDsInMetadata != nil && *t.CaseIDsInMetadata, Hash: c.Hash, CreatedAt: c.CreatedAt,
		FloorMinor: t.FloorMinor, PlatformFeeMinor: t.PlatformFeeMinor, DisputeDays: t.DisputeDays, Terms: t.Words(),
		Netting: Netting{Mode: string(billing.NetActual)}, Approval: toApproval(t.Approval),
		Outcomes: convertAll(t.Outcomes, func(o billing.OutcomePrice) OutcomePrice {
			return OutcomePrice{Kind: o.Kind, PriceMinor: o.PriceMinor, Included: o.Included}
		}),
		Phases: convertAll(t.Phases, func(p billing.Phase) Phase {
			return Phase{Kind: string(p.Kind), Months: p.Months, Factor: p.Factor, WaiveFixedFees: p.WaiveFixed}
		}),
	}
	if t.Tiers != nil {
		out.Tiers = &Tiers{Mode: string(t.Tiers.Mode), Reset: string(t.Tiers.Reset), Above: convertAll(t.Tiers.Above, func(x billing.Tier) Tier { return Tier{FromMinor: x.FromMinor, Share: x.Share} })}
	}
	if t.Caps != nil {
		out.Caps = &Caps{MonthMinor: t.Caps.MonthMinor, YearMinor: t.Caps.YearMinor, TotalMinor: t.Caps.TotalMinor, Excess: string(t.Caps.Excess)}
	}
	if t.Minimum != nil {
		out.MinimumCommitment = &MinimumCommitment{AmountMinor: t.Minimum.AmountMinor, Every: string(t.Minimum.Every),
			Counts: convertAll(t.Minimum.Counts, func(c billing.Counted) string { return string(c) })}
	}
	if t.Holdback != nil {
		out.Holdback = &Holdback{Share: t.Holdback.Share, ReleaseAfterMonths: t.Holdback.ReleaseAfterMonths}
	}
	after := t.AfterSettlement()
	out.TrueUp = TrueUp{Direction: string(after.Direction), LimitMonths: after.LimitMonths}
	if t.Netting != nil {
		out.Netting = Netting{Mode: string(t.Netting.Mode), Rate: t.Netting.Rate, LookbackDays: t.Netting.LookbackDays}
	}
	return out, nil
}

func toApproval(a *billing.Approval) Approval {
	if a == nil {
		return Approval{Mode: string(billing.ApprovalAutomatic)}
	}
	return Approval{Mode: string(a.Mode), AutoBelowMinor: a.AutoBelowMinor, WaitDays: a.WaitDays, RemindDays: a.RemindDays, OnTimeout: string(a.OnTimeout)}
}

// toVersions shows each version with the month in which the next one takes over.
func toVersions(all billing.Versions) ([]Contract, error) {
	out := make([]Contract, len(all))
	for i, c := range all {
		var err error
		if out[i], err = toContract(c); err != nil {
			return nil, err
		}
		if until, ok := all.Until(i); ok {
			out[i].EffectiveUntil = until.String()
		}
	}
	return out, nil
}

func toKnownRisk(r lift.Risk) KnownRisk {
	return KnownRisk{
		Statement: r.String(), NullSticky: r.NullSticky, NullFresh: r.NullFresh, OverSticky: r.OverSticky, OverFresh: r.OverFresh,
		BilledSticky: r.BilledSticky, BilledFresh: r.BilledFresh,
	}
}
