package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// exportLine is one batch of spans as the OpenTelemetry Collector's file exporter writes
// it: a line of OTLP's JSON. That is protobuf's JSON but for enums, which are numbers, and
// ids, which are hexadecimal.
func exportLine(req *collectorpb.ExportTraceServiceRequest) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(req)
	if err != nil {
		return nil, err
	}
	var batch any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&batch); err != nil {
		return nil, err
	}
	if err := hexIDs(batch); err != nil {
		return nil, err
	}
	line, err := json.Marshal(batch)
	return append(line, '\n'), err
}

// hexIDs rewrites every id in v.
func hexIDs(v any) error {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			if err := hexIDs(element); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, member := range v {
			if name == "traceId" || name == "spanId" || name == "parentSpanId" {
				id, err := base64.StdEncoding.DecodeString(fmt.Sprint(member))
				if err != nil {
					return err
				}
				v[name] = hex.EncodeToString(id)
			} else if err := hexIDs(member); err != nil {
				return err
			}
		}
	}
	return nil
}
