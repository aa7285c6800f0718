package onboard

import (
	"cmp"
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// CreateContract stores version 1 of an account's contract.
func (s *Service) CreateContract(ctx context.Context, by access.Principal, accountID, id string, terms billing.Terms) (billing.Contract, bool, error) {
	var out billing.Contract
	created, err := s.insert(ctx, func(ctx context.Context, st Stores) (bool, error) {
		acc, err := st.Accounts.Account(ctx, accountID)
		if err != nil {
			return false, err
		}
		if err := access.Require(by, access.WriteContract, acc.ID, acc.Environment); err != nil {
			return false, err
		}
		if out, err = billing.NewContract(id, acc.ID, acc.Environment, 1, terms, s.Clock.Now()); err != nil {
			return false, err
		}
		versions, err := st.Agreements.Versions(ctx, accountID)
		if err != nil {
			return false, err
		}
		if len(versions) == 0 {
			plan, err := st.Agreements.Plan(ctx, accountID)
			if err == nil {
				err = agree(out.Terms, plan.Plan.Plan())
			} else if fault.Is(err, fault.NotFound) {
				err = nil
			}
			if err != nil {
				return false, err
			}
			if err := st.Agreements.InsertContract(ctx, out); err != nil {
				return false, err
			}
			return true, st.Audit.Append(ctx, s.note(by, audit.ContractCreated, "contract", out.ID).In(acc.ID, acc.Environment).Changed(nil, contractFacts(out)))
		}
		given := out
		out = versions[0]
		if out.ID != given.ID || out.Hash != given.Hash {
			return false, fault.New(fault.Conflict, "contract_exists", "account %s has contract %s with other terms", accountID, out.ID).
				Fix("Change it by a new version, which holds from a later month")
		}
		return false, nil
	})
	return out, created, err
}

// AmendContract stores the next version of an account's contract: the whole new terms,
// which hold from terms.EffectiveFrom. The same version again is the one that is stored.
func (s *Service) AmendContract(ctx context.Context, by access.Principal, accountID, id string, terms billing.Terms) (billing.Contract, bool, error) {
	var out billing.Contract
	created, err := s.insert(ctx, func(ctx context.Context, st Stores) (bool, error) {
		acc, err := st.Accounts.Account(ctx, accountID)
		if err != nil {
			return false, err
		}
		if err := access.Require(by, access.WriteContract, acc.ID, acc.Environment); err != nil {
			return false, err
		}
		if err := st.Agreements.LockContract(ctx, accountID); err != nil {
			return false, err
		}
		all, err := st.Agreements.Versions(ctx, accountID)
		if err != nil {
			return false, err
		}
		for i, old := range all {
			if old.ID != id {
				continue
			}
			// Made again as it was made then: later versions and the clock do not matter.
			out = old
			if i == 0 {
				return false, fault.New(fault.Conflict, "contract_exists", "%s is the first version of the contract", id).Fix("Give the new version an identifier of its own")
			}
			again, err := all[:i].Amend(id, terms, old.CreatedAt)
			if err == nil && again.Hash != old.Hash {
				err = fault.New(fault.Conflict, "contract_exists", "version %s of account %s has other terms", id, accountID).Fix("Give the new version an identifier of its own")
			}
			return false, err
		}
		if out, err = all.Amend(id, terms, s.Clock.Now()); err != nil {
			return false, err
		}
		if err := st.Agreements.InsertContract(ctx, out); err != nil {
			return false, err
		}
		note := s.note(by, audit.ContractAmended, "contract", out.ID).In(acc.ID, acc.Environment)
		return true, st.Audit.Append(ctx, note.Changed(contractFacts(all[len(all)-1]), contractFacts(out)))
	})
	return out, created, err
}

// SealedPlans lists the plans of an account, one for each contract year, ascending.
func (s *Service) SealedPlans(ctx context.Context, accountID string) ([]StoredPlan, error) {
	var out []StoredPlan
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		if _, err := st.Accounts.Account(ctx, accountID); err != nil {
			return err
		}
		var err error
		out, err = st.Agreements.Plans(ctx, accountID)
		return err
	})
	return out, err
}

// ContractVersions lists the versions of an account's contract, ascending.
func (s *Service) ContractVersions(ctx context.Context, accountID string) (billing.Versions, error) {
	var out billing.Versions
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		if _, err := st.Accounts.Account(ctx, accountID); err != nil {
			return err
		}
		var err error
		out, err = st.Agreements.Versions(ctx, accountID)
		return err
	})
	return out, err
}

// ContractsOf lists the versions of several accounts' contracts, ascending, by account. An
// account without a contract is left out.
func (s *Service) ContractsOf(ctx context.Context, accountIDs []string) (map[string]billing.Versions, error) {
	var out map[string]billing.Versions
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		out, err = st.Agreements.VersionsOf(ctx, accountIDs)
		return err
	})
	return out, err
}

// PlansOf lists the sealed plans of several accounts, ascending by their first month, by account.
func (s *Service) PlansOf(ctx context.Context, accountIDs []string) (map[string][]StoredPlan, error) {
	var out map[string][]StoredPlan
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		out, err = st.Agreements.PlansOf(ctx, accountIDs)
		return err
	})
	return out, err
}

// agree refuses a plan that measures something else than the contract bills: another
// currency, another settlement of the year, or a year that begins in another month.
func agree(t billing.Terms, p lift.Plan) error {
	if t.Currency != p.Currency {
		return fault.InvalidField("currency", "currency_differs", "the contract is in %s, the measurement plan in %s", t.Currency.Code(), p.Currency.Code()).
			Fix("Use one currency for both")
	}
	billed, err := t.Rule().Normalise()
	if err != nil {
		return err
	}
	if measured := cmp.Or(p.Settlement, lift.SettleProvenLift); measured != billed.Settlement {
		return fault.InvalidField("settlement", "settlement_differs", "the contract settles its years by %s, the measurement plan by %s", billed.Settlement, measured).
			Fix("Write the same settlement into both")
	}
	first, err := period.ParseMonth(t.FirstPeriod)
	if err != nil {
		return err
	}
	begins, err := p.First()
	if err != nil {
		return err
	}
	if n := begins.Sub(first); n < 0 || n%lift.PeriodsPerYear != 0 {
		return fault.InvalidField("first_period", "first_period_differs", "the contract's years begin with %s, the measurement plan with %s", first, begins).
			Fix("Start the plan with a year of the contract")
	}
	return nil
}

// PlanInput is a measurement plan to be sealed, with the salt of the arm assignment.
type PlanInput struct {
	ID   string
	Plan lift.Plan
	// SaltHex is the secret salt, hexadecimal; only its SHA-256 stands in the plan.
	SaltHex string
}

// SealPlan validates, hashes and stores the plan of a contract year; it can't be changed
// afterwards. Every year has a plan of its own, with a salt of its own.
func (s *Service) SealPlan(ctx context.Context, by access.Principal, accountID string, in PlanInput) (StoredPlan, bool, error) {
	if err := account.CheckID("id", in.ID); err != nil {
		return StoredPlan{}, false, err
	}
	plan := in.Plan
	salt, err := saltOf(in)
	if err != nil {
		return StoredPlan{}, false, err
	}
	if !plan.PerDecision() {
		plan.SaltCommitment = lift.SaltCommitment(salt)
	}
	sealed, err := plan.Seal(s.Clock.Now())
	if err != nil {
		return StoredPlan{}, false, err
	}
	out := StoredPlan{ID: in.ID, AccountID: accountID, Plan: sealed}
	if out.SealedSalt, err = s.Box.Seal(SaltContext(in.ID), salt); err != nil {
		return StoredPlan{}, false, err
	}
	created, err := s.insert(ctx, func(ctx context.Context, st Stores) (bool, error) {
		acc, err := st.Accounts.Account(ctx, accountID)
		if err != nil {
			return false, err
		}
		if err := access.Require(by, access.WriteSetup, acc.ID, acc.Environment); err != nil {
			return false, err
		}
		out.Environment = acc.Environment
		if err := st.Agreements.LockPlans(ctx, accountID); err != nil {
			return false, err
		}
		plans, err := st.Agreements.Plans(ctx, accountID)
		if err != nil {
			return false, err
		}
		if old, err := sealedBefore(plans, out); err != nil || old.ID != "" {
			out = old
			return false, err
		}
		versions, err := st.Agreements.Versions(ctx, accountID)
		if err != nil {
			return false, err
		}
		if len(versions) > 0 {
			if err := agree(versions[len(versions)-1].Terms, plan); err != nil {
				return false, err
			}
		}
		if err := st.Agreements.InsertPlan(ctx, out); err != nil {
			return false, err
		}
		return true, st.Audit.Append(ctx, s.note(by, audit.PlanSealed, "plan", out.ID).In(acc.ID, acc.Environment).Changed(nil, planFacts(out)))
	})
	return out, created, err
}

// sealedBefore finds the plan that is sealed again, and refuses another one for the same
// year, one for a year before, and one whose arms could be foretold.
func sealedBefore(plans []StoredPlan, p StoredPlan) (StoredPlan, error) {
	first, err := p.Plan.Plan().First()
	if err != nil {
		return StoredPlan{}, err
	}
	for _, old := range plans {
		begins, err := old.Plan.Plan().First()
		if err != nil {
			return StoredPlan{}, err
		}
		n := first.Sub(begins)
		switch {
		case old.ID == p.ID && old.Plan.Hash() == p.Plan.Hash():
			return old, nil
		case old.ID == p.ID || (n < lift.PeriodsPerYear && n > -lift.PeriodsPerYear):
			return old, fault.New(fault.Conflict, "plan_exists", "account %s has the sealed plan %s for the year from %s", p.AccountID, old.ID, begins).
				Fix("A sealed plan lasts the contract year and is never replaced within it")
		case n < 0:
			return old, fault.InvalidField("first_period", "plan_year_order", "the plan %s of a later year, from %s, is sealed already", old.ID, begins).
				Fix("Seal the plans in the order of their years")
		case p.Plan.Plan().SaltCommitment != "" && old.Plan.Plan().SaltCommitment == p.Plan.Plan().SaltCommitment:
			return old, fault.InvalidField("salt", "salt_repeated", "the plan %s has the same salt, which the end of its year reveals", old.ID).
				Fix("Give every contract year a salt of its own")
		}
	}
	if v := p.Plan.Plan().Version; len(plans) > 0 && v <= plans[len(plans)-1].Plan.Plan().Version {
		return StoredPlan{}, fault.InvalidField("version", "plan_version_order", "version %d is not after that of the plan before", v).
			Fix("Count the plans of a contract from 1")
	}
	return StoredPlan{}, nil
}

// saltOf reads the salt of the arms. A plan without a holdout has none.
func saltOf(in PlanInput) ([]byte, error) {
	salt, err := hex.DecodeString(in.SaltHex)
	switch {
	case in.Plan.PerDecision() && in.SaltHex != "":
		return nil, fault.InvalidField("salt", "plan_randomisation", "a plan without a holdout has no salt of the arms").Fix("Leave the salt out")
	case in.Plan.PerDecision():
		return nil, nil
	case err != nil || len(salt) < 16:
		return nil, fault.InvalidField("salt", "salt_malformed", "the salt must be at least 16 bytes in hexadecimal").
			Fix("Use the salt with which your SDK assigns the arms")
	}
	return salt, nil
}

// SnapshotInput is a policy snapshot to be shipped.
type SnapshotInput struct {
	ID        string
	Name      string
	ShippedAt time.Time
}

// ShipSnapshot records a policy snapshot. The number of snapshots is limited by
// the plan, because each one takes its part of the error budget. A snapshot never changes:
// the same ID with other content is a conflict, and is written down as refused.
func (s *Service) ShipSnapshot(ctx context.Context, by access.Principal, accountID string, in SnapshotInput) (Snapshot, bool, error) {
	if err := account.CheckID("id", in.ID); err != nil {
		return Snapshot{}, false, err
	}
	name := strings.TrimSpace(in.Name)
	if name == "" || len(name) > 200 {
		return Snapshot{}, false, fault.InvalidField("name", "name_length", "a name of 1 to 200 characters is required")
	}
	dated := !in.ShippedAt.IsZero()
	if !dated {
		in.ShippedAt = s.Clock.Now()
	}
	out := Snapshot{ID: in.ID, AccountID: accountID, Name: name, ShippedAt: in.ShippedAt.UTC().Truncate(time.Microsecond)}
	var refused audit.Entry
	created, err := s.insert(ctx, func(ctx context.Context, st Stores) (bool, error) {
		refused = audit.Entry{}
		plan, err := st.Agreements.Plan(ctx, accountID)
		if err != nil {
			return false, err
		}
		if err := access.Require(by, access.WriteSetup, accountID, plan.Environment); err != nil {
			return false, err
		}
		out.Environment = plan.Environment
		if err := st.Agreements.LockSnapshots(ctx, accountID); err != nil {
			return false, err
		}
		old, err := st.Agreements.Snapshot(ctx, accountID, in.ID)
		if err == nil {
			if !dated {
				out.ShippedAt = old.ShippedAt // the same call, made later
			}
			err := same("snapshot", in.ID, old, out)
			if err != nil {
				refused = s.note(by, audit.SnapshotShipped, "snapshot", out.ID).In(accountID, out.Environment).Because(fault.CodeOf(err)).Changed(snapshotFacts(old), snapshotFacts(out)).Refusal()
			}
			return false, err
		}
		if !fault.Is(err, fault.NotFound) {
			return false, err
		}
		all, err := st.Agreements.Snapshots(ctx, accountID)
		if err != nil {
			return false, err
		}
		if limit := plan.Plan.Plan().ErrorBudget.Snapshots; len(all) >= limit {
			return false, fault.New(fault.Conflict, "snapshot_limit", "the plan allows %d snapshots, and %d are shipped", limit, len(all)).
				Fix("Declare more snapshots in the next plan; each one needs its part of the error budget")
		}
		if err := st.Agreements.InsertSnapshot(ctx, out); err != nil {
			return false, err
		}
		return true, st.Audit.Append(ctx, s.note(by, audit.SnapshotShipped, "snapshot", out.ID).In(accountID, out.Environment).Changed(nil, snapshotFacts(out)))
	})
	return out, created, s.writeRefusal(ctx, err, refused)
}
