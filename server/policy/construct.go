package policy

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/grpc-trat/grpc-trat/server/policy/internal/expr"
	"github.com/grpc-trat/grpc-trat/trat"
)

// construction says how one member of tctx or rctx comes about: from exactly one of a
// path, an expression and a constant. It is immutable.
type construction struct {
	claim     string // tctx or rctx
	name      string
	from      *path
	compute   *expr.Program
	value     any // nil: none
	optional  bool
	pseudonym bool
	shape     shape // what it makes, but for the pseudonym
}

// parameter is the request parameter that the value is copied from, empty for none.
func (c *construction) parameter() string {
	if c.from == nil {
		return ""
	}
	return parameter(c.from.source)
}

// path is where a value is copied from: a member of an object, or what is nested in it.
type path struct {
	source expr.Source
	name   string
	nested []string
}

// parameter is the request parameter that the source is; empty for claims.
func parameter(s expr.Source) string {
	switch s {
	case expr.Details:
		return "request_details"
	case expr.Context:
		return "request_context"
	case expr.Claims:
	}
	return ""
}

// checkTypes holds details and context to their declared types. It names every member
// that is wrong.
func (d *decision) checkTypes() error {
	var wrong []error
	for _, mismatch := range slices.Concat(d.details.Check(), d.context.Check()) {
		wrong = append(wrong, trat.Errorf(trat.ReasonParameterInvalid, parameter(mismatch.Source)+"."+mismatch.Name, "%w", mismatch.Err))
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(wrong...)
}

// test evaluates the rule's condition. What cannot be evaluated is not met.
func (r *rule) test(d *decision) error {
	if r.when == nil {
		return nil
	}
	ok, err := r.when.Test(d.inputs())
	if err != nil {
		return r.refusal("when", err)
	}
	if !ok {
		return trat.Errorf(trat.ReasonIssuanceDenied, "", "rule %q: when is false", r.name)
	}
	return nil
}

// construct makes tctx and rctx. It names everything that is missing, for both.
func (r *rule) construct(d *decision) (tctx, rctx trat.Object, err error) {
	var before trat.Claims
	if d.request.Transaction != nil {
		before = *d.request.Transaction
	}
	tctx, tctxErr := r.object(d, r.tctx, before.TransactionContext)
	rctx, rctxErr := r.object(d, r.rctx, before.RequestContext)
	if err := errors.Join(tctxErr, rctxErr); err != nil {
		return trat.Object{}, trat.Object{}, err
	}
	return tctx, rctx, nil
}

// object makes an object that holds all of before and what the constructions make.
func (r *rule) object(d *decision, constructions []construction, before trat.Object) (trat.Object, error) {
	members := make(map[string]any, len(constructions))
	var failed []error
	for i := range constructions {
		c := &constructions[i]
		value, err := c.build(d)
		switch {
		case err == nil:
			members[c.name] = value
		case c.optional && c.isAbsent(err):
		case c.optional:
			d.dropped = append(d.dropped, c.claim+"."+c.name)
		default:
			failed = append(failed, r.refusal(c.claim+"."+c.name, err))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return trat.Object{}, err
	}
	return r.merge(before, constructions, members)
}

// isAbsent says whether err says no more than that there was nothing to copy.
func (c *construction) isAbsent(err error) bool {
	_, absent := errors.AsType[*expr.AbsentError](err)
	return absent && c.from != nil
}

// refusal is what the caller is told of an error in building the member, or judging the
// key, that is named what.
func (r *rule) refusal(what string, err error) error {
	if absent, ok := errors.AsType[*expr.AbsentError](err); ok && absent.Source != expr.Claims {
		return trat.Errorf(trat.ReasonParameterMissing, parameter(absent.Source)+"."+absent.Name, "rule %q requires it", r.name)
	}
	if reason, ok := trat.ReasonOf(err); ok {
		return trat.Errorf(reason, "", "rule %q: %s: %w", r.name, what, err)
	}
	return trat.Errorf(trat.ReasonIssuanceDenied, "", "rule %q: %s: %w", r.name, what, err)
}

// build returns the value, ready for encoding/json.
func (c *construction) build(d *decision) (any, error) {
	var (
		value any
		err   error
	)
	switch {
	case c.from != nil:
		value, err = d.copy(c.from)
	case c.compute != nil:
		value, err = c.compute.Value(d.inputs())
	default:
		value = c.value
	}
	if err != nil || !c.pseudonym {
		return value, err
	}
	return d.pseudonym(value)
}

// copy returns the JSON text at a path as it is, so that numbers keep every digit.
func (d *decision) copy(from *path) (json.RawMessage, error) {
	record := d.details
	switch from.source {
	case expr.Claims:
		record = d.claims
	case expr.Context:
		record = d.context
	case expr.Details:
	}
	raw, err := record.Raw(from.name, from.nested...)
	return json.RawMessage(raw), err
}

func (d *decision) pseudonym(value any) (any, error) {
	if d.request.Pseudonym == nil {
		return nil, trat.Errorf(trat.ReasonInternal, "", "no pseudonyms can be made here")
	}
	if raw, ok := value.(json.RawMessage); ok {
		var decoded any
		if json.Unmarshal(raw, &decoded) != nil {
			return nil, errNoText
		}
		value = decoded
	}
	text, ok := value.(string)
	if !ok {
		return nil, errNoText
	}
	return d.request.Pseudonym(text), nil
}

var errNoText = errors.New("only text has a pseudonym")

// inputs are the variables of expressions.
func (d *decision) inputs() *expr.Input {
	if d.input != nil {
		return d.input
	}
	r := d.request
	d.input = &expr.Input{
		Now:       r.Now,
		Requester: r.Requester.String(),
		Scope:     slices.Collect(d.granted.Tokens()),
		Subject:   expr.Subject{ID: r.Subject.ID, Issuer: r.Subject.Issuer, TokenType: r.SubjectTokenType},
		Claims:    d.claims,
		Details:   d.details,
		Context:   d.context,
	}
	if r.Subject.ScopeKnown {
		d.input.Subject.Scopes = r.Subject.Scopes
	}
	if t := r.Transaction; t != nil {
		d.input.Transaction = &expr.Transaction{
			Scopes:             slices.Collect(t.Scope.Tokens()),
			Requester:          t.RequestingWorkload,
			Chain:              slices.Collect(t.Requesters().Workloads()),
			Replacements:       t.ReplacementCount,
			Start:              t.FirstIssuedAt(),
			TransactionContext: t.TransactionContext,
			RequestContext:     t.RequestContext,
		}
	}
	return d.input
}
