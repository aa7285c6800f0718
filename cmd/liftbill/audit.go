package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	trail "github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

func newAudit() *cobra.Command {
	group := &cobra.Command{Use: "audit", Short: "The log of who did what"}
	group.AddCommand(auditVerify(), auditExport())
	return group
}

// headDocument is the end of one chain.
type headDocument struct {
	Chain  string `json:"chain"`
	Rows   int64  `json:"rows"`
	Head   string `json:"head"`
	OK     bool   `json:"ok"`
	Broken string `json:"broken,omitempty"`
}

func auditVerify() *cobra.Command {
	var anchors []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "verify", Short: "Recompute every chain of the audit log from its first row", Args: cobra.NoArgs,
		Long: "Recomputes every row's hash and exits with 1 when a row was changed, removed or put in between.\n" +
			"Keep what it prints outside of the database: given back as --anchor CHAIN:ROWS:HEAD it also shows that\n" +
			"nobody cut the end off or wrote the whole chain anew.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			known, err := parseAnchors(anchors)
			if err != nil {
				return err
			}
			return withApp(cmd, func(ctx context.Context, a *app) error {
				var out []headDocument
				var broken []error
				for _, chain := range audit.Chains() {
					head, err := a.audit().Verify(ctx, chain, known[chain])
					d := headDocument{Chain: string(chain), Rows: head.Rows, Head: hex.EncodeToString(head.Hash), OK: err == nil}
					if err != nil {
						if !fault.Is(err, fault.Conflict) {
							return err
						}
						d.Broken = err.Error()
						broken = append(broken, err)
					}
					out = append(out, d)
				}
				if err := printHeads(cmd, out, asJSON); err != nil {
					return err
				}
				return errors.Join(broken...)
			})
		},
	}
	cmd.Flags().StringArrayVar(&anchors, "anchor", nil, "a head that was kept elsewhere, CHAIN:ROWS:HEAD; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func printHeads(cmd *cobra.Command, heads []headDocument, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), heads)
	}
	for _, h := range heads {
		word := "ok"
		if !h.OK {
			word = "BROKEN"
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-6s %s:%d:%s\n", word, h.Chain, h.Rows, h.Head); err != nil {
			return err
		}
	}
	return nil
}

func parseAnchors(texts []string) (map[audit.Chain]trail.Head, error) {
	out := map[audit.Chain]trail.Head{}
	for _, text := range texts {
		parts := strings.Split(text, ":")
		bad := fault.InvalidField("--anchor", "anchor_malformed", "%q is no head of a chain", text).Fix("Write CHAIN:ROWS:HEAD as audit verify printed it")
		if len(parts) != 3 {
			return nil, bad
		}
		rows, err := strconv.ParseInt(parts[1], 10, 64)
		hash, hexErr := hex.DecodeString(parts[2])
		chain := audit.Chain(parts[0])
		if err != nil || hexErr != nil || rows < 0 || (chain != audit.LiveChain && chain != audit.TestChain && chain != audit.InstallationChain) {
			return nil, bad
		}
		if rows > 0 { // an empty chain says nothing about later rows
			out[chain] = trail.Head{Chain: chain, Rows: rows, Hash: hash}
		}
	}
	return out, nil
}

// exportedRow is a row as its hash was computed, with the hash.
type exportedRow struct {
	Row  json.RawMessage `json:"row"`
	Hash string          `json:"hash"`
}

func auditExport() *cobra.Command {
	var chain string
	cmd := &cobra.Command{
		Use: "export --chain C", Short: "Print a chain as JSON lines: each row as it was hashed, and its hash", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			anchors, err := parseAnchors([]string{chain + ":0:"})
			if err != nil || len(anchors) > 0 {
				return fault.InvalidField("--chain", "chain_unknown", "%q is not a chain", chain).Fix("Use live, test or installation")
			}
			return withApp(cmd, func(ctx context.Context, a *app) error {
				by := operator()
				entry := audit.New(by, a.clock.Now(), audit.Exported, "audit_log", chain)
				if err := a.append(ctx, entry); err != nil {
					return err
				}
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetEscapeHTML(false)
				const batch = 5000
				for seq := int64(0); ; {
					rows, err := a.db.AuditReader().After(ctx, audit.Chain(chain), seq, batch)
					if err != nil || len(rows) == 0 {
						return err
					}
					for _, r := range rows {
						if err := enc.Encode(exportedRow{r.Canonical(), hex.EncodeToString(r.Hash)}); err != nil {
							return err
						}
						seq = r.Seq
					}
				}
			})
		},
	}
	cmd.Flags().StringVar(&chain, "chain", "live", "live, test or installation")
	return cmd
}

// append writes an entry about something that leaves no other row.
func (a *app) append(ctx context.Context, e audit.Entry) error {
	return a.db.AuditLog().Do(ctx, func(ctx context.Context, log trail.Log) error { return log.Append(ctx, e) })
}

// did is an entry about what an operator does on this command line.
func (a *app) did(action audit.Action, object, id string) audit.Entry {
	return audit.New(operator(), a.clock.Now(), action, object, id)
}
