package webhookload

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/liftbill/liftbill/domain/reward"
)

// Audit compares what a deployment holds with what the script's events say.
type Audit struct {
	Stored           int `json:"stored"`
	MissingEvents    int `json:"missing_events"`
	DoubleEvents     int `json:"double_events"`
	UnexpectedEvents int `json:"unexpected_events"`

	Processed int `json:"processed"`
	Ignored   int `json:"ignored"`
	Pending   int `json:"pending"`
	SetAside  int `json:"set_aside"`

	ExpectedFacts   int `json:"expected_facts"`
	Facts           int `json:"facts"`
	MissingFacts    int `json:"missing_facts"`
	DoubleFacts     int `json:"double_facts"`
	UnexpectedFacts int `json:"unexpected_facts"`
}

func (a Audit) problems() int {
	return a.MissingEvents + a.DoubleEvents + a.UnexpectedEvents + a.Pending + a.SetAside + a.MissingFacts + a.DoubleFacts + a.UnexpectedFacts
}

// audit waits until all is classified and counts. Events 0 to n-1 of the script must be
// there, each once in the inbox and once in the queue's history, and of every fact that
// they bear one row.
func (s *Stack) audit(ctx context.Context, script *Script, n int) (Audit, error) {
	var a Audit
	conn, err := pgx.Connect(ctx, s.DatabaseURL())
	if err != nil {
		return a, fmt.Errorf("look into the deployment's database: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing was written on it
	if err := awaitClassified(ctx, conn); err != nil {
		return a, err
	}
	events, facts, err := expected(script, n)
	if err != nil {
		return a, err
	}
	a.ExpectedFacts = len(facts)
	stored, err := countBy(ctx, conn, "SELECT event_id, count(*) FROM stripe_events GROUP BY 1")
	if err != nil {
		return a, err
	}
	a.Stored, a.MissingEvents, a.DoubleEvents, a.UnexpectedEvents = compare(events, stored)
	queued, err := countBy(ctx, conn, "SELECT event_id, count(*) FROM event_processing GROUP BY 1")
	if err != nil {
		return a, err
	}
	_, missing, double, unexpected := compare(events, queued)
	a.MissingEvents, a.DoubleEvents, a.UnexpectedEvents = a.MissingEvents+missing, a.DoubleEvents+double, a.UnexpectedEvents+unexpected
	booked, err := countBy(ctx, conn, "SELECT fact_key, count(*) FROM reward_events GROUP BY 1")
	if err != nil {
		return a, err
	}
	a.Facts, a.MissingFacts, a.DoubleFacts, a.UnexpectedFacts = compare(facts, booked)
	states, err := countBy(ctx, conn, "SELECT status, count(*) FROM event_processing GROUP BY 1")
	a.Processed, a.Ignored, a.Pending, a.SetAside = states["processed"], states["ignored"], states["pending"], states["quarantined"]+states["dead"]
	return a, err
}

// expected are the events and the keys of the facts that they bear, from the payloads
// alone.
func expected(script *Script, n int) (events, facts map[string]bool, err error) {
	events, facts = map[string]bool{}, map[string]bool{}
	var body []byte
	for i := range n {
		body = script.Event(body, i)
		c, err := reward.Classify(body, reward.Config{})
		if err != nil {
			return nil, nil, fmt.Errorf("event %d of the script: %w", i, err)
		}
		events[c.Envelope.ID] = true
		for _, f := range c.Facts {
			facts[f.Key] = true
		}
	}
	return events, facts, nil
}

// compare counts what is there, what is missing, what is there more than once, and what
// nobody expected.
func compare(want map[string]bool, have map[string]int) (there, missing, double, unexpected int) {
	for key := range want {
		if have[key] == 0 {
			missing++
		}
	}
	for key, n := range have {
		there++
		if n > 1 {
			double++
		}
		if !want[key] {
			unexpected++
		}
	}
	return there, missing, double, unexpected
}

func countBy(ctx context.Context, conn *pgx.Conn, query string) (map[string]int, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	var key string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error {
		out[key] = n
		return nil
	})
	return out, err
}
