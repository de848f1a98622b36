package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// What the audit reads, in one directory.
const (
	spansFile    = "spans.jsonl"
	issuanceFile = "tratd.jsonl"
)

// guarded are the services with a chain log, in the order in which they start.
var guarded = []string{"stocks", "payments", "orders"}

// chainLog is the name of a service's chain log.
func chainLog(service string) string { return service + ".jsonl" }

// openServices starts the services, each after those that it calls.
func (s *shop) openServices(ctx context.Context) error {
	for _, start := range []func() error{
		func() error { return s.service(ctx, "stocks") },
		func() error { return s.service(ctx, "payments") },
		func() error { return s.service(ctx, "orders", "stocks", "payments") },
		func() error { return s.service(ctx, "gateway", "orders") },
	} {
		if err := start(); err != nil {
			return err
		}
	}
	return nil
}

// closeServices stops the services, so that their logs and spans are complete.
func (s *shop) closeServices() error {
	var stopped, others []*process
	for _, p := range s.processes {
		if p.name == "gateway" || slices.Contains(guarded, p.name) {
			stopped = append(stopped, p)
		} else {
			others = append(others, p)
		}
	}
	s.processes, s.past = others, append(s.past, stopped...)
	return errors.Join(stopAll(stopped), s.spans.failure())
}

// keepRecords copies the records as they are now and returns the directory.
func (s *shop) keepRecords(name string) (string, error) {
	dir := filepath.Join(s.records, name)
	return dir, copyRecords(dir, s.records)
}

// copyRecords copies what the audit reads into a new directory.
func copyRecords(to, from string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, name := range recordFiles() {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		//nolint:gosec // into the directory of the demo's records
		if err := os.WriteFile(filepath.Join(to, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// recordFiles are the names of all files that the audit reads.
func recordFiles() []string {
	names := []string{spansFile, issuanceFile}
	for _, service := range guarded {
		names = append(names, chainLog(service))
	}
	return names
}

// newRecords makes the directory of the records: that of the option, which must be new or
// empty, or one that goes with the rest.
func (s *shop) newRecords(kept string) error {
	s.records = kept
	if kept == "" {
		s.records = filepath.Join(s.scratch, "records")
	}
	// The services run elsewhere than the audit, which shows short names.
	var err error
	if s.records, err = filepath.Abs(s.records); err != nil {
		return err
	}
	if err := os.MkdirAll(s.records, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.records)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("-records: %s is not empty", s.records)
	}
	return err
}
