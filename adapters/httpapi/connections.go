package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/onboard"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
)

// Connecting looks after connections that exist; *onboard.Service is it.
type Connecting interface {
	Webhook(ctx context.Context, connectionID string) (onboard.Webhook, error)
	SetWebhookSecret(ctx context.Context, by domain.Principal, connectionID, secret string) (onboard.Endpoint, error)
	RotateWebhookSecret(ctx context.Context, by domain.Principal, connectionID string) (onboard.Endpoint, error)
	CheckWebhook(ctx context.Context, by domain.Principal, connectionID string) (onboard.Endpoint, error)
	Pause(ctx context.Context, by domain.Principal, id, reason string) (account.Connection, error)
	Resume(ctx context.Context, by domain.Principal, id string) (account.Connection, error)
	SwitchWriting(ctx context.Context, by domain.Principal, id string, on bool, reason string) (account.Connection, error)
	ReplaceKey(ctx context.Context, by domain.Principal, id, secretKey string) (account.Connection, error)
	Disconnect(ctx context.Context, by domain.Principal, id string) (account.Connection, error)
	CheckKey(ctx context.Context, by domain.Principal, id string) (onboard.KeyReport, error)
	KeyReport(ctx context.Context, id string) (onboard.KeyReport, error)
	Log(ctx context.Context, id string) ([]onboard.LogEntry, error)
}

func toEndpoint(e onboard.Endpoint) WebhookEndpoint {
	out := WebhookEndpoint{
		ID: e.ID, ConnectionID: e.ConnectionID, Environment: Environment(e.Environment), URL: e.URL, StripeID: e.StripeID,
		SetUp: string(e.SetUp), Status: string(e.Status), APIVersion: e.APIVersion, EnabledEvents: e.Events, CreatedAt: e.CreatedAt,
		CheckedAt: orZero(e.CheckedAt),
	}
	if len(e.SealedPrevious) > 0 {
		out.PreviousSecretUntil = orZero(e.PreviousUntil)
	}
	return out
}

// GetWebhookEndpoint shows an endpoint and its gaps.
func (s *Server) GetWebhookEndpoint(ctx context.Context, r GetWebhookEndpointRequestObject) (GetWebhookEndpointResponseObject, error) {
	w, err := s.Connecting.Webhook(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	out := WebhookView{URL: w.URL, Received: w.Received, Gaps: convertAll(w.Gaps, func(g onboard.Gap) WebhookGap {
		return WebhookGap{Events: g.Events, Certain: g.Certain, Means: g.Means}
	})}
	if w.Endpoint.ID != "" {
		out.Endpoint = toEndpoint(w.Endpoint)
	}
	return GetWebhookEndpoint200JSONResponse(out), nil
}

// SetWebhookSecret takes the secret of an endpoint that was set up by hand.
func (s *Server) SetWebhookSecret(ctx context.Context, r SetWebhookSecretRequestObject) (SetWebhookSecretResponseObject, error) {
	e, err := s.Connecting.SetWebhookSecret(ctx, access.From(ctx).Principal, r.ID, r.Body.Secret)
	if err != nil {
		return nil, err
	}
	return SetWebhookSecret200JSONResponse(toEndpoint(e)), nil
}

// RotateWebhookSecret replaces a secret.
func (s *Server) RotateWebhookSecret(ctx context.Context, r RotateWebhookSecretRequestObject) (RotateWebhookSecretResponseObject, error) {
	e, err := s.Connecting.RotateWebhookSecret(ctx, access.From(ctx).Principal, r.ID)
	if err != nil {
		return nil, err
	}
	return RotateWebhookSecret200JSONResponse(toEndpoint(e)), nil
}

// CheckWebhookEndpoint asks Stripe how an endpoint is.
func (s *Server) CheckWebhookEndpoint(ctx context.Context, r CheckWebhookEndpointRequestObject) (CheckWebhookEndpointResponseObject, error) {
	e, err := s.Connecting.CheckWebhook(ctx, access.From(ctx).Principal, r.ID)
	if err != nil {
		return nil, err
	}
	return CheckWebhookEndpoint200JSONResponse(toEndpoint(e)), nil
}

// PauseConnection pauses a connection.
func (s *Server) PauseConnection(ctx context.Context, r PauseConnectionRequestObject) (PauseConnectionResponseObject, error) {
	c, err := s.Connecting.Pause(ctx, access.From(ctx).Principal, r.ID, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return PauseConnection200JSONResponse(toConnection(c)), nil
}

// ResumeConnection lets a connection run again.
func (s *Server) ResumeConnection(ctx context.Context, r ResumeConnectionRequestObject) (ResumeConnectionResponseObject, error) {
	c, err := s.Connecting.Resume(ctx, access.From(ctx).Principal, r.ID)
	if err != nil {
		return nil, err
	}
	return ResumeConnection200JSONResponse(toConnection(c)), nil
}

// ReplaceKey gives a connection another key.
func (s *Server) ReplaceKey(ctx context.Context, r ReplaceKeyRequestObject) (ReplaceKeyResponseObject, error) {
	c, err := s.Connecting.ReplaceKey(ctx, access.From(ctx).Principal, r.ID, r.Body.SecretKey)
	if err != nil {
		return nil, err
	}
	return ReplaceKey200JSONResponse(toConnection(c)), nil
}

// Disconnect deletes a connection's key.
func (s *Server) Disconnect(ctx context.Context, r DisconnectRequestObject) (DisconnectResponseObject, error) {
	c, err := s.Connecting.Disconnect(ctx, access.From(ctx).Principal, r.ID)
	if err != nil {
		return nil, err
	}
	return Disconnect200JSONResponse(toConnection(c)), nil
}

func toKeyReport(r onboard.KeyReport) KeyReport {
	return KeyReport{
		ConnectionID: r.ConnectionID, Environment: Environment(r.Environment), KeyMask: r.KeyMask, Ok: r.OK(), CheckedBy: r.CheckedBy, CheckedAt: r.CheckedAt,
		Findings: convertAll(r.Findings, func(f account.Finding) KeyFinding {
			return KeyFinding{Severity: string(f.Severity), Permission: f.Permission, Slug: f.Slug, Message: f.Message, Do: f.Do}
		}),
	}
}

// CheckKey asks Stripe what a key may do.
func (s *Server) CheckKey(ctx context.Context, r CheckKeyRequestObject) (CheckKeyResponseObject, error) {
	rep, err := s.Connecting.CheckKey(ctx, access.From(ctx).Principal, r.ID)
	if err != nil {
		return nil, err
	}
	return CheckKey200JSONResponse(toKeyReport(rep)), nil
}

// GetKeyReport shows the last report.
func (s *Server) GetKeyReport(ctx context.Context, r GetKeyReportRequestObject) (GetKeyReportResponseObject, error) {
	rep, err := s.Connecting.KeyReport(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return GetKeyReport200JSONResponse(toKeyReport(rep)), nil
}

// GetConnectionLog lists what was done to a connection.
func (s *Server) GetConnectionLog(ctx context.Context, r GetConnectionLogRequestObject) (GetConnectionLogResponseObject, error) {
	log, err := s.Connecting.Log(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return GetConnectionLog200JSONResponse{Items: convertAll(log, func(e onboard.LogEntry) ConnectionLogEntry {
		return ConnectionLogEntry{Action: e.Action, Detail: e.Detail, Who: e.Who, At: e.At}
	})}, nil
}
