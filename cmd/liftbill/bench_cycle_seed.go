package main

import (
	"context"
	"fmt"
	"time"

	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	logged "github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/lift"
)

// benchDecisions are an account's decisions in its first month, one per unit.
const benchDecisions = 20

var benchSalt = []byte("the salt of a benchmark's arms..")

// seed makes the accounts: a connection, a contract, a sealed plan, a snapshot and
// decisions each.
func (s *cycleStack) seed(ctx context.Context) error {
	at := s.first.In(time.UTC).Start.Add(-24 * time.Hour)
	terms := billing.DefaultTerms()
	terms.FirstPeriod = s.first.String()
	plan, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: s.first, Currency: terms.Currency, Unit: "user", Baseline: "none",
		HoldoutProbability: "0.5", SaltCommitment: lift.SaltCommitment(benchSalt), Features: []string{"tenure"}})
	if err != nil {
		return err
	}
	sealed, err := plan.Seal(at)
	if err != nil {
		return err
	}
	const batch = 500
	for from := 0; from < len(s.accounts); from += batch {
		some := s.accounts[from:min(from+batch, len(s.accounts))]
		err := s.db.Onboarding().Do(ctx, func(ctx context.Context, st onboard.Stores) error {
			for _, id := range some {
				if err := s.seedAccount(ctx, st, id, terms, sealed, at); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range s.accounts {
		err := s.db.Decisions().Do(ctx, func(ctx context.Context, st decisions.Stores) error {
			_, err := st.Log.Append(ctx, account.Account{ID: id, Environment: account.Live}, s.decisionsOf(id, plan), at)
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err = s.sql.Exec(ctx, "ANALYZE")
	return err
}

func (s *cycleStack) seedAccount(ctx context.Context, st onboard.Stores, id string, terms billing.Terms, plan lift.SealedPlan, at time.Time) error {
	key, err := s.box.Seal(onboard.KeyContext(id), []byte("rk_live_4f8d2c1b9a7e6053load"))
	if err != nil {
		return err
	}
	salt, err := s.box.Seal(onboard.SaltContext(id+"-plan"), benchSalt)
	if err != nil {
		return err
	}
	contract, err := billing.NewContract(id+"-contract", id, account.Live, 1, terms, at)
	if err != nil {
		return err
	}
	err = st.Connections.InsertConnection(ctx, onboard.SealedConnection{Connection: account.Connection{
		ID: id, Environment: account.Live, Roles: account.Roles{Source: true}, StripeAccountID: "acct_" + id, UserIDKey: "user_id", KeyMask: "rk_live_…load",
	}, SealedKey: key, CreatedAt: at})
	if err != nil {
		return err
	}
	if err := st.Accounts.InsertAccount(ctx, account.Account{ID: id, Environment: account.Live, Name: id, SourceConnection: id}, at); err != nil {
		return err
	}
	if err := st.Agreements.InsertContract(ctx, contract); err != nil {
		return err
	}
	if err := st.Agreements.InsertPlan(ctx, onboard.StoredPlan{ID: id + "-plan", AccountID: id, Environment: account.Live, Plan: plan, SealedSalt: salt}); err != nil {
		return err
	}
	return st.Agreements.InsertSnapshot(ctx, onboard.Snapshot{ID: "offer", AccountID: id, Environment: account.Live, Name: "Offer", ShippedAt: at})
}

func (s *cycleStack) decisionsOf(id string, plan lift.Plan) []logged.Decision {
	h, err := plan.Holdout()
	if err != nil {
		return nil // the plan was sealed: its holdout is one
	}
	start := s.first.In(time.UTC).Start
	out := make([]logged.Decision, benchDecisions)
	for i := range out {
		unit := fmt.Sprintf("%s-user-%02d", id, i)
		out[i] = logged.Decision{
			ID: unit, UnitID: unit, UserID: unit, SnapshotID: "offer", At: start.Add(time.Duration(i+1) * time.Hour), Arm: logged.Arm(lift.ArmOf(benchSalt, unit, h)),
			ArmProbability: 0.5, Action: "a", BaselineAction: "b", EligibleActions: []string{"a", "b"}, Propensity: []float64{0.5, 0.5},
			Features: map[string]float64{"tenure": float64(i)}, PlanHash: "",
		}
	}
	return out
}
