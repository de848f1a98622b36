package policytest

import (
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.yaml.in/yaml/v3"

	"github.com/grpc-trat/grpc-trat/server/policy"
	"github.com/grpc-trat/grpc-trat/trat"
)

// ParseRequest reads one request, in the form of a table file's request: for Explain.
func ParseRequest(text []byte) (policy.Request, error) {
	if len(text) > policy.MaxFileSize {
		return policy.Request{}, &Problem{File: requestFile, Text: fmt.Sprintf("the file is larger than %d bytes", policy.MaxFileSize)}
	}
	r := reader{}
	var request policy.Request
	if top := r.Document(text); top != nil {
		request = r.tableRequest(top, "")
	}
	if err := r.Err(problemIn(requestFile)); err != nil {
		return policy.Request{}, err
	}
	return request, nil
}

// tableTime is the time of a request that names none.
var tableTime = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func tablePseudonym(text string) string { return "pseudonym:" + text }

// tableRequest reads a request; prefix stands before the names of its fields.
func (r *reader) tableRequest(n *yaml.Node, prefix string) policy.Request {
	request := policy.Request{Now: tableTime, Pseudonym: tablePseudonym}
	for _, m := range r.Mapping(n, prefix) {
		field := prefix + m.Key.Value
		switch m.Key.Value {
		case "requester":
			request.Requester = r.spiffeID(m.Value, field)
		case "subject_token_type":
			request.SubjectTokenType = r.Text(m.Value, field)
		case "subject":
			request.Subject = r.tableSubject(m.Value, field)
		case "scope":
			request.Scope = r.scope(m.Value, field)
		case "context":
			request.Context = r.Object(m.Value, field)
		case "details":
			request.Details = r.Object(m.Value, field)
		case "transaction":
			request.Transaction = r.tableTransaction(m.Value, field)
		case "now":
			request.Now = r.time(m.Value, field)
		default:
			r.Add(m.Key, field, "unknown key")
		}
	}
	return request
}

func (r *reader) tableSubject(n *yaml.Node, field string) policy.Subject {
	var s policy.Subject
	for _, m := range r.Mapping(n, field) {
		switch field := field + "." + m.Key.Value; m.Key.Value {
		case "issuer":
			s.Issuer = r.Text(m.Value, field)
		case "id":
			s.ID = r.Text(m.Value, field)
		case "scopes":
			s.ScopeKnown = true
			for _, e := range r.Sequence(m.Value, field) {
				s.Scopes = append(s.Scopes, r.Text(e, field))
			}
		case "claims":
			s.Claims = r.Object(m.Value, field)
		default:
			r.Add(m.Key, field, "unknown key")
		}
	}
	return s
}

// tableTransaction reads the TraT that is to be replaced.
func (r *reader) tableTransaction(n *yaml.Node, field string) *trat.Claims {
	c := &trat.Claims{IssuedAt: tableTime, Expiry: tableTime.Add(trat.DefaultLifetime)}
	var earlier []string
	for _, m := range r.Mapping(n, field) {
		switch field := field + "." + m.Key.Value; m.Key.Value {
		case "scope":
			c.Scope = r.scope(m.Value, field)
		case "requester":
			c.RequestingWorkload = r.spiffeID(m.Value, field).String()
		case "earlier_requesters":
			for _, e := range r.Sequence(m.Value, field) {
				earlier = append(earlier, r.spiffeID(e, field).String())
			}
		case "start":
			c.TransactionStart = r.time(m.Value, field)
		case "issued_at":
			c.IssuedAt = r.time(m.Value, field)
		case "tctx":
			c.TransactionContext = r.Object(m.Value, field)
		case "rctx":
			c.RequestContext = r.Object(m.Value, field)
		default:
			r.Add(m.Key, field, "unknown key")
		}
	}
	if c.RequestingWorkload == "" {
		r.Add(n, field+".requester", "is missing")
	}
	if len(earlier) > 0 && c.RequestingWorkload != "" {
		chain, err := trat.NewWorkloadChain(append(earlier, c.RequestingWorkload)...)
		if err != nil {
			r.Add(n, field+".earlier_requesters", "%v", err)
		}
		c.RequestingWorkloadChain, c.ReplacementCount = chain, len(earlier)
	}
	return c
}

func (r *reader) spiffeID(n *yaml.Node, field string) spiffeid.ID {
	text := r.Text(n, field)
	if text == "" {
		return spiffeid.ID{}
	}
	id, err := spiffeid.FromString(text)
	if err != nil {
		r.Add(n, field, "want a SPIFFE ID: %v", err)
	}
	return id
}

func (r *reader) scope(n *yaml.Node, field string) trat.Scope {
	text := r.Text(n, field)
	if text == "" {
		return trat.Scope{}
	}
	scope, err := trat.ParseScope(text)
	if err != nil {
		r.Add(n, field, "want scopes as in RFC 6749 section 3.3, with one space between them")
	}
	return scope
}

func (r *reader) time(n *yaml.Node, field string) time.Time {
	t, err := time.Parse(time.RFC3339, n.Value)
	if err != nil {
		r.Add(n, field, "want a time such as 2026-01-01T12:00:00Z")
	}
	return t
}
