package chainaudit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/internal/semconv"
)

const (
	// maxExport is the longest line of a trace export, in bytes: some 20,000 spans.
	maxExport = 32 << 20
	// maxText is how much is kept of names and attributes, which anybody can make long.
	maxText = 1 << 10
)

var errExport = errors.New("no export of spans in OTLP's JSON")

// parseExport reads one ExportTraceServiceRequest, or a TracesData, which looks the same,
// span by span. present says that it is one: another JSON object has no resourceSpans. Ids are hexadecimal in OTLP's JSON, numbers may be strings.
func parseExport(text []byte, each func(*Span) error) (present bool, err error) {
	d := &walker{Decoder: json.NewDecoder(bytes.NewReader(text))}
	err = d.object(func(key string) error {
		if key != "resourceSpans" && key != "resource_spans" {
			return d.skip()
		}
		present = true
		return d.array(func() error { return d.resourceSpans(each) })
	})
	if err != nil {
		return present, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return present, errExport
	}
	return present, nil
}

// walker goes through JSON without holding more than one span of it as values.
type walker struct{ *json.Decoder }

func (d *walker) delim(open json.Delim) (present bool, err error) {
	t, err := d.Token()
	if err != nil {
		return false, errExport
	}
	if t == nil { // null
		return false, nil
	}
	if t != open {
		return false, errExport
	}
	return true, nil
}

func (d *walker) object(member func(key string) error) error {
	present, err := d.delim('{')
	if !present || err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return errExport
		}
		name, _ := key.(string) // keys are
		if err := member(name); err != nil {
			return err
		}
	}
	return d.closing()
}

func (d *walker) array(element func() error) error {
	present, err := d.delim('[')
	if !present || err != nil {
		return err
	}
	for d.More() {
		if err := element(); err != nil {
			return err
		}
	}
	return d.closing()
}

func (d *walker) closing() error {
	if _, err := d.Token(); err != nil {
		return errExport
	}
	return nil
}

func (d *walker) value(v any) error {
	if err := d.Decode(v); err != nil {
		return errExport
	}
	return nil
}

func (d *walker) skip() error {
	var ignored json.RawMessage
	return d.value(&ignored)
}

// resourceSpans reads the spans of one process. The resource comes first as everybody
// writes it; spans before it have no service.
func (d *walker) resourceSpans(each func(*Span) error) error {
	service := ""
	return d.object(func(key string) error {
		switch key {
		case "resource":
			var r struct{ Attributes []otlpAttribute }
			err := d.value(&r)
			service = attribute(r.Attributes, "service.name")
			return err
		case "scopeSpans", "scope_spans":
			return d.array(func() error { return d.scopeSpans(service, each) })
		}
		return d.skip()
	})
}

func (d *walker) scopeSpans(service string, each func(*Span) error) error {
	return d.object(func(key string) error {
		if key != "spans" {
			return d.skip()
		}
		return d.array(func() error {
			var s otlpSpan
			if err := d.value(&s); err != nil {
				return err
			}
			span, ok := s.span(service)
			if !ok {
				return errExport
			}
			return each(span)
		})
	})
}

// otlpSpan is what is read of a span.
type otlpSpan struct {
	TraceID      string          `json:"traceId"`
	SpanID       string          `json:"spanId"`
	ParentSpanID string          `json:"parentSpanId"`
	Name         string          `json:"name"`
	Kind         json.RawMessage `json:"kind"`
	Start        otlpTime        `json:"startTimeUnixNano"`
	End          otlpTime        `json:"endTimeUnixNano"`
	Attributes   []otlpAttribute `json:"attributes"`
}

type otlpAttribute struct {
	Key   string `json:"key"`
	Value struct {
		StringValue *string `json:"stringValue"`
	} `json:"value"`
}

// otlpTime is nanoseconds since 1970, as a string or a number.
type otlpTime struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *otlpTime) UnmarshalJSON(text []byte) error {
	number := strings.Trim(string(text), `"`)
	if number == "" || number == "null" || strings.Trim(number, "0") == "" {
		return nil
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return errExport
	}
	t.Time = time.Unix(0, n).UTC()
	return nil
}

// span returns s in our words; false if its ids are none.
func (s *otlpSpan) span(service string) (*Span, bool) {
	trace, id, parent := strings.ToLower(s.TraceID), strings.ToLower(s.SpanID), strings.ToLower(s.ParentSpanID)
	if !isID(trace, 16) || !isID(id, 8) || parent != "" && !isID(parent, 8) {
		return nil, false
	}
	if strings.Trim(parent, "0") == "" {
		parent = ""
	}
	get := func(key string) string { return attribute(s.Attributes, key) }
	return &Span{
		TraceID: trace, SpanID: id, ParentID: parent, Service: service, Name: cut(s.Name), Kind: spanKind(s.Kind),
		Start: s.Start.Time, End: s.End.Time,
		Txn: get(string(semconv.TokenTxn)), Link: get(string(semconv.ChainLinkHash)), Method: get(string(semconv.RPCMethod)),
		Outcome: get(string(semconv.TokenOutcome)), Result: get(string(semconv.TokenResult)),
		Mode: get(string(semconv.ChainMode)), ChainResult: get(string(semconv.ChainResult)),
	}, true
}

func isID(s string, size int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == size && strings.Trim(s, "0") != ""
}

// spanKind reads the number or the name of a kind.
func spanKind(text json.RawMessage) SpanKind {
	switch string(text) {
	case "2", `"SPAN_KIND_SERVER"`:
		return SpanServer
	case "3", `"SPAN_KIND_CLIENT"`:
		return SpanClient
	case "4", `"SPAN_KIND_PRODUCER"`:
		return "producer"
	case "5", `"SPAN_KIND_CONSUMER"`:
		return "consumer"
	}
	return "internal"
}

func attribute(list []otlpAttribute, key string) string {
	for i := range list {
		if list[i].Key == key && list[i].Value.StringValue != nil {
			return cut(*list[i].Value.StringValue)
		}
	}
	return ""
}

// cut bounds a text.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "")
}
