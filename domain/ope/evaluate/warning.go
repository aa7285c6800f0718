package evaluate

import "fmt"

// Warning is one reason not to rely on a report.
type Warning struct {
	// Code is stable snake_case.
	Code string `json:"code"`
	// Explain is one sentence with the numbers.
	Explain string `json:"explain"`
}

// The codes of warnings.
const (
	// WarnNoOverlap: no logged action could come from the distribution.
	WarnNoOverlap = "no_overlap"
	// WarnESSTooSmall: a few weights carry everything.
	WarnESSTooSmall = "ess_too_small"
	// WarnNoError: there are too few units for a standard error.
	WarnNoError = "error_undefined"
)

// minESS is the effective sample size, in units, below which a normal interval
// says nothing.
const minESS = 30

// warn lists what makes the numbers of a report arithmetic and not evidence.
func (r *Report) warn() []Warning {
	out := []Warning{}
	if r.Units < 2 {
		out = append(out, Warning{WarnNoError, fmt.Sprintf("%d unit in %d rows: the cluster-robust errors are undefined.", r.Units, r.Rows)})
	}
	for _, s := range []struct {
		name string
		side *Side
	}{{"policy", &r.Policy}, {"baseline", &r.Baseline}} {
		w := s.side.Weights
		switch {
		case w.Max.value == 0:
			out = append(out, Warning{WarnNoOverlap, fmt.Sprintf("The %s never plays a logged action: every weight is 0.", s.name)})
		case !w.ESSUnits.defined || w.ESSUnits.value < minESS:
			out = append(out, Warning{WarnESSTooSmall, fmt.Sprintf("The weights of the %s are worth %.1f of %d units, fewer than %d.", s.name, w.ESSUnits.value, r.Units, minESS)})
		}
	}
	return out
}
