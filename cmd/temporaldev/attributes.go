package main

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// startPatience bounds how long the server may take until it answers.
const startPatience = 60 * time.Second

// ensureAttributes waits until every namespace answers and each search
// attribute can be used in it. A new database already has them; one from an
// earlier run with another list gets what is missing.
func ensureAttributes(ctx context.Context, opts options) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	conn, err := grpc.NewClient(hostPort(opts.ip, opts.port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	defer func() { _ = conn.Close() }()
	added := false
	for _, ns := range opts.namespaces {
		missing, err := missingAttributes(ctx, conn, ns, opts.attributes)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			added = true
			req := &operatorservice.AddSearchAttributesRequest{Namespace: ns, SearchAttributes: missing}
			if _, err := operatorservice.NewOperatorServiceClient(conn).AddSearchAttributes(ctx, req); err != nil {
				return fmt.Errorf("add search attributes to namespace %s: %w", ns, err)
			}
		}
		if err := usable(ctx, conn, ns, opts.attributes); err != nil {
			return err
		}
	}
	if added {
		// The frontend knows them now; the other services read the namespaces at
		// the same interval, each with its own clock.
		return pause(ctx, 2*registryRefresh)
	}
	return nil
}

// missingAttributes compares the wanted attributes with the namespace's. An
// attribute of another type can't be changed, so it is an error.
func missingAttributes(ctx context.Context, conn grpc.ClientConnInterface, ns string, want map[string]enumspb.IndexedValueType) (map[string]enumspb.IndexedValueType, error) {
	var have map[string]enumspb.IndexedValueType
	err := retry(ctx, "namespace "+ns+" answers", func() error {
		resp, err := operatorservice.NewOperatorServiceClient(conn).ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: ns})
		have = resp.GetCustomAttributes()
		return err
	})
	if err != nil {
		return nil, err
	}
	missing := map[string]enumspb.IndexedValueType{}
	for name, kind := range want {
		switch got, ok := have[name]; {
		case !ok:
			missing[name] = kind
		case got != kind:
			return nil, fmt.Errorf("search attribute %s of namespace %s is %s in the database, not %s: use another --db-filename", name, ns, got, kind)
		}
	}
	return missing, nil
}

// usable asks the visibility store by each attribute: the frontend refuses a
// name that it does not know yet.
func usable(ctx context.Context, conn grpc.ClientConnInterface, ns string, want map[string]enumspb.IndexedValueType) error {
	client := workflowservice.NewWorkflowServiceClient(conn)
	for name := range want {
		err := retry(ctx, "search attribute "+name+" is usable", func() error {
			_, err := client.CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
				Namespace: ns, Query: "`" + name + "` IS NOT NULL",
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// retry repeats f until it succeeds or ctx is done.
func retry(ctx context.Context, what string, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		if pause(ctx, 25*time.Millisecond) != nil {
			return fmt.Errorf("waited until %s: %w", what, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
