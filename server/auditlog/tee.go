package auditlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/grpc-trat/grpc-trat/server"
)

// tee is what Tee returns.
type tee []server.Auditor

// Tee returns an auditor that gives each record to all auditors, one after the other, also
// when one of them fails or panics. Its error joins theirs.
func Tee(auditors ...server.Auditor) server.Auditor {
	return tee(append([]server.Auditor(nil), auditors...))
}

// Record implements server.Auditor. To keep a record nowhere is an error.
func (t tee) Record(ctx context.Context, r server.Record) error {
	if len(t) == 0 {
		return errors.New("auditlog: no sink")
	}
	var problems []error
	for _, auditor := range t {
		problems = append(problems, one(ctx, auditor, r))
	}
	return errors.Join(problems...)
}

// one takes a panic for an error, so that one sink does not cost the others the record.
func one(ctx context.Context, auditor server.Auditor, r server.Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("auditlog: %T: panic (%T)", auditor, v)
		}
	}()
	return auditor.Record(ctx, r)
}
