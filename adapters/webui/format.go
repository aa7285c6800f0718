package webui

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
)

// functions are what the templates may call.
var functions = template.FuncMap{
	"amount": amount, "amountOf": amountOf, "count": count, "count64": count64, "stamp": stamp, "stampOf": stampOf,
	"day": day, "hour": hour, "month": month, "sentence": sentence, "titled": titled, "words": words, "stateOf": stateOf, "query": query, "lineURL": lineURL, "monthURL": monthURL, "chargeName": chargeName, "amountIsZero": func(minor *int64) bool { return minor != nil && *minor == 0 }, "code": strings.ToUpper,
	"string":  func(v any) string { return fmt.Sprint(v) },
	"inRange": func(a accrual.Accrual) bool { in, known := a.Within(); return in && known },
}

// Amount is money as a cell shows it: digits and currency apart, so that the
// digits of a column stand under each other.
type Amount struct {
	Digits   string
	Currency string
	Negative bool
}

func amount(minor int64, currency string) Amount {
	a, err := money.New(minor, money.Currency(currency))
	if err != nil {
		return Amount{Digits: money.Group(strconv.FormatInt(minor, 10)), Negative: minor < 0}
	}
	digits, code, _ := strings.Cut(a.String(), " ")
	return Amount{Digits: digits, Currency: code, Negative: minor < 0}
}

// amountOf is nil for an amount that is not known, which is not the same as zero.
func amountOf(minor *int64, currency string) *Amount {
	if minor == nil {
		return nil
	}
	a := amount(*minor, currency)
	return &a
}

// estimate shows an estimated number of minor units rounded down, as the ledger
// does, so that a readout and its line show the same digits.
func estimate(v float64, currency string) *Amount {
	if math.IsNaN(v) || math.Abs(v) > 1e15 {
		return nil
	}
	a := amount(int64(math.Floor(v)), currency)
	return &a
}

func count(n int) string     { return money.Group(strconv.Itoa(n)) }
func count64(n int64) string { return money.Group(strconv.FormatInt(n, 10)) }

// stamp shows an instant in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// day and hour are the two halves of a stamp, for narrow columns.
func day(t time.Time) string  { return t.UTC().Format(time.DateOnly) }
func hour(t time.Time) string { return t.UTC().Format("15:04 UTC") }

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

// month is "October 2026" for "2026-10".
func month(s string) string {
	m, err := period.Parse(s)
	if err != nil {
		return s
	}
	return m.Name()
}

// words turns an identifier into text: "needs_human" is "needs human".
func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

// ended says in words what the stable codes of a cycle that ended mean to a person; those
// of a cycle that waits are in billing.Unmet and billing.Stops.
var ended = map[string]string{
	"test_mode":            "computed and shown; test mode writes nothing to Stripe",
	"nothing_billable":     "no snapshot has anything to bill in this period",
	"below_minimum_charge": "the total is below Stripe's minimum charge and is kept for a later period",
	"shadow_phase":         "a shadow month is priced and shown, never invoiced",
	"credit_carried":       "credits exceed the month's fees; what is left is a credit of the next month",
}

// inWords is what a cycle's stable code means.
func inWords(code string) (string, bool) {
	for _, s := range append(billing.Unmet(), billing.Stops()...) {
		if s.Code == code {
			return s.Means, true
		}
	}
	text, ok := ended[code]
	return text, ok
}

// sentence makes one of an error message or a reason, which are written without
// capital and full stop; a known code is put into words.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	if words, ok := inWords(s); ok {
		s = words
	}
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// titled is a text with a capital, and without the full stop of a sentence.
func titled(s string) string { return strings.TrimSuffix(sentence(s), ".") }

// plain shows a number with a few significant digits, for statistics.
func plain(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case math.Abs(v) >= 1e7 || v != 0 && math.Abs(v) < 1e-3:
		return strconv.FormatFloat(v, 'e', 4, 64)
	}
	return money.Group(strconv.FormatFloat(v, 'f', 2, 64))
}

func percent(part, whole int64) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

// StateView is how a state looks: an icon and a tone beside its name.
type StateView struct{ Name, Icon, Tone string }

// stateOf knows the states of cycles and the outcomes of checks. Tone is never
// the only difference; the name always stands beside it.
func stateOf(name string) StateView {
	v := StateView{Name: words(name), Icon: "●", Tone: "busy"}
	switch name {
	case "invoiced", "passed", "billed", "ok":
		v.Icon, v.Tone = "✓", "good"
	case "withheld", "not_evaluated", "skipped":
		v.Icon, v.Tone = "–", "calm"
	case "dry_run", "shadow", "free":
		v.Icon, v.Tone = "◇", "calm"
	case "awaiting_approval":
		v.Icon, v.Tone = "?", "busy"
	case "held", "returned":
		v.Icon, v.Tone = "‖", "busy"
	case "failed", "blocked", "expired":
		v.Icon, v.Tone = "✕", "bad"
	case "needs_human":
		v.Icon, v.Tone = "!", "bad"
	}
	return v
}
