package chainaudit

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit/internal/spool"
)

const exportLine = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"orders"}}]},` +
	`"scopeSpans":[{"scope":{"name":"x"},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",` +
	`"parentSpanId":"eee19b7ec3c1b173","name":"shop.v1.Orders/Create","kind":2,"startTimeUnixNano":"1544712660000000000",` +
	`"endTimeUnixNano":1544712661000000000,"attributes":[{"key":"txn_token.txn","value":{"stringValue":"t1"}},` +
	`{"key":"n","value":{"intValue":"3"}}],"status":{}}]}],"schemaUrl":"x"}]}`

func parsed(t *testing.T, text string) (spans []*Span, err error) {
	t.Helper()
	_, err = parseExport([]byte(text), func(s *Span) error {
		spans = append(spans, s)
		return nil
	})
	return spans, err
}

func TestExportIsReadAsTheCollectorWritesIt(t *testing.T) {
	spans, err := parsed(t, exportLine)
	if err != nil || len(spans) != 1 {
		t.Fatalf("%d spans, %v", len(spans), err)
	}
	s := *spans[0]
	if s.TraceID != "5b8efff798038103d269b633813fc60c" || s.SpanID != "eee19b7ec3c1b174" || s.ParentID != "eee19b7ec3c1b173" ||
		s.Service != "orders" || s.Kind != SpanServer || s.Txn != "t1" || s.End.Sub(s.Start).Seconds() != 1 {
		t.Errorf("span %+v", s)
	}
	again, ok := readSpan(&spool.Reader{Rest: appendSpan(nil, &s)})
	if diff := cmp.Diff(&s, again); !ok || diff != "" {
		t.Errorf("kept and read again: %t\n%s", ok, diff)
	}
}

func TestExportThatIsNone(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":             `{"resourceSpans":[`,
		"a list":              `[]`,
		"two values":          `{} {}`,
		"ids in base64":       strings.Replace(exportLine, "5b8efff798038103d269b633813fc60c", "W47/95gDgQPSabYzgT/GDA==", 1),
		"an id of zeros":      strings.Replace(exportLine, "eee19b7ec3c1b174", "0000000000000000", 1),
		"a time that is none": strings.Replace(exportLine, "1544712661000000000", "-1", 1),
		"spans as an object":  `{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}`,
		"nothing":             ``,
	} {
		if spans, err := parsed(t, text); err == nil {
			t.Errorf("%s: %d spans and no error", name, len(spans))
		}
	}
	for name, text := range map[string]string{"empty": `{}`, "null": `{"resourceSpans":null}`, "metrics": `{"resourceMetrics":[{"a":[1]}]}`} {
		if spans, err := parsed(t, text); err != nil || len(spans) > 0 {
			t.Errorf("%s: %d spans, %v", name, len(spans), err)
		}
	}
}

func TestLinesAreBounded(t *testing.T) {
	var got []string
	err := eachLine(strings.NewReader("a\n\n  \n"+strings.Repeat("x", 200_000)+"\r\n"+strings.Repeat("y", 70_000)+"\n b"), 100_000,
		func(number int64, line []byte) error {
			got = append(got, string(line[:min(len(line), 3)])+string(rune('0'+number)))
			return nil
		})
	if diff := cmp.Diff([]string{"a1", "4", "yyy5", "b6"}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func FuzzParseExport(f *testing.F) {
	f.Add([]byte(exportLine))
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}`))
	f.Add([]byte(`{"resource_spans":null}`))
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000001"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = parseExport(text, func(s *Span) error {
			again, ok := readSpan(&spool.Reader{Rest: appendSpan(nil, s)})
			if !ok || *again != *s {
				t.Errorf("kept %+v, read again %+v", s, again)
			}
			return nil
		})
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{frameSpan, 1, 'a'})
	f.Fuzz(func(t *testing.T, text []byte) {
		u := spool.Reader{Rest: text}
		_, _, _ = u.Number(), u.Text(), u.Time()
		if s, ok := readSpan(&u); ok && !bytes.Contains(text, []byte(s.TraceID)) {
			t.Errorf("span %+v", s)
		}
	})
}
