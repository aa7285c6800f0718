package onboard

import (
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
		old, err := st.Agreements.Contract(ctx, accountID)
		if fault.Is(err, fault.NotFound) {
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
		if err != nil {
			return false, err
		}
		given := out
		out = old
		if old.ID != given.ID || old.Hash != given.Hash {
			return false, fault.New(fault.Conflict, "contract_exists", "account %s has contract %s with other terms", accountID, old.ID)
		}
		return false, nil
	})
	return out, created, err
}

// agree refuses a plan that measures something else than the contract bills: another
// currency, or a year that begins in another month.
func agree(t billing.Terms, p lift.Plan) error {
	if t.Currency != p.Currency {
		return fault.InvalidField("currency", "currency_differs", "the contract is in %s, the measurement plan in %s", t.Currency.Code(), p.Currency.Code()).
			Fix("Use one currency for both")
	}
	first, err := period.Parse(t.FirstPeriod)
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

// SealPlan validates, hashes and stores the plan; it can't be changed afterwards.
func (s *Service) SealPlan(ctx context.Context, by access.Principal, accountID string, in PlanInput) (StoredPlan, bool, error) {
	if err := account.CheckID("id", in.ID); err != nil {
		return StoredPlan{}, false, err
	}
	salt, err := hex.DecodeString(in.SaltHex)
	if err != nil || len(salt) < 16 {
		return StoredPlan{}, false, fault.InvalidField("salt", "salt_malformed", "the salt must be at least 16 bytes in hexadecimal").
			Fix("Use the salt with which your SDK assigns the arms")
	}
	plan := in.Plan
	plan.SaltCommitment = lift.SaltCommitment(salt)
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
		old, err := st.Agreements.Plan(ctx, accountID)
		if fault.Is(err, fault.NotFound) {
			contract, err := st.Agreements.Contract(ctx, accountID)
			if err == nil {
				err = agree(contract.Terms, plan)
			} else if fault.Is(err, fault.NotFound) {
				err = nil
			}
			if err != nil {
				return false, err
			}
			if err := st.Agreements.InsertPlan(ctx, out); err != nil {
				return false, err
			}
			return true, st.Audit.Append(ctx, s.note(by, audit.PlanSealed, "plan", out.ID).In(acc.ID, acc.Environment).Changed(nil, planFacts(out)))
		}
		if err != nil {
			return false, err
		}
		given := out
		out = old
		if old.ID != given.ID || old.Plan.Hash() != given.Plan.Hash() {
			return false, fault.New(fault.Conflict, "plan_exists", "account %s has the sealed plan %s", accountID, old.ID).
				Fix("A sealed plan lasts the contract year and is never replaced within it")
		}
		return false, nil
	})
	return out, created, err
}

// SnapshotInput is a policy snapshot to be shipped.
type SnapshotInput struct {
	ID        string
	Name      string
	ShippedAt time.Time
}

// ShipSnapshot records a policy snapshot. The number of snapshots is limited by
// the plan, because each one takes its part of the error budget.
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
	created, err := s.insert(ctx, func(ctx context.Context, st Stores) (bool, error) {
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
			return false, same("snapshot", in.ID, old, out)
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
	return out, created, err
}
