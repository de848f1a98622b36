package chainaudit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/internal/spool"
)

// maxShared is how many transactions a span is given to that does not say of which it is,
// in a trace of several.
const maxShared = 16

var errNoExport = errors.New("no trace export: no line has resourceSpans, as the OpenTelemetry Collector's file exporter writes them")

// readTraces reads the trace exports and sorts their spans by trace.
func (s *sorter) readTraces(ctx context.Context, paths []string, workers int) error {
	return s.readFiles(ctx, paths, workers, func(ctx context.Context, path string, in io.Reader) error {
		export := false
		err := eachLine(in, maxExport, func(number int64, line []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var failed error
			present, err := parseExport(line, func(span *Span) error {
				failed = s.addSpan(span)
				return failed
			})
			if failed != nil {
				return failed
			}
			export = export || present
			if err != nil {
				s.unreadable(path, number, "spans")
			}
			return nil
		})
		if err == nil && !export {
			err = errNoExport // to hold calls to nothing would look like a check
		}
		return err
	})
}

func (s *sorter) addSpan(span *Span) error {
	s.mu.Lock()
	s.counts.Spans++
	s.mu.Unlock()
	_, err := s.spans.Put(s.spans.Of(span.TraceID), appendSpan(nil, span))
	return err
}

// joinTraces gives the spans to the transactions of their traces.
func (s *sorter) joinTraces(ctx context.Context, workers int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for partition := range s.spans.Parts() {
		group.Go(func() error {
			transactions, err := s.transactionsOf(partition)
			if err != nil {
				return err
			}
			crowded := make(map[string]bool) // traces that were noted
			return s.spans.Read(partition, func(text []byte) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				span, ok := readSpan(&spool.Reader{Rest: text})
				if !ok {
					return spool.ErrChanged
				}
				of := transactions[span.TraceID]
				if len(of) > maxShared {
					of = of[:maxShared]
					if span.Txn == "" && !crowded[span.TraceID] && tellsOfCall(span) {
						crowded[span.TraceID] = true
						s.noted.add(Finding{Kind: KindTraceCrowded, Severity: SeverityWarning, Text: fmt.Sprintf(
							"More than %d transactions are in the trace %s, so that calls that its spans tell of could not all be looked for in each of them.",
							maxShared, span.TraceID)})
					}
				}
				return s.giveSpan(span, of, text)
			})
		})
	}
	return group.Wait()
}

// tellsOfCall reports whether the span is one that a link should cover.
func tellsOfCall(s *Span) bool {
	switch s.Kind {
	case SpanServer:
		return s.ParentID != "" && needsLink(s)
	case SpanClient:
		return (s.Link != "" || s.Outcome == semconv.OutcomeAttached) && needsLink(s)
	}
	return false
}

// transactionsOf returns the transactions of each trace of a partition: of a crowded one, one
// more than maxShared.
func (s *sorter) transactionsOf(partition int) (map[string][]string, error) {
	transactions := make(map[string][]string)
	err := s.traces.Read(partition, func(text []byte) error {
		u := spool.Reader{Rest: text}
		trace, txn := u.Text(), u.Text()
		if known := transactions[trace]; !u.Failed && len(known) <= maxShared && !slices.Contains(known, txn) {
			transactions[trace] = append(known, txn)
		}
		return nil
	})
	return transactions, err
}

// giveSpan puts a span to the transaction that it names and, in a trace of one transaction
// or when it names none, to those of its trace.
func (s *sorter) giveSpan(span *Span, transactions []string, text []byte) error {
	give := func(txn string) error {
		var f spool.Frame
		f.Number(frameSpan)
		f.Text(txn)
		_, err := s.transactions.Put(s.transactions.Of(txn), append(f, text...))
		return err
	}
	if span.Txn != "" {
		if err := give(span.Txn); err != nil {
			return err
		}
		if len(transactions) > 1 {
			return nil
		}
	}
	for _, txn := range transactions {
		if txn == span.Txn {
			continue
		}
		if err := give(txn); err != nil {
			return err
		}
	}
	return nil
}

// readFiles opens files and reads several at a time. When one fails, the context of the others
// ends.
func (s *sorter) readFiles(ctx context.Context, paths []string, workers int, read func(ctx context.Context, path string, in io.Reader) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, path := range paths {
		group.Go(func() error {
			in, err := os.Open(path) //nolint:gosec // the caller names the file
			if err != nil {
				return err
			}
			defer in.Close()
			if err := read(ctx, path, in); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// unreadable notes a line that is not what it should be.
func (s *sorter) unreadable(path string, line int64, what string) {
	s.noted.add(Finding{
		Kind: KindInputUnreadable, Severity: SeverityWarning, Log: path, Line: line,
		Text: fmt.Sprintf("Line %d of %s cannot be read as %s, so that what it says is missing from this audit.", line, path, what),
	})
}

// spanTexts are the text fields of a span, in the order in which they are kept.
func spanTexts(s *Span) [13]*string {
	return [...]*string{
		&s.TraceID, &s.SpanID, &s.ParentID, &s.Service, &s.Name, (*string)(&s.Kind),
		&s.Txn, &s.Link, &s.Method, &s.Outcome, &s.Result, &s.Mode, &s.ChainResult,
	}
}

func appendSpan(f spool.Frame, s *Span) spool.Frame {
	for _, text := range spanTexts(s) {
		f.Text(*text)
	}
	f.Time(s.Start)
	f.Time(s.End)
	return f
}

func readSpan(u *spool.Reader) (*Span, bool) {
	s := new(Span)
	for _, text := range spanTexts(s) {
		*text = u.Text()
	}
	s.Start, s.End = u.Time(), u.Time()
	return s, !u.Failed
}
