package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// diagnoseConnections says of each connection whether it runs, what its key lacks, and
// whether Stripe delivers to it. With keys Stripe is asked, otherwise what it said last
// time is shown.
func (a *app) diagnoseConnections(ctx context.Context, conns []account.Connection, keys bool) []check {
	var out []check
	service := a.onboard()
	for _, c := range conns {
		if c.Paused {
			out = append(out, check{"connection " + c.ID, false, fmt.Sprintf("paused since %s by %s: %s", c.PausedAt.Format("2006-01-02 15:04"), c.PausedBy, c.PausedReason)})
		}
		out = append(out, diagnoseKey(ctx, service, c, keys)...)
		if w, err := service.Webhook(ctx, c.ID); err != nil {
			out = append(out, check{"webhook " + c.ID, false, err.Error()})
		} else {
			out = append(out, diagnoseWebhook(c, w))
		}
	}
	return out
}

func diagnoseKey(ctx context.Context, service *onboard.Service, c account.Connection, ask bool) []check {
	name := "key " + c.ID
	var r onboard.KeyReport
	var err error
	if ask && !c.Paused {
		r, err = service.CheckKey(ctx, operator(), c.ID)
	} else {
		r, err = service.KeyReport(ctx, c.ID)
	}
	if fault.CodeOf(err) == "key_not_checked" {
		return []check{{name, true, c.KeyMask + ", not checked yet: liftbill doctor --keys asks Stripe what it may do"}}
	}
	if err != nil {
		return []check{{name, false, err.Error()}}
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
	detail := fmt.Sprintf("%s, checked %s", r.KeyMask, r.CheckedAt.Format("2006-01-02 15:04"))
	if len(notes) > 0 {
		detail += "; " + strings.Join(notes, ", ")
	}
	if r.KeyMask != c.KeyMask {
		detail += "; the key was replaced since"
	}
	if len(missing) > 0 {
		return []check{{name, false, detail + "; missing " + strings.Join(missing, ", ")}}
	}
	return []check{{name, true, detail}}
}

func diagnoseWebhook(c account.Connection, w onboard.Webhook) check {
	name, e := "webhook "+c.ID, w.Endpoint
	if e.ID == "" {
		return check{name, true, "none; events come by pull, or register one: POST /v1/connections/" + c.ID + "/webhook-endpoint"}
	}
	detail := fmt.Sprintf("%s, %s", e.SetUp, e.Status)
	for _, g := range w.Gaps {
		if g.Certain {
			detail += "; does not deliver " + strings.Join(g.Events, " or ")
		}
	}
	return check{name, e.Status == onboard.StatusEnabled || e.Status == onboard.StatusUnknown, detail}
}
