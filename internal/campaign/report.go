package campaign

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/liftbill/liftbill/internal/campaign/audit"
)

// Tally counts what became of schedules.
type Tally struct {
	Schedules int
	Requests  int
	Deaths    int
	Acts      int
	Ends      map[End]int
	Found     map[audit.Kind]int
	byClass   map[Class]*line
	byFault   map[string]*line
	byAct     map[string]*line
	reasons   map[string]int
	// Wrong are the schedules that found a defect.
	Wrong []Result
}

// line is one row of a table.
type line struct {
	schedules, struck int
	ends              map[End]int
	wrong             int
}

func (l *line) add(r Result, struck int) {
	l.schedules++
	l.struck += struck
	l.ends[r.End]++
	if r.Wrong() {
		l.wrong++
	}
}

// NewTally makes an empty one.
func NewTally() *Tally {
	return &Tally{
		Ends: map[End]int{}, Found: map[audit.Kind]int{}, byClass: map[Class]*line{}, byFault: map[string]*line{}, byAct: map[string]*line{}, reasons: map[string]int{},
	}
}

func of[K comparable](m map[K]*line, k K) *line {
	if m[k] == nil {
		m[k] = &line{ends: map[End]int{}}
	}
	return m[k]
}

// Add counts a result.
func (t *Tally) Add(r Result) {
	t.Schedules++
	t.Requests += r.Requests
	t.Deaths += r.Deaths
	t.Ends[r.End]++
	struck := 0
	for kind, n := range r.Hits {
		of(t.byFault, kind).add(r, n)
		struck += n
	}
	of(t.byClass, r.Schedule.Class).add(r, struck)
	if r.Acted {
		t.Acts++
		of(t.byAct, r.Schedule.Act.What).add(r, struck)
	}
	if r.Reason != "" && !r.Wrong() {
		t.reasons[r.Reason]++
	}
	for _, f := range r.Findings {
		t.Found[f.Kind]++
	}
	if r.Wrong() {
		t.Wrong = append(t.Wrong, r)
	}
}

// Print writes the tables.
func (t *Tally) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	head := func(what string) {
		fmt.Fprintf(w, "\n%s\tschedules\tfaults struck\tbilled\tmended\twaits\tdropped\trefused\twrong\t\n", what)
	}
	row := func(name string, l *line) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", name, l.schedules, l.struck, l.ends[Billed], l.ends[Mended], l.ends[Waits], l.ends[Dropped], l.ends[Refused], l.wrong)
	}
	head("class")
	for _, c := range Classes() {
		if l := t.byClass[c]; l != nil {
			row(string(c), l)
		}
	}
	head("schedules that met the fault")
	for _, k := range Kinds() {
		if l := t.byFault[string(k)]; l != nil {
			row(string(k), l)
		}
	}
	head("an operator")
	for _, name := range sorted(t.byAct) {
		row(name, t.byAct[name])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d schedules, %d requests of the program, %d ends of its process, %d acts of operators\n", t.Schedules, t.Requests, t.Deaths, t.Acts)
	if len(t.reasons) > 0 {
		var parts []string
		for _, r := range sorted(t.reasons) {
			parts = append(parts, fmt.Sprintf("%s %d", r, t.reasons[r]))
		}
		fmt.Fprintf(out, "waited for a person: %s\n", strings.Join(parts, ", "))
	}
	var parts []string
	for _, k := range audit.Kinds() {
		parts = append(parts, fmt.Sprintf("%s %d", k, t.Found[k]))
	}
	fmt.Fprintf(out, "the auditor found: %s\nstuck: %d\n", strings.Join(parts, ", "), t.Ends[Stuck])
	for _, r := range t.Wrong {
		fmt.Fprintf(out, "WRONG %s\n  -> %s %s %v\n", r.Schedule, r.End, r.Reason, r.Findings)
	}
	return nil
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// PrintHunt writes the table of the mutants.
func PrintHunt(out io.Writer, all []Caught) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "\nmutant\tcaught after\tby\n")
	for _, c := range all {
		after, by := "NOT CAUGHT", ""
		if c.After > 0 {
			after, by = fmt.Sprintf("%d schedules", c.After), string(c.By.End)
			if c.By.End == Stuck {
				by, _, _ = strings.Cut(c.By.Reason, ":")
				by = "stuck, " + strings.TrimSpace(by)
			}
			kinds := map[string]bool{}
			for _, f := range c.By.Findings {
				kinds[string(f.Kind)] = true
			}
			if len(kinds) > 0 {
				by += "; " + strings.Join(sorted(kinds), ", ")
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.Mutant, after, by)
	}
	return w.Flush()
}
