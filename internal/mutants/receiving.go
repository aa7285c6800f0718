package mutants

// receiving are the mutants of the endpoint and of the inbox.
var receiving = []Mutant{
	{
		Bug: 3, Name: "a signature of last year will do", File: "adapters/stripeapi/webhook.go",
		Old: "case age > tolerance:", New: "case age > 10_000*3600:",
		Test: "adapters/stripeapi:TestVerify",
	},
	{
		Bug: 14, Name: "the inbox expects every event to be new", File: "adapters/postgres/inbox.go",
		Old: "		ON CONFLICT (connection_id, event_id, created) DO NOTHING\n", New: "",
		Test: "adapters/httpapi:TestBug14TheSameEventTwiceAtOnce",
	},
	{
		Bug: 14, Name: "a fact is booked again when its key is there", File: "adapters/postgres/queue_facts.go",
		Old: "ON CONFLICT DO NOTHING RETURNING connection_id, fact_key", New: "ON CONFLICT (connection_id, fact_key) DO UPDATE SET fact_key = excluded.fact_key RETURNING connection_id, fact_key",
		Test: "adapters/postgres:TestEveryOrderOfALifeIsBookedTheSame",
	},
	{
		Bug: 16, Name: "only events of the pinned version are taken", File: "app/ingest/receive.go",
		Old: "	case env.Thin:\n", New: "	case env.Thin, env.APIVersion != \"2023-10-16\":\n",
		Test: "adapters/httpapi:TestBug16EventsOfAnyVersionAreTaken",
	},
	{
		Bug: 23, Name: "the mode of an event is not compared", File: "app/ingest/receive.go",
		Old: "case account.EnvironmentOf(env.Livemode) != endpoint.Environment, env.ObjectLivemode != nil && *env.ObjectLivemode != env.Livemode:", New: "case account.EnvironmentOf(env.Livemode) == \"\":",
		Test: "adapters/httpapi:TestBug23TheOtherModeIsQuarantined",
	},
	{
		Bug: 23, Name: "the mode of the object is not compared", File: "app/ingest/receive.go",
		Old: ", env.ObjectLivemode != nil && *env.ObjectLivemode != env.Livemode:", New: ":",
		Test: "adapters/httpapi:TestBug23TheOtherModeIsQuarantined",
	},
	{
		Bug: 24, Name: "an endpoint may have an empty secret", File: "app/ingest/receive.go",
		Old:  "if !slices.ContainsFunc(endpoint.Secrets, func(secret string) bool { return strings.TrimSpace(secret) != \"\" }) {",
		New:  "if len(endpoint.Secrets) == 0 || !slices.ContainsFunc(endpoint.Secrets, func(secret string) bool { return strings.TrimSpace(secret) == secret }) {",
		Test: "adapters/httpapi:TestBug24AnEmptySecretVerifiesNothing",
	},
	{
		Bug: 24, Name: "an empty secret verifies", File: "adapters/stripeapi/webhook.go",
		Old: "		if strings.TrimSpace(s) != \"\" {\n			keys = append(keys, s)\n		}\n", New: "		keys = append(keys, s)\n",
		Test: "adapters/stripeapi:TestVerify",
	},
	{
		Bug: 25, Name: "the body is trimmed before it is verified", File: "adapters/httpapi/webhook.go",
		Old: "Body: body.bytes,", New: "Body: []byte(strings.TrimSpace(string(body.bytes))),",
		Test: "adapters/httpapi:TestBug25TheSignatureIsOverTheBytesAsSent",
	},
	{
		Bug: 26, Name: "a body may have 64 MiB", File: "app/ingest/receive.go",
		Old: "const MaxBody = 1 << 20", New: "const MaxBody = 1 << 26",
		Test: "adapters/httpapi:TestBug26ALargeBodyIsNotRead",
	},
	{
		Bug: 26, Name: "an announced body has no bound", File: "adapters/httpapi/deliveries.go",
		Old: "if r.ContentLength > ingest.MaxBody {", New: "if r.ContentLength > 64*ingest.MaxBody {",
		Test: "adapters/httpapi:TestWebhookLimits",
	},
	{
		Bug: 27, Name: "an error is answered 200", File: "adapters/httpapi/webhook.go",
		Old: "	default:\n		return http.StatusServiceUnavailable\n", New: "	default:\n		return http.StatusOK\n",
		Test: "adapters/httpapi:TestBug27WhatIsNotStoredIsNotAnswered200",
	},
	{
		Bug: 27, Name: "a delivery is answered before its commit", File: "adapters/postgres/groupcommit.go",
		Old: "	case <-a.done:\n		return a.isNew, a.err\n	case <-ctx.Done():\n		return false, ctx.Err()\n	}\n", New: "	default:\n		return true, nil\n	}\n",
		Test: "adapters/httpapi:TestBug27WhatIsNotStoredIsNotAnswered200",
	},
}
