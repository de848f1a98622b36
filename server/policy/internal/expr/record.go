package expr

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types/ref"

	"github.com/grpc-trat/grpc-trat/trat"
)

// Source is where a value comes from: the variable that holds it.
type Source string

// The sources of members.
const (
	Claims  Source = "claims"
	Details Source = "details"
	Context Source = "context"
)

// AbsentError says that a member which was used is not there.
type AbsentError struct {
	Source Source
	Name   string
}

// Error names the member.
func (e *AbsentError) Error() string { return fmt.Sprintf("%s.%s is absent", e.Source, e.Name) }

// TypeError says that a member has not the type that is declared.
type TypeError struct {
	Source Source
	Name   string
	Err    error
}

// Error names the member and the declared type.
func (e *TypeError) Error() string { return fmt.Sprintf("%s.%s: %v", e.Source, e.Name, e.Err) }

// Unwrap returns the cause.
func (e *TypeError) Unwrap() error { return e.Err }

// Record is the declared members of one object: all that expressions see of it. It is for
// one goroutine.
type Record struct {
	source   Source
	declared map[string]Type
	object   trat.Object
	read     bool
	raw      map[string]string  // of declared members that are there and not null
	values   map[string]ref.Val // of those that were asked for
}

// NewRecord makes the record of an object. The object is read when it is first asked for.
func NewRecord(source Source, declared map[string]Type, o trat.Object) *Record {
	return &Record{source: source, declared: declared, object: o}
}

// members returns the JSON texts of the declared members.
func (r *Record) members() map[string]string {
	if r.read || len(r.declared) == 0 {
		return r.raw
	}
	r.read = true
	for name, raw := range r.object.Members() {
		if _, ok := r.declared[name]; !ok || raw == "null" {
			continue
		}
		if r.raw == nil {
			r.raw = make(map[string]string, len(r.declared))
		}
		r.raw[name] = raw
	}
	return r.raw
}

// Has says whether there is a value.
func (r *Record) Has(name string) bool {
	_, ok := r.members()[name]
	return ok
}

// Check returns a *TypeError for each member that has not the declared type, in no order.
func (r *Record) Check() []*TypeError {
	var wrong []*TypeError
	for name := range r.members() {
		if _, err := r.value(name); err != nil {
			wrong = append(wrong, &TypeError{Source: r.source, Name: name, Err: err})
		}
	}
	return wrong
}

// Raw returns the JSON text of a member, or of what is nested in it. Its errors are
// *AbsentError, for null too, and *TypeError.
func (r *Record) Raw(name string, nested ...string) (string, error) {
	if _, err := r.get(name); err != nil {
		return "", err
	}
	if len(nested) == 0 {
		return r.raw[name], nil
	}
	at := append([]string{name}, nested...)
	raw, ok := r.object.Raw(at...)
	if !ok || raw == "null" {
		return "", &AbsentError{Source: r.source, Name: strings.Join(at, ".")}
	}
	return raw, nil
}

func (r *Record) get(name string) (ref.Val, error) {
	if !r.Has(name) {
		return nil, &AbsentError{Source: r.source, Name: name}
	}
	v, err := r.value(name)
	if err != nil {
		return nil, &TypeError{Source: r.source, Name: name, Err: err}
	}
	return v, nil
}

func (r *Record) value(name string) (ref.Val, error) {
	if v, ok := r.values[name]; ok {
		return v, nil
	}
	v, err := r.declared[name].value(r.raw[name])
	if err != nil {
		return nil, err
	}
	if r.values == nil {
		r.values = make(map[string]ref.Val, len(r.raw))
	}
	r.values[name] = v
	return v, nil
}
