package decisionlog

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/fault"
)

// fields says how the value of each known field is read.
var fields = map[string]func(d *decision.Decision, name string, value []byte) error{
	"decision_id":         text(func(d *decision.Decision) *string { return &d.ID }),
	"unit_id":             text(func(d *decision.Decision) *string { return &d.UnitID }),
	"user_id":             text(func(d *decision.Decision) *string { return &d.UserID }),
	"snapshot_id":         text(func(d *decision.Decision) *string { return &d.SnapshotID }),
	"action":              text(func(d *decision.Decision) *string { return &d.Action }),
	"baseline_action":     text(func(d *decision.Decision) *string { return &d.BaselineAction }),
	"arm":                 text(func(d *decision.Decision) *string { return (*string)(&d.Arm) }),
	"arm_salt_commitment": text(func(d *decision.Decision) *string { return &d.SaltCommitment }),
	"plan_hash":           text(func(d *decision.Decision) *string { return &d.PlanHash }),
	"sdk_version":         text(func(d *decision.Decision) *string { return &d.SDKVersion }),
	"surface":             text(func(d *decision.Decision) *string { return &d.Surface }),
	"ts":                  setTime,
	"arm_prob":            setArmProbability,
	"eligible_actions":    setActions,
	"propensity":          setPropensity,
	"features":            setFeatures,
	"seq_no":              setSequence,
}

// optional fields may be left out.
var optional = map[string]bool{"features": true, "arm_salt_commitment": true, "plan_hash": true, "sdk_version": true, "seq_no": true, "surface": true}

// names is every field in alphabetical order, so that the first complaint about a
// line is always the same one.
var names = slices.Sorted(maps.Keys(fields))

func text(at func(*decision.Decision) *string) func(*decision.Decision, string, []byte) error {
	return func(d *decision.Decision, name string, value []byte) error {
		s, ok := unquote(value)
		if !ok {
			return wrongType(name, "a string")
		}
		*at(d) = s
		return nil
	}
}

func setTime(d *decision.Decision, name string, value []byte) error {
	s, ok := unquote(value)
	if !ok {
		return wrongType(name, "a string")
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return fault.InvalidField(name, "time_malformed", "%q is not a time", clip(s)).Fix("Write RFC 3339 with a zone, for example 2026-10-01T09:30:00Z")
	}
	d.At = at.UTC()
	return nil
}

func setArmProbability(d *decision.Decision, name string, value []byte) error {
	v, err := number(name, value)
	d.ArmProbability = v
	return err
}

func setActions(d *decision.Decision, name string, value []byte) error {
	return eachElement(name, value, decision.MaxActions, func(element []byte) error {
		s, ok := unquote(element)
		if !ok {
			return wrongType(name, "an array of strings")
		}
		d.EligibleActions = append(d.EligibleActions, s)
		return nil
	})
}

func setPropensity(d *decision.Decision, name string, value []byte) error {
	return eachElement(name, value, decision.MaxActions, func(element []byte) error {
		v, err := number(name, element)
		d.Propensity = append(d.Propensity, v)
		return err
	})
}

// setFeatures keeps the values as they are; the store freezes them.
func setFeatures(d *decision.Decision, name string, value []byte) error {
	if value[0] != '{' {
		return wrongType(name, "an object of numbers")
	}
	d.Features = map[string]float64{}
	return eachMember(value, func(feature string, element []byte) error {
		path := name + "." + clip(feature)
		if _, twice := d.Features[feature]; twice {
			return fault.InvalidField(path, "field_repeated", "the feature appears twice").Fix("Write each feature once")
		}
		v, err := number(path, element)
		d.Features[feature] = v
		return err
	})
}

func setSequence(d *decision.Decision, name string, value []byte) error {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return wrongType(name, "an integer of at most 64 bits")
	}
	d.SequenceNumber = &n
	return nil
}

// unquote reads a JSON string; most hold no escape.
func unquote(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	for _, c := range value {
		if c == '\\' {
			var s string
			err := json.Unmarshal(value, &s)
			return s, err == nil
		}
	}
	return string(value[1 : len(value)-1]), true
}

func number(field string, value []byte) (float64, error) {
	if c := value[0]; c != '-' && (c < '0' || c > '9') {
		return 0, wrongType(field, "a number")
	}
	v, err := strconv.ParseFloat(string(value), 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, fault.InvalidField(field, "number_range", "%s does not fit into 64 bits", clip(string(value)))
	}
	return v, nil
}

func wrongType(field, want string) error {
	return fault.InvalidField(field, "field_type", "the value is of the wrong type").Fix("Write %s", want)
}

// clip keeps a message short, whatever the log holds.
func clip(s string) string {
	const most = 60
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most]) + "…"
}
