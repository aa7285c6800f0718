// Package period holds billing periods: calendar months of a time zone, kept as
// half-open UTC intervals [Start, End), and the settlement that follows the last
// month of a contract year.
package period

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// Month is a calendar month, without a zone: 2026-10; or the settlement of the
// contract year whose last month it is: 2026-12-settlement.
type Month struct {
	year       int
	month      time.Month
	settlement bool
}

const settlementSuffix = "-settlement"

var monthRE = regexp.MustCompile(`^(\d{4})-(0[1-9]|1[0-2])(` + settlementSuffix + `)?$`)

// lastYear is the last one whose months end within four digits, as times are written.
const lastYear = 9998

// Parse reads "2026-10" or "2026-12-settlement".
func Parse(s string) (Month, error) {
	m := monthRE.FindStringSubmatch(s)
	if m == nil {
		return Month{}, fault.InvalidField("period", "period_malformed", "%q is not a month", s).
			Fix("Write it as YYYY-MM, for example 2026-10, or 2026-12" + settlementSuffix + " for the settlement of the year that ends with 2026-12")
	}
	y, errY := strconv.Atoi(m[1])
	mo, errM := strconv.Atoi(m[2])
	if errY != nil || errM != nil || y < 1970 || y > lastYear {
		return Month{}, fault.InvalidField("period", "period_malformed", "%q is not a month", s).Fix("Write it as YYYY-MM, for example 2026-10")
	}
	return Month{year: y, month: time.Month(mo), settlement: m[3] != ""}, nil
}

// ParseMonth reads "2026-10" and refuses a settlement: a contract and a plan begin with a month.
func ParseMonth(s string) (Month, error) {
	m, err := Parse(s)
	if err == nil && m.settlement {
		return Month{}, fault.InvalidField("period", "period_malformed", "%q is a settlement, not a month", s).Fix("Write a month as YYYY-MM, for example 2026-10")
	}
	return m, err
}

// Settlement is the settlement of the contract year that ends with the month.
func (m Month) Settlement() Month { m.settlement = true; return m }

// IsSettlement reports whether the period is the settlement of a contract year.
func (m Month) IsSettlement() bool { return m.settlement }

// Of returns the month that contains t in the zone.
func Of(t time.Time, zone *time.Location) Month {
	l := t.In(zone)
	return Month{year: l.Year(), month: l.Month()}
}

// IsZero reports whether the month is unset.
func (m Month) IsZero() bool { return m.year == 0 }

// String is "2026-10" or "2026-12-settlement": texts sort as the periods are billed.
func (m Month) String() string {
	s := fmt.Sprintf("%04d-%02d", m.year, int(m.month))
	if m.settlement {
		s += settlementSuffix
	}
	return s
}

// Name is "October 2026" or "settlement of the year to December 2026".
func (m Month) Name() string {
	name := fmt.Sprintf("%s %d", m.month, m.year)
	if m.settlement {
		return "settlement of the year to " + name
	}
	return name
}

// Add moves by n months; it gives a month also from a settlement.
func (m Month) Add(n int) Month {
	t := time.Date(m.year, m.month+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	return Month{year: t.Year(), month: t.Month()}
}

// Before reports whether m is billed before o; a settlement comes behind its month.
func (m Month) Before(o Month) bool {
	if m.year != o.year || m.month != o.month {
		return m.year < o.year || (m.year == o.year && m.month < o.month)
	}
	return !m.settlement && o.settlement
}

// Sub is the number of months from o to m.
func (m Month) Sub(o Month) int { return (m.year-o.year)*12 + int(m.month-o.month) }

// In gives the half-open UTC interval of the month in a zone, of a settlement that of
// its month. The bounds are the
// first instants at which the local calendar shows the month and the next one:
// midnight, or where the clocks skip or repeat it, when the day really begins.
func (m Month) In(zone *time.Location) Interval {
	m.settlement = false
	return Interval{Start: m.begin(zone), End: m.Add(1).begin(zone)}
}

func (m Month) begin(zone *time.Location) time.Time {
	t := time.Date(m.year, m.month, 1, 0, 0, 0, 0, zone)
	if Of(t, zone).Before(m) {
		// Midnight is skipped and time.Date answered with the hour before it: the month
		// begins when the clocks jump.
		_, jump := t.ZoneBounds()
		return jump.UTC()
	}
	if back, _ := t.ZoneBounds(); !back.IsZero() {
		// The clocks were put back shortly before: if they had shown this midnight
		// already, that was the first.
		_, before := back.Add(-1).Zone()
		_, after := t.Zone()
		earlier := t.Add(-time.Duration(before-after) * time.Second)
		if before > after && earlier.Before(back) {
			return earlier.UTC()
		}
	}
	return t.UTC()
}

// Interval is a half-open UTC interval [Start, End).
type Interval struct {
	Start time.Time
	End   time.Time
}

// Contains reports whether Start <= t < End.
func (i Interval) Contains(t time.Time) bool { return !t.Before(i.Start) && t.Before(i.End) }

// LoadZone resolves an IANA time zone name.
func LoadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fault.InvalidField("time_zone", "time_zone_unknown", "a time zone is required").Fix(`Use an IANA name such as "Europe/Berlin" or "UTC"`)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fault.InvalidField("time_zone", "time_zone_unknown", "%q is not an IANA time zone", name).Fix(`Use a name such as "Europe/Berlin" or "UTC"`)
	}
	return loc, nil
}
