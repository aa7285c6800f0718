package httpapi

import (
	"context"
	"errors"
	"io"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/domain/fault"
)

// UploadDecisions stores the rows of a decision log as they arrive.
func (s *Server) UploadDecisions(ctx context.Context, r UploadDecisionsRequestObject) (UploadDecisionsResponseObject, error) {
	body := &watchedReader{r: r.Body}
	res, err := s.Decisions.Append(ctx, access.From(ctx).Principal, r.Account, s.ParseDecisions(body))
	if err != nil {
		return nil, err
	}
	total := res.Accepted + res.Duplicates + res.Rejected
	switch {
	case body.err != nil:
		return nil, uploadCut(body.err, res)
	case total == 0:
		return nil, fault.New(fault.Invalid, "body_empty", "the upload holds no rows").Fix("Send one JSON object per line")
	case res.Rejected == total:
		return UploadDecisions422ApplicationProblemPlusJSONResponse{
			Type: problemType("rows_rejected"), Title: "No row was accepted", Status: 422, Code: "rows_rejected",
			Detail: "every row was refused; nothing was stored", Remedy: "Mend the rows that are named, then send them again",
			RequestID: requestIDOf(ctx), Rejected: res.Rejected, Rows: convertAll(res.BadRows, toRejected),
		}, nil
	}
	return UploadDecisions200JSONResponse{
		Accepted: res.Accepted, Duplicates: res.Duplicates, Rejected: res.Rejected, Rows: convertAll(res.BadRows, toRejected),
	}, nil
}

// uploadCut says that the body ended early and how much of it is stored. Sending
// all of it again is safe, because stored rows count as duplicates.
func uploadCut(cause error, res decisions.Result) error {
	err := fault.Wrap(cause, fault.Invalid, "upload_cut", "the upload broke off after %d new and %d known rows", res.Accepted, res.Duplicates).
		Fix("Send it again; rows that are stored are not stored twice")
	return err
}

// watchedReader remembers why reading stopped, which rows alone can't tell.
type watchedReader struct {
	r   io.Reader
	err error
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

func toRejected(b decisions.BadRow) RejectedRow {
	return RejectedRow{Row: b.Row, Field: b.Field, Code: b.Code, Message: b.Message}
}
