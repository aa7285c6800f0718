package lift

import (
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/ope"
)

// layoutDoc is a layout with every bit of every float.
type layoutDoc struct {
	Features int   `json:"features"`
	Folds    int   `json:"folds"`
	Cap      int64 `json:"cap_minor"`
	P        Hex   `json:"p"`
	Centre   []Hex `json:"centre"`
	Level    int64 `json:"level_minor"`
}

// LayoutJSON is the canonical JSON of a layout, to be stored beside the frozen table.
func LayoutJSON(l ope.Layout) ([]byte, error) {
	return Canonical(layoutDoc{Features: l.Features, Folds: l.Folds, Cap: l.Cap, P: Hex(l.P), Centre: hexes(l.Centre), Level: l.Level})
}

// ParseLayout reads what LayoutJSON wrote and refuses a layout that the plan does not give.
func ParseLayout(raw []byte, plan Plan) (ope.Layout, error) {
	var d layoutDoc
	if err := strictUnmarshal(raw, &d); err != nil {
		return ope.Layout{}, err
	}
	capMinor := plan.capMinor()
	if d.Features != len(plan.Features) || d.Folds != plan.Folds || d.Cap != capMinor || len(d.Centre) != d.Features {
		return ope.Layout{}, fault.New(fault.Conflict, "layout_of_another_plan", "the frozen table is laid out for %d features, %d folds and the cap %d, the plan has %d, %d and %d",
			d.Features, d.Folds, d.Cap, len(plan.Features), plan.Folds, capMinor)
	}
	return ope.Layout{Features: d.Features, Folds: d.Folds, Cap: d.Cap, P: float64(d.P), Centre: floats(d.Centre), Level: d.Level}, nil
}

// capMinor is the plan's cap, 0 where there is none.
func (p Plan) capMinor() int64 {
	if p.Reward.CapMinor == nil {
		return 0
	}
	return *p.Reward.CapMinor
}
