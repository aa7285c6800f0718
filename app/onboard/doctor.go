package onboard

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Check is one line of a doctor's report.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// doctorTime is how a report writes an instant, in UTC.
const doctorTime = "2006-01-02 15:04"

// Diagnose says whether a connection runs, what its key lacks, and whether Stripe delivers to
// it. With ask Stripe is asked what the key may do, and the answer is kept; otherwise what it
// said last time counts. An error is one of the ledger: what is wrong at Stripe is a check.
func (s *Service) Diagnose(ctx context.Context, by access.Principal, id string, ask bool) ([]Check, error) {
	var conn account.Connection
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		c, err := st.Connections.Connection(ctx, id)
		conn = c.Connection
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []Check
	if conn.Paused {
		out = append(out, Check{"connection " + id, false, fmt.Sprintf("paused since %s by %s: %s", conn.PausedAt.UTC().Format(doctorTime), conn.PausedBy, conn.PausedReason)})
	}
	key, err := s.diagnoseKey(ctx, by, conn, ask && !conn.Paused)
	if err != nil {
		return nil, err
	}
	w, err := s.Webhook(ctx, id)
	if err != nil {
		return nil, err
	}
	return append(out, key, diagnoseWebhook(id, w)), nil
}

func (s *Service) diagnoseKey(ctx context.Context, by access.Principal, c account.Connection, ask bool) (Check, error) {
	name := "key " + c.ID
	var r KeyReport
	var err error
	if ask {
		r, err = s.CheckKey(ctx, by, c.ID)
	} else {
		r, err = s.KeyReport(ctx, c.ID)
	}
	var told *fault.Error
	switch {
	case fault.CodeOf(err) == "key_not_checked":
		return Check{name, true, c.KeyMask + ", not checked yet: liftbill doctor --keys asks Stripe what it may do"}, nil
	case ask && errors.As(err, &told):
		return Check{name, false, err.Error()}, nil
	case err != nil:
		return Check{}, err
	}
	var missing, notes []string
	for _, f := range r.Findings {
		switch f.Severity {
		case account.Missing:
			missing = append(missing, f.Permission)
		case account.Broad, account.Limited:
			notes = append(notes, string(f.Severity)+": "+f.Permission)
		case account.Unchecked, account.Fine:
		}
	}
	detail := fmt.Sprintf("%s, checked %s", r.KeyMask, r.CheckedAt.UTC().Format(doctorTime))
	if len(notes) > 0 {
		detail += "; " + strings.Join(notes, ", ")
	}
	if r.Replaced {
		detail += "; the key was replaced since"
	}
	if len(missing) > 0 {
		detail += "; missing " + strings.Join(missing, ", ")
	}
	return Check{name, len(missing) == 0, detail}, nil
}

func diagnoseWebhook(id string, w Webhook) Check {
	name, e := "webhook "+id, w.Endpoint
	if e.ID == "" {
		return Check{name, true, "none; events come by pull, or register one: POST /v1/connections/" + id + "/webhook-endpoint"}
	}
	detail := fmt.Sprintf("%s, %s", e.SetUp, e.Status)
	for _, g := range w.Gaps {
		if g.Certain {
			detail += "; does not deliver " + strings.Join(g.Events, " or ")
		}
	}
	return Check{name, e.Status == StatusEnabled || e.Status == StatusUnknown, detail}
}
