package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/apiclient"
	"github.com/liftbill/liftbill/domain/fault"
)

func newDecisions() *cobra.Command {
	group := &cobra.Command{Use: "decisions", Short: "The decision log, through the API of a running deployment"}
	group.AddCommand(decisionsUpload())
	return group
}

// uploaded is the API's answer, also when it refused every row.
type uploaded struct {
	Accepted   int                     `json:"accepted"`
	Duplicates int                     `json:"duplicates"`
	Rejected   int                     `json:"rejected"`
	Rows       []apiclient.RejectedRow `json:"rows"`
}

func decisionsUpload() *cobra.Command {
	var api, accountID string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "upload FILE|-", Short: "Upload decisions, one JSON object per line; a name that ends with .gz is unpacked",
		Long: "Good rows are stored, bad ones are named by row and field, and uploading again stores nothing twice.\n" +
			"The token is read from LIFTBILL_TOKEN; it needs the role ingest.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := apiclient.New(apiclient.Options{BaseURL: api, Token: os.Getenv("LIFTBILL_TOKEN")})
			if err != nil {
				return err
			}
			in, err := openLog(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			defer in.Close() //nolint:errcheck // it was read
			up, err := upload(cmd.Context(), c, accountID, in)
			if err != nil {
				return err
			}
			return up.report(cmd.OutOrStdout(), asJSON)
		},
	}
	address := os.Getenv("LIFTBILL_API_URL")
	if address == "" {
		address = "http://127.0.0.1:8080"
	}
	cmd.Flags().StringVar(&api, "api", address, "address of the API (LIFTBILL_API_URL)")
	cmd.Flags().StringVar(&accountID, "account", "", "the account's ID")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	if err := cmd.MarkFlagRequired("account"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// openLog opens a file or standard input, unpacked.
func openLog(name string, stdin io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(stdin), nil
	}
	f, err := os.Open(name) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "file_unreadable", "%s cannot be read", name)
	}
	if !strings.HasSuffix(name, ".gz") {
		return f, nil
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "file_unreadable", "%s is not a gzip file", name)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

func upload(ctx context.Context, c *apiclient.ClientWithResponses, accountID string, rows io.Reader) (uploaded, error) {
	res, err := c.UploadDecisionsWithBodyWithResponse(ctx, accountID, &apiclient.UploadDecisionsParams{}, "application/x-ndjson", rows)
	switch {
	case err != nil:
		return uploaded{}, fault.Wrap(err, fault.Unavailable, "api_unreachable", "the API does not answer").Fix("Check --api; uploading again stores nothing twice")
	case res.JSON200 != nil:
		return uploaded(*res.JSON200), nil
	case res.StatusCode() == http.StatusUnprocessableEntity && res.ApplicationProblemJSON422 != nil:
		return uploaded{Rejected: res.ApplicationProblemJSON422.Rejected, Rows: res.ApplicationProblemJSON422.Rows}, nil
	default:
		return uploaded{}, apiclient.Refused(res.StatusCode(), res.Body)
	}
}

func (u uploaded) report(w io.Writer, asJSON bool) error {
	var err error
	if asJSON {
		err = printJSON(w, u)
	} else {
		_, err = fmt.Fprintf(w, "%d accepted, %d were there before, %d rejected\n", u.Accepted, u.Duplicates, u.Rejected)
		for _, r := range u.Rows {
			if err == nil {
				_, err = fmt.Fprintf(w, "row %d: %s: %s (%s)\n", r.Row, r.Field, r.Message, r.Code)
			}
		}
	}
	if err == nil && u.Rejected > 0 {
		err = exitError{exitFailed, fmt.Errorf("%d rows were rejected", u.Rejected)}
	}
	return err
}
